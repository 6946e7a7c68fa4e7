/**
 * Two hands of the ledger at work on the same jobs, one of them in the middle of the other: for each pair, the second runs before each statement of the first and
 * before its COMMIT. A lock that is missing is seen by one of these cases each time, on a busy machine as on a quiet one.
 */
import mysql from 'mysql2/promise';
import { beforeAll, expect, test } from 'vitest';
import { cancel, redrive, retry } from '../../services/ledger/control.ts';
import { type Enqueued, enqueue } from '../../services/ledger/enqueue/enqueue.ts';
import { idFromBytes, idToBytes } from '../../services/ledger/id.ts';
import { type Ledger, LIVE_STATES } from '../../services/ledger/job.ts';
import { age } from '../../services/ledger/maintain/age.ts';
import { promote } from '../../services/ledger/maintain/promote.ts';
import { reap, rescue } from '../../services/ledger/maintain/rescue.ts';
import { type ClaimedJob, claim } from '../../services/ledger/run/claim.ts';
import { complete, type Finished, fail, handBack } from '../../services/ledger/run/complete.ts';
import { healSlots } from '../../services/ledger/run/slots.ts';
import type { Transaction } from '../../services/platform/database/database.ts';
import { InputError } from '../../services/platform/errors.ts';
import { ledgerFixture, permanent, request, TABLES, transient } from './fixture.ts';
import { interleave, keepRows } from './interleaving.ts';

const on = ledgerFixture();
const RULES = { maxAttempts: 9, backoffSeconds: [30], timeoutSeconds: 60, mayCompleteWithErrors: false };
const ledgerOn = (db: Ledger['db']): Ledger => ({
  ...on.ledger({ types: { fetch: RULES, analysis: RULES }, slotsPerUser: 1 }),
  db: { ...db },
});

const effects = (tx: Transaction, owned: readonly { job: { id: string; attempt: number } }[]): Promise<void> =>
  tx
    .run('INSERT INTO effects (job_id, attempt) VALUES ?', [owned.map(({ job: { id, attempt } }) => [idToBytes(id), attempt])])
    .then(() => {});
const attemptOf = ({ id, attempt }: { id: string; attempt: number }): string => `${id} ${attempt}`;

/** The leases of the world's workers, taken at START for 60 s, have ended by then. */
const LATER = '2026-06-02T14:01:30Z';

interface World {
  /** Runs for ada on worker-1. An analysis waits for it and for `other`, another one waits for it and for its time, a fetch of ada waits for the only slot. */
  running: ClaimedJob;
  /** Runs on worker-1 for nobody. */
  other: ClaimedJob;
  failed: string;
  analysis: string;
  waiting: string;
  scheduled: string;
  /** Attempts that somebody was given. */
  claimed: string[];
  /** Attempts that somebody was told to have ended. */
  ended: string[];
  /** Jobs that somebody was told to be cancelled. */
  cancelled: string[];
}

async function buildWorld(): Promise<World> {
  const ledger = ledgerOn(on.db);
  const fetchOf = (symbol: string, user?: string) => request({ symbol, dedupeKey: `fetch:${symbol}`, user, level: 4 });
  const analysisOf = (symbol: string, ...needs: string[]) =>
    request({ type: 'analysis', symbol, dedupeKey: `analysis:${symbol}`, after: needs.map((need) => `fetch:${need}`), level: 7 });
  const take = async (): Promise<ClaimedJob[]> => (await claim(ledger, 'worker-1', 10)).jobs;
  const idsOf = async (...requests: ReturnType<typeof request>[]): Promise<string[]> =>
    (await enqueue(ledger, requests)).map((answer) => (answer as Enqueued).id);

  await enqueue(ledger, [fetchOf('FAILED'), fetchOf('CSCO', 'bob'), fetchOf('RETRIED')]);
  const [failed, earlier, retried] = await take();
  await fail(ledger, 'worker-1', [{ job: failed!, error: permanent() }]);
  await fail(ledger, 'worker-1', [{ job: retried!, error: transient() }], () => 0.5);
  // So bob's slot is there, and free.
  await complete(ledger, 'worker-1', [{ job: earlier! }], effects);
  await enqueue(ledger, [fetchOf('AAPL', 'ada'), fetchOf('SPY')]);
  const [running, other] = await take();
  const [analysis, scheduled, waiting] = await idsOf(
    analysisOf('AAPL', 'AAPL', 'SPY'),
    { ...analysisOf('LATER', 'AAPL'), runAt: new Date(on.clock.now().epochMilliseconds + 30_000) },
    fetchOf('MSFT', 'ada'),
  );
  await take();
  await enqueue(ledger, [fetchOf('IBM', 'bob'), fetchOf('ORCL', 'bob'), analysisOf('OLD')]);
  // The analysis that was to start later is due, and so is the fetch that failed once.
  on.clock.set(LATER);
  const ended = [failed!, earlier!, retried!].map(attemptOf);
  const claimed = [failed!, earlier!, retried!, running!, other!].map(attemptOf);
  return {
    running: running!,
    other: other!,
    failed: failed!.id,
    analysis: analysis!,
    scheduled: scheduled!,
    waiting: waiting!,
    claimed,
    ended,
    cancelled: [],
  };
}

type Hand = (ledger: Ledger, world: World) => Promise<unknown>;

const endedBy =
  (which: 'running' | 'other', work: (ledger: Ledger, job: ClaimedJob) => Promise<Finished>): Hand =>
  async (ledger, here) => {
    const { lost } = await work(ledger, here[which]);
    if (lost.length === 0) here.ended.push(attemptOf(here[which]));
  };
const takenBackBy =
  (work: (ledger: Ledger) => Promise<{ id: string; attempt: number }[]>): Hand =>
  async (ledger, here) => {
    const own = [here.running.id, here.other.id];
    here.ended.push(...(await work(ledger)).filter(({ id }) => own.includes(id)).map(attemptOf));
  };
const byHand =
  (work: (ledger: Ledger, world: World) => Promise<unknown>): Hand =>
  (ledger, here) =>
    work(ledger, here).catch((error: unknown) => {
      // It has ended already, or is live: a person is told so.
      if (!(error instanceof InputError)) throw error;
    });
const cancelling = (which: 'analysis' | 'waiting' | 'running'): Hand =>
  byHand(async (ledger, here) => {
    const job = here[which];
    const id = typeof job === 'string' ? job : job.id;
    await cancel(ledger, id, 'by hand');
    here.cancelled.push(id);
  });
const claiming =
  (worker: string, limit = 10): Hand =>
  async (ledger, { claimed }) => {
    claimed.push(...(await claim(ledger, worker, limit)).jobs.map(attemptOf));
  };
const then =
  (one: Hand, next: Hand): Hand =>
  async (ledger, here) => {
    await one(ledger, here);
    await next(ledger, here);
  };
const loginOf =
  (user: string, level: number): Hand =>
  (ledger) =>
    enqueue(ledger, [
      request({ symbol: 'AAPL', dedupeKey: 'fetch:AAPL', user, level: 1 }),
      request({ type: 'analysis', symbol: 'MSFT', dedupeKey: 'analysis:MSFT', after: ['fetch:AAPL', 'fetch:MSFT'], user, level: 7 }),
      request({ type: 'analysis', symbol: 'SPY', dedupeKey: 'analysis:SPY', after: ['fetch:SPY'], user, level: 7 }),
      request({ type: 'analysis', symbol: 'OLD', dedupeKey: 'analysis:OLD', after: ['fetch:AAPL'], user, level: 7, score: 1 }),
      request({ symbol: 'MSFT', dedupeKey: 'fetch:MSFT', user, level }),
      request({ symbol: 'IBM', dedupeKey: 'fetch:IBM', user, level: 4, score: 1 }),
      request({ symbol: 'FAILED', dedupeKey: 'fetch:FAILED', user, level: 4 }),
    ]);

const HANDS = {
  complete: endedBy('running', (ledger, job) => complete(ledger, 'worker-1', [{ job }], effects)),
  'complete the other': endedBy('other', (ledger, job) => complete(ledger, 'worker-1', [{ job }], effects)),
  fail: endedBy('running', (ledger, job) => fail(ledger, 'worker-1', [{ job, error: permanent() }])),
  'fail for now': endedBy('running', (ledger, job) => fail(ledger, 'worker-1', [{ job, error: transient() }])),
  'hand back': endedBy('running', (ledger, job) => handBack(ledger, 'worker-1', [job], 'shutdown')),
  reap: takenBackBy(reap),
  rescue: takenBackBy(async (ledger) => (await rescue(ledger, 'worker-1', 'gone')).changes),
  claim: claiming('worker-2'),
  'another claim': claiming('worker-3'),
  // One at a time, so that two workers take two jobs of one user.
  'claim of one': claiming('worker-2', 1),
  'another claim of one': claiming('worker-3', 1),
  'promote, then claim': then((ledger) => promote(ledger), claiming('worker-2')),
  'redrive, then claim': then((ledger) => redrive(ledger, {}), claiming('worker-2')),
  login: loginOf('eve', 1),
  'another login': loginOf('dan', 4),
  promote: (ledger) => promote(ledger),
  cancel: cancelling('running'),
  'cancel the dependent': cancelling('analysis'),
  'cancel the waiting one': cancelling('waiting'),
  'start the scheduled one': byHand((ledger, { scheduled }) => retry(ledger, scheduled)),
  retry: byHand((ledger, { failed }) => retry(ledger, failed)),
  redrive: (ledger) => redrive(ledger, {}),
  age: (ledger) => age(ledger, { intervalSeconds: 30, highestLevel: 4 }, 'background_fetch', undefined),
  'heal the slots': (ledger) => ledger.db.transaction((tx) => healSlots(tx, ledger)),
} satisfies Record<string, Hand>;
type Name = keyof typeof HANDS;

const PAIRS: [Name, readonly Name[]][] = [
  ['complete', ['reap', 'rescue', 'cancel', 'fail', 'fail for now', 'hand back', 'claim', 'login', 'promote', 'heal the slots']],
  ['complete', ['complete the other', 'cancel the dependent', 'cancel the waiting one', 'start the scheduled one']],
  ['fail', ['complete the other', 'login', 'promote', 'cancel the dependent']],
  ['reap', ['rescue', 'cancel', 'claim', 'login']],
  ['claim', ['another claim', 'login', 'cancel the waiting one', 'heal the slots', 'hand back']],
  ['login', ['another login', 'promote', 'age', 'redrive', 'cancel', 'cancel the dependent']],
  ['promote', ['promote', 'start the scheduled one', 'promote, then claim']],
  ['redrive', ['redrive', 'retry', 'redrive, then claim']],
  ['redrive, then claim', ['retry']],
  ['age', ['age', 'claim']],
  ['claim of one', ['another claim of one', 'complete']],
];

/** Facts that hold between any two commits, each as a query for what contradicts it. */
const FACTS: Record<string, string> = {
  'a job stands in one table of states': `1 <> ${['ready', 'scheduled', 'blocked', 'running', 'ended'].map((table) => `(SELECT COUNT(*) FROM ${table} t WHERE t.job_id = j.id)`).join(' + ')}`,
  'its key is taken exactly while it lives': `j.state IN ('scheduled', 'blocked', 'ready', 'running') AND (SELECT dedupe_key FROM jobs WHERE id = j.id) IS NOT NULL <> EXISTS (SELECT 1 FROM live_keys k WHERE k.job_id = j.id)`,
  'what was stored is that of the attempt that completed, once': `(j.state = 'completed') <> (SELECT COUNT(*) FROM effects e WHERE e.job_id = j.id AND e.attempt = j.attempt)
         OR EXISTS (SELECT 1 FROM effects e WHERE e.job_id = j.id AND (j.state <> 'completed' OR e.attempt <> j.attempt))`,
  'a running job of a user holds one slot, and no other job does': `(j.state = 'running' AND j.user_id IS NOT NULL) <> (SELECT COUNT(*) FROM user_slots s WHERE s.job_id = j.id)`,
  'a job waits for a slot exactly while it is blocked on one': `(j.state = 'blocked' AND j.blocked_on = 'slot') <> EXISTS (SELECT 1 FROM slot_waits w WHERE w.job_id = j.id)`,
  'a job is blocked on a dependency exactly while one is live': `j.state IN ('ready', 'running', 'blocked') AND (j.state = 'blocked' AND j.blocked_on = 'dependency') <>
            EXISTS (SELECT 1 FROM job_dependencies d JOIN job_states n ON n.id = d.needs_id AND n.state IN ('scheduled', 'blocked', 'ready', 'running') WHERE d.job_id = j.id)`,
};
const SOUND = Object.entries(FACTS)
  .map(([fact, where]) => `SELECT CONCAT('${fact}, but not: ', type, ' ', symbol, ' ', state) AS text FROM job_states j WHERE ${where}`)
  .join(' UNION ALL ');

async function expectSound({ claimed, ended, cancelled }: Pick<World, 'claimed' | 'ended' | 'cancelled'>, where: string): Promise<void> {
  expect(new Set(claimed).size, `${where}: an attempt was given out twice`).toBe(claimed.length);
  expect(new Set(ended).size, `${where}: an attempt was ended twice`).toBe(ended.length);
  const running = await on.db.rows<{ id: Buffer; attempt: number }>("SELECT id, attempt FROM job_states WHERE state = 'running'");
  const open = claimed.filter((attempt) => !ended.includes(attempt) && !cancelled.includes(attempt.split(' ')[0]!));
  expect(
    running.map(({ id, attempt }) => `${idFromBytes(id)} ${attempt}`).sort(),
    `${where}: what was given out and not ended runs`,
  ).toEqual(open.sort());
  const kept = await on.count("job_states WHERE id IN (?) AND state = 'cancelled'", [[null, ...cancelled.map(idToBytes)]]);
  expect(kept, `${where}: what was cancelled stays so`).toBe(cancelled.length);
  const untrue = await on.db.rows<{ text: string }>(SOUND);
  expect(
    untrue.map(({ text }) => text),
    where,
  ).toEqual([]);
}

/** What a drain depends on, without ids and times. */
const STANDING = `
  SELECT CONCAT_WS(' ', 'job', type, symbol, state, blocked_on, attempt, worker_id, priority, queue, has_dependents) AS text FROM job_states
  UNION ALL SELECT CONCAT_WS(' ', 'slot', s.user_id, s.slot, j.type, j.symbol) FROM user_slots s LEFT JOIN job_states j ON j.id = s.job_id
  UNION ALL SELECT CONCAT_WS(' ', 'wait', w.user_id, w.priority, j.type, j.symbol) FROM slot_waits w JOIN job_states j ON j.id = w.job_id
  UNION ALL SELECT CONCAT_WS(' ', 'need', j.symbol, n.symbol) FROM job_dependencies d JOIN job_states j ON j.id = d.job_id JOIN job_states n ON n.id = d.needs_id ORDER BY text`;
const drained = new Set<string>();

/** Everything can run to its end on one worker: nothing was lost on the way. */
async function expectDrains({ claimed, cancelled }: World, where: string): Promise<void> {
  const standing = JSON.stringify(await on.db.rows(STANDING));
  if (drained.has(standing)) return;
  drained.add(standing);
  const ledger = ledgerOn(on.db);
  const live = () => on.count('job_states WHERE state IN (?)', [LIVE_STATES]);
  for (let round = 0; round < 10 && (await live()) > 0; round++) {
    for (const worker of ['worker-1', 'worker-2', 'worker-3']) await rescue(ledger, worker, 'ended');
    await promote(ledger);
    await ledger.db.transaction((tx) => healSlots(tx, ledger));
    const { jobs } = await claim(ledger, 'last', 50);
    claimed.push(...jobs.map(attemptOf));
    const completions = jobs.map((job) => ({ job }));
    await complete(ledger, 'last', completions, effects);
    on.clock.advance({ seconds: 60 });
  }
  expect(await live(), `${where}: all jobs end`).toBe(0);
  expect(new Set(claimed).size, `${where}: an attempt was given out twice`).toBe(claimed.length);
  await expectSound({ claimed: [], ended: [], cancelled }, `${where}, after the drain`);
}

beforeAll(async () => {
  const migrator = await mysql.createConnection({ ...on.database.migrate });
  // What a handler would store: one row for each attempt whose completion was accepted.
  await migrator.query('CREATE TABLE effects (job_id BINARY(16) NOT NULL, attempt INT NOT NULL, KEY (job_id))');
  await migrator.end();
});

let start: Promise<{ built: World; restore: () => Promise<void> }> | undefined;
/** Built by the first test, for all. */
async function buildOnce() {
  const built = await buildWorld();
  const migrator = await mysql.createConnection({ ...on.database.migrate });
  const restore = await keepRows(on.db, migrator, [...TABLES, 'effects']);
  await migrator.end();
  return { built, restore };
}

const both = PAIRS.flatMap(([one, others]) =>
  others.flatMap((other): [Name, Name][] =>
    one === other
      ? [[one, one]]
      : [
          [one, other],
          [other, one],
        ],
  ),
);

test.each(both)('nothing is lost or doubled when, at any statement of "%s", a "%s" comes in', async (first, second) => {
  start ??= buildOnce();
  const { built, restore } = await start;
  for (let at = 0; ; at++) {
    on.clock.set(LATER);
    await restore();
    const here = { ...built, claimed: [...built.claimed], ended: [...built.ended], cancelled: [] };
    const where = `${second} at statement ${at} of ${first}`;
    const came = await interleave(
      on.db,
      at,
      (db) => HANDS[first](ledgerOn(db), here),
      (db) => HANDS[second](ledgerOn(db), here),
    );
    if (!came) break;
    await expectSound(here, where);
    await expectDrains(here, where);
  }
});
