/** i. Weekly picks without a model: the first report of a worker, which reads and screens the universe, and the weekly run of many users. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { weeklyRun } from '../../services/job-types/picks/weekly.ts';
import { enqueueWith } from '../../services/ledger/enqueue/enqueue.ts';
import { ProfileSchema, RISK_TOLERANCES } from '../../services/picks/profile.ts';
import { storeProfile } from '../../services/picks/store/profiles.ts';
import { loadConfig } from '../../services/platform/config/load.ts';
import { startTestMesh, type TestMesh, untilAllEnded } from '../faults/mesh.ts';
import { inventedMembers } from '../picks/invented-universe.ts';
import { movedTo, storeUniverse } from '../picks/stored-universe.ts';
import type { Bench } from './report/bench.ts';
import { figure, print, progress, table, verdicts } from './report/report.ts';
import { timed } from './report/statistics.ts';

const SYMBOLS = 500;
const USERS = 1_000;
const AIM_ONE_MS = 1_000;
const AIM_RUN_MS = 30_000;

export async function picksSection({ quick, workers }: Pick<Bench, 'quick' | 'workers'>): Promise<unknown> {
  const users = quick ? 50 : USERS;
  progress(`i. weekly picks: storing ${SYMBOLS} symbols`);
  const mesh = await startTestMesh();
  const members = movedTo(Temporal.Now.instant(), inventedMembers(SYMBOLS));
  await storeUniverse(mesh.db, members);
  const file = join(mesh.dataFolder, 'bench.yaml');
  writeFileSync(
    file,
    JSON.stringify({
      job_processor: { picks: { universe: { lists: [{ name: 'invented', symbols: members.map(({ symbol }) => symbol) }] } } },
    }),
  );
  process.env.STOCKMESH_CONFIG = file;
  for (let index = 0; index < workers; index++) await mesh.service('worker');

  progress('i. weekly picks: one report');
  await storeProfile(mesh.db, 'first', ProfileSchema.parse({}), new Date());
  const oneMs = await timed(() => run(mesh, file));
  const [first] = await mesh.db.rows<{ ms: string }>(
    "SELECT JSON_VALUE(result, '$.ms') AS ms FROM ended r JOIN jobs j ON j.id = r.job_id WHERE j.type = 'picks'",
  );

  progress(`i. weekly picks: ${users} users`);
  for (let index = 0; index < users; index++)
    await storeProfile(
      mesh.db,
      `user-${index}`,
      ProfileSchema.parse({ risk_tolerance: RISK_TOLERANCES[index % 3], monthly_budget: 100 + index }),
      new Date(),
    );
  const runMs = await timed(() => run(mesh, file));
  const [stored] = await mesh.db.rows<{ n: number; bytes: string }>(
    'SELECT COUNT(*) AS n, AVG(LENGTH(document)) AS bytes FROM weekly_reports',
  );
  progress('');
  await mesh.stop();

  print(`\ni. Weekly picks of ${SYMBOLS} symbols without a model, ${workers} workers\n`);
  print(
    table(
      ['', 'milliseconds'],
      [
        ['the first report: read, screened, stored', oneMs],
        ['of it in the handler', Number(first?.ms)],
        [`weekly run of ${figure(users)} users`, runMs],
        ['of it a report', runMs / users],
      ],
    ),
  );
  print(`  ${stored?.n} reports, ${figure(Math.round(Number(stored?.bytes) / 1024))} KB each\n`);
  print(
    verdicts([
      { aim: `a report under ${AIM_ONE_MS} ms`, measured: `${figure(oneMs)} ms`, met: oneMs < AIM_ONE_MS },
      {
        aim: `${figure(USERS)} users under ${AIM_RUN_MS / 1000} s`,
        measured: `${figure(runMs / 1000)} s for ${users}`,
        met: (runMs * USERS) / users < AIM_RUN_MS,
      },
    ]),
  );
  return { symbols: SYMBOLS, users, workers, oneMs, handlerMs: Number(first?.ms), runMs };
}

/** Asks for the reports of all users who have none, and waits for them. */
async function run({ db, ledger, announcer }: TestMesh, file: string): Promise<void> {
  const { config } = loadConfig({ env: {}, files: [file] });
  const requests = await weeklyRun(ledger, config, { cause: 'scheduled_update', rules: config.jobs.priority_rules });
  await announcer.enqueued(await db.transaction((tx) => enqueueWith(tx, ledger, requests)));
  await untilAllEnded(db, 300_000);
}
