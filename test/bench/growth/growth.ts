/** d. What a long queue and a long past cost: claims and enqueues while jobs wait, have ended, are of another type or region, or wait for a slot of their users. */
import { enqueue, type JobRequest } from '../../../services/ledger/enqueue/enqueue.ts';
import type { Ledger } from '../../../services/ledger/job.ts';
import { type ClaimedJob, claim, type Places } from '../../../services/ledger/run/claim.ts';
import { complete } from '../../../services/ledger/run/complete.ts';
import { type Database, openDatabase } from '../../../services/platform/database/database.ts';
import { payload } from '../contenders/contender.ts';
import { clearLedger, jobRequest, openLedger } from '../contenders/ledger.ts';
import type { Bench } from '../report/bench.ts';
import { figure, print, progress, ratio, table, verdicts } from '../report/report.ts';
import { type Spread, spread } from '../report/statistics.ts';
import { storeEnded, storeWaiting } from './fill.ts';

interface Case {
  label: string;
  fill: (root: Database, ledger: Ledger) => Promise<void>;
  /** What is enqueued and claimed while it is measured. */
  request?: Partial<JobRequest>;
  /** The worker claims these types alone. */
  types?: readonly string[];
  /** What it knows of its last claim, and has. */
  places?: Places;
}

interface Measured {
  claim1: Spread;
  claim10: Spread;
  enqueue: Spread;
}

const USERS = 1_000;
/** Waiting jobs of the cases in which something else grows. */
const FEW = 1_000;
const OTHER_TYPE = 'analysis';

export async function growthSection(bench: Bench): Promise<unknown> {
  const samples = bench.quick ? 50 : 300;
  const stockmesh = await bench.ledger();
  const root = openDatabase({ ...stockmesh.root, maxConnections: 1 });
  const { ledger, close } = await openLedger({ ...stockmesh, broker: undefined }, 'claimer');
  const result: Record<string, Measured> = {};
  for (const one of casesOf(bench.quick)) {
    await clearLedger(stockmesh.root);
    progress(`d. growth: ${one.label}: storing`);
    await one.fill(root, ledger);
    progress(`d. growth: ${one.label}: measuring`);
    result[one.label] = await measure(ledger, one, samples);
  }
  await clearLedger(stockmesh.root);
  await close();
  await root.close();
  progress('');

  print(`\nd. Growth: milliseconds, ${samples} samples each; one caller, each claim's jobs are completed before the next\n`);
  print(
    table(
      ['', 'claim 1: p50', 'p99', 'claim 10: p50', 'p99', 'enqueue 1: p50', 'p99', 'max'],
      Object.entries(result).map(([label, { claim1, claim10, enqueue: added }]) => [
        ...[label, claim1.p50, claim1.p99, claim10.p50, claim10.p99],
        ...[added.p50, added.p99, added.max],
      ]),
    ),
  );
  print(`\n${verdicts(judged(result))}`);
  return result;
}

function casesOf(quick: boolean): Case[] {
  const [waiting, ended, blocked] = quick ? [[10_000], [10_000], 3_000] : [[100_000, 1_000_000], [1_000_000, 10_000_000], 100_000];
  const longest = waiting.at(-1) as number;
  return [
    { label: `${figure(FEW)} waiting`, fill: (root) => storeWaiting(root, FEW) },
    ...waiting.map((jobs) => ({ label: `${figure(jobs)} waiting`, fill: (root: Database) => storeWaiting(root, jobs) })),
    ...ended.map((jobs) => ({
      label: `${figure(jobs)} ended`,
      fill: async (root: Database, ledger: Ledger) => {
        await storeEnded(root, jobs, (stored) => progress(`d. growth: ${figure(stored)} of ${figure(jobs)} ended jobs are stored`));
        await add(ledger, FEW, {});
      },
    })),
    {
      label: `${figure(longest)} of other types`,
      fill: async (root, ledger) => {
        await storeWaiting(root, longest);
        await add(ledger, FEW, { type: OTHER_TYPE, level: 3 });
      },
      // In the same queue, and behind all of the others.
      request: { type: OTHER_TYPE, level: 3 },
      types: [OTHER_TYPE],
    },
    {
      label: `${figure(longest)} of another region`,
      fill: async (root, ledger) => {
        await storeWaiting(root, longest);
        for (const table of ['jobs', 'ready']) await root.long.run(`UPDATE ${table} SET capability = 'region:eu'`);
        await add(ledger, FEW, {});
      },
      places: { tied: true, capabilities: ['region:us'] },
    },
    { label: `${figure(blocked)} wait for a slot`, fill: (_, ledger) => storeBlocked(ledger, blocked) },
  ];
}

async function add(ledger: Ledger, jobs: number, changes: Partial<JobRequest>): Promise<void> {
  const requests = Array.from({ length: jobs }, (_, number) => ({ ...jobRequest(payload(number), 'plain'), ...changes }));
  for (let at = 0; at < jobs; at += 500) await enqueue(ledger, requests.slice(at, at + 500));
}

/** Users with all of their slots taken and as many jobs behind that have met it; then jobs of nobody. */
async function storeBlocked(ledger: Ledger, jobs: number): Promise<void> {
  const perUser = Math.ceil(jobs / USERS) + ledger.slotsPerUser;
  for (let number = 0; number < perUser; number++) {
    const ofUsers = Array.from({ length: USERS }, (_, user) => ({ ...jobRequest(payload(number), 'plain'), user: `user-${user}` }));
    await enqueue(ledger, ofUsers);
  }
  let blocked = 0;
  for (let idle = 0; idle < 3; ) {
    const taken = await claim(ledger, 'busy', 500);
    blocked += taken.blocked.length;
    idle = taken.jobs.length + taken.blocked.length === 0 ? idle + 1 : 0;
  }
  if (blocked < jobs) throw new Error(`${blocked} of ${jobs} jobs are blocked`);
  await add(ledger, FEW, {});
}

async function measure(ledger: Ledger, { request = {}, types, places }: Case, samples: number): Promise<Measured> {
  const finish = (jobs: readonly ClaimedJob[]): Promise<unknown> =>
    complete(
      ledger,
      'grower',
      jobs.map((job) => ({ job, result: {} })),
    );
  const claiming = async (size: number): Promise<number> => {
    const started = performance.now();
    const { jobs } = await claim(ledger, 'grower', size, types, undefined, places);
    const ms = performance.now() - started;
    if (jobs.length !== size) throw new Error(`claimed ${jobs.length} of ${size}`);
    await finish(jobs);
    return ms;
  };
  const claim1: number[] = [];
  const claim10: number[] = [];
  const added: number[] = [];
  // The first ones load pages and compile code.
  for (let sample = -20; sample < samples; sample++) {
    const one = await claiming(1);
    const ten = await claiming(10);
    const started = performance.now();
    await add(ledger, 1, request);
    const enqueued = performance.now() - started;
    // As many as were claimed, so that the number of waiting jobs stays.
    await add(ledger, 10, request);
    if (sample < 0) continue;
    claim1.push(one);
    claim10.push(ten);
    added.push(enqueued);
  }
  return { claim1: spread(claim1), claim10: spread(claim10), enqueue: spread(added) };
}

/** Flat: a claim of ten costs at most twice what it costs where little waits and nothing has ended. */
function judged(result: Record<string, Measured>): { aim: string; measured: string; met: boolean }[] {
  const [first, ...others] = Object.entries(result) as [[string, Measured], ...[string, Measured][]];
  return others.map(([label, { claim10 }]) => {
    const before = first[1].claim10.p50;
    return {
      aim: `${label}: a claim of ten within 2 × that with ${first[0]}`,
      measured: ratio(claim10.p50, before),
      met: claim10.p50 <= 2 * before,
    };
  });
}
