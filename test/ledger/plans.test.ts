/** What the server makes of the ledger's statements: each is taken from the function that runs it, and explained on ledgers with 3, 300 and 30,000 ready jobs, among the long trials also with 300,000, which the server plans differently. */
import mysql from 'mysql2/promise';
import { describe, expect, test } from 'vitest';
import { cancel, redrive, retry } from '../../services/ledger/control.ts';
import { type Enqueued, enqueue } from '../../services/ledger/enqueue/enqueue.ts';
import { idFromBytes } from '../../services/ledger/id.ts';
import { type Ledger, nowOf } from '../../services/ledger/job.ts';
import { age } from '../../services/ledger/maintain/age.ts';
import { deleteEnded } from '../../services/ledger/maintain/delete.ts';
import { expire } from '../../services/ledger/maintain/expire.ts';
import { promote } from '../../services/ledger/maintain/promote.ts';
import { reap, rescue } from '../../services/ledger/maintain/rescue.ts';
import { readMeshMetrics } from '../../services/ledger/read/metrics.ts';
import { claim } from '../../services/ledger/run/claim.ts';
import { complete, fail, handBack, postpone } from '../../services/ledger/run/complete.ts';
import { heartbeat } from '../../services/ledger/run/heartbeat.ts';
import { openDatabase } from '../../services/platform/database/database.ts';
import { storeWaiting } from '../bench/growth/fill.ts';
import { EXPLAIN } from '../support/database.ts';
import { deleteJobs, STATE_TABLES } from '../support/job-rows.ts';
import { isLong } from '../support/long.ts';
import { ledgerFixture, request, watched } from './fixture.ts';

const on = ledgerFixture();

const room = { maxJobs: 1_000_000, ttlSeconds: 3600 };
const ROOMY = { foreground: room, background_fetch: room, background_analysis: room };

interface Plan {
  select_type: string;
  table: string;
  type: string;
  key: string | null;
  Extra: string | null;
}

/** The plan of each statement that the work runs, made at the moment when it runs. */
async function plansOf(pattern: RegExp, work: (ledger: Ledger) => Promise<unknown>): Promise<{ sql: string; plan: Plan[] }[]> {
  const plans: { sql: string; plan: Plan[] }[] = [];
  const db = watched(on.db, async ({ sql, params }, connection) => {
    if (pattern.test(sql)) plans.push({ sql, plan: await connection.rows<Plan>(`${EXPLAIN} ${sql}`, params) });
  });
  await work(on.ledger({ db, queues: ROOMY }));
  return plans;
}

/** 20,000 jobs in all states, a few hundred of each waiting kind. */
async function fill(): Promise<void> {
  await on.add(
    ...Array.from({ length: 200 }, (_, index) => ({ level: 1 + (index % 10), user: `user-${index % 20}`, dedupeKey: `fetch:${index}` })),
  );
  await on.add(...Array.from({ length: 100 }, (_, index) => ({ type: 'analysis', level: 8, after: [`fetch:${index}`] })));
  await on.add(...Array.from({ length: 200 }, () => ({ runAt: new Date('2026-06-02T14:00:01Z') })));
  await on.take('worker-9', 100);
  const ended = ['completed', 'failed', 'cancelled', 'expired'];
  for (let batch = 0; batch < 4; batch++) {
    await on.add(...Array.from({ length: 5000 }, (_, index) => ({ level: 1 + (index % 10), symbol: `S${index % 50}` })));
    await on.db.run(
      `INSERT INTO ended (job_id, state, attempt, ended_at)
         SELECT r.job_id, ?, 1, j.enqueued_at FROM ready r JOIN jobs j ON j.id = r.job_id WHERE j.user_id IS NULL AND j.type = 'fetch' AND j.dedupe_key IS NULL`,
      [ended[batch]],
    );
    await on.db.run('DELETE r FROM ready r JOIN ended e ON e.job_id = r.job_id');
  }
}

async function storeMany(jobs: number): Promise<void> {
  const root = openDatabase({ ...on.database.options, ...on.database.root, maxConnections: 1 });
  await storeWaiting(root, jobs);
  await root.close();
}

async function analyseTables(): Promise<void> {
  const root = await mysql.createConnection(on.database.root);
  await root.query(`ANALYZE TABLE jobs, ${STATE_TABLES.join(', ')}, job_dependencies, user_slots, slot_waits, job_subscribers`);
  await root.end();
}

/** The walks of an index in its order. */
const walks: [string, RegExp, string, (ledger: Ledger) => Promise<unknown>][] = [
  ['claim', /^\s*SELECT.*FROM ready.*SKIP LOCKED/s, 'PRIMARY', (ledger) => claim(ledger, 'worker-1', 10)],
  [
    'claim of the types of this deployment',
    /^\s*SELECT.*FROM ready.*SKIP LOCKED/s,
    'PRIMARY',
    (ledger) => claim(ledger, 'worker-1', 10, Object.keys(ledger.types)),
  ],
  [
    'claim of some types',
    /FROM ready.*ORDER BY priority, job_id/s,
    'ix_type',
    (ledger) => claim(ledger, 'worker-1', 10, ['fetch', 'analysis']),
  ],
  [
    'claim while jobs need a capability',
    /FROM ready.*ORDER BY priority, job_id/s,
    'ix_type',
    (ledger) => claim(ledger, 'worker-1', 10, Object.keys(ledger.types), undefined, { capabilities: ['region:eu'], tied: true }),
  ],
  [
    'the look for queues with work while jobs need a capability',
    /^\(SELECT queue FROM ready/s,
    'ix_type',
    (ledger) => claim(ledger, 'worker-1', 10, ['batch_fetch'], undefined, { capabilities: ['region:eu'], tied: true }),
  ],
  [
    'the look for needed capabilities',
    /SELECT DISTINCT capability/,
    'ix_type',
    (ledger) => readMeshMetrics(ledger.db, nowOf(ledger), ledger),
  ],
  ['promoter', /FROM scheduled .*due_at <=/, 'ix_due', promote],
  ['expiry of blocked jobs', /FROM blocked .*due_at <=/, 'ix_due', (ledger) => expire(ledger, 'blocked')],
  [
    'ageing from the head',
    /aged/,
    'PRIMARY',
    (ledger) => age(ledger, { intervalSeconds: 60, highestLevel: 4 }, 'background_analysis', undefined),
  ],
  [
    'ageing from a cursor',
    /aged/,
    'PRIMARY',
    (ledger) => age(ledger, { intervalSeconds: 60, highestLevel: 4 }, 'background_analysis', { priority: 80_000, id: Buffer.alloc(16) }),
  ],
  [
    'ageing of the foreground',
    /aged/,
    'PRIMARY',
    (ledger) => age(ledger, { intervalSeconds: 60, highestLevel: 1, toHead: true }, 'foreground', undefined),
  ],
  ['retention', /FROM ended .*ended_at <=/s, 'ix_ended', (ledger) => deleteEnded(ledger, 7)],
  ['redrive', /NOT EXISTS/, 'ix_ended', (ledger) => redrive(ledger, {})],
];

/** Everything that a day in the ledger's life runs. */
async function everything(ledger: Ledger): Promise<void> {
  await enqueue(ledger, [
    request({ level: 9, dedupeKey: 'fetch:AAPL', user: 'ada', dedupeWindowSeconds: 9 }),
    request({ type: 'analysis', dedupeKey: 'analysis:AAPL', after: ['fetch:AAPL'], user: 'ada' }),
  ]);
  await enqueue(ledger, [request({ dedupeKey: 'fetch:AAPL', user: 'bob' }), ...Array.from({ length: 5 }, () => request({ user: 'ada' }))]);
  const whole = request({ type: 'batch_fetch', dedupeKey: 'whole', parts: ['part:1', 'part:2'] });
  const [parent] = await enqueue(ledger, [
    whole,
    request({ type: 'batch_fetch', dedupeKey: 'part:1', items: ['a'] }),
    request({ type: 'batch_fetch', dedupeKey: 'part:2' }),
  ]);
  await cancel(ledger, (parent as Enqueued).id, 'by hand');
  await retry(ledger, (parent as Enqueued).id);
  const { jobs } = await claim(ledger, 'worker-1', 20);
  await heartbeat(ledger, 'worker-1', jobs);
  const [first, second, third, fourth, ...rest] = jobs;
  await complete(ledger, 'worker-1', [{ job: first!, result: {} }]);
  await fail(ledger, 'worker-1', [{ job: second!, error: new Error('x') }]);
  await handBack(ledger, 'worker-1', [third!], 'shutdown');
  await postpone(ledger, 'worker-1', [fourth ?? third!], { code: 'database.unavailable', reason: 'away' });
  if (rest[0] !== undefined) await cancel(ledger, rest[0].id, 'by hand');
  if (rest[0] !== undefined) await retry(ledger, rest[0].id);
  on.clock.advance({ minutes: 20 });
  await promote(ledger);
  await reap(ledger);
  await expire(ledger, 'ready');
  await expire(ledger, 'blocked');
  await rescue(ledger, 'worker-1', 'gone');
  await redrive(ledger, {});
  on.clock.advance({ hours: 400 });
  await enqueue(
    ledger,
    Array.from({ length: 30 }, () => request()),
  );
  await deleteEnded(ledger, 7);
}

/** The walks that leave their index, or whose rows are sorted or copied. */
async function straying(): Promise<object[]> {
  const found: object[] = [];
  for (const [name, pattern, key, work] of walks) {
    const first = (await plansOf(pattern, work))[0]?.plan[0];
    if (first?.key !== key || /filesort|temporary|join buffer/.test(first.Extra ?? ''))
      found.push({ name, key: first?.key, extra: first?.Extra });
  }
  return found;
}

/** What `FOR UPDATE` in a plan would not show: statements that lock every row that they read, in the order in which they read it, and read more than by key. */
async function careless(): Promise<object[]> {
  const plans = (await plansOf(/^\s*(UPDATE|DELETE)|FOR UPDATE|LOCK IN SHARE MODE/, everything)).filter(({ sql }) =>
    /\b(jobs|ready|scheduled|blocked|running|ended|live_keys|slot_waits|user_slots)\b/.test(sql),
  );
  expect(plans.length).toBeGreaterThan(30);
  return plans.flatMap(({ sql, plan }) =>
    plan
      .filter(
        // MySQL lists the table that an INSERT writes, which reads nothing.
        ({ select_type, type, Extra }) =>
          (select_type !== 'INSERT' && /^(ALL|index)$/.test(type) && !/[Tt]able function/.test(Extra ?? '')) ||
          /join buffer/.test(Extra ?? ''),
      )
      .map(({ table, type, Extra }) => ({ sql, table, type, Extra })),
  );
}

// One ledger for both questions: the largest takes half a minute to fill.
test.each(isLong ? [3, 300, 30_000, 300_000] : [3, 300, 30_000])(
  'with %i jobs ready, every walk follows its index and sorts nothing, and every lock is taken by key',
  async (size) => {
    if (size === 3) await on.add({ user: 'ada' }, { type: 'analysis' }, { level: 8 });
    else await fill();
    if (size > 300) await storeMany(size);
    if (size > 3) await analyseTables();
    expect(await straying()).toEqual([]);
    expect(await careless()).toEqual([]);
  },
  // On a busy machine.
  120_000,
);

describe('while one claim is not committed', () => {
  test('the second one gets the next rows at once, from a nearly empty ledger as from a large one', async () => {
    for (const jobs of [6, 600]) {
      await deleteJobs(on.db);
      await on.add(...Array.from({ length: jobs }, () => ({})));
      await on.db.transaction(async (tx) => {
        const held = await tx.rows<{ id: Buffer }>(
          "SELECT job_id AS id FROM ready FORCE INDEX (PRIMARY) WHERE queue = 'foreground' ORDER BY priority, job_id LIMIT 3 FOR UPDATE SKIP LOCKED",
        );
        const taken = await claim(on.ledger(), 'worker-2', 3);
        expect(taken.jobs).toHaveLength(3);
        expect(taken.jobs.map(({ id }) => id)).not.toEqual(expect.arrayContaining([idFromBytes(held[0]!.id)]));
      });
    }
  });
});
