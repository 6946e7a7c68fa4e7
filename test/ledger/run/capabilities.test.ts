/** Jobs that need a capability, and workers that have it or not. */
import { describe, expect, test } from 'vitest';
import { type Enqueued, enqueue } from '../../../services/ledger/enqueue/enqueue.ts';
import { type Claim, claim, type Places } from '../../../services/ledger/run/claim.ts';
import { complete } from '../../../services/ledger/run/complete.ts';
import { healSlots } from '../../../services/ledger/run/slots.ts';
import { openDatabase } from '../../../services/platform/database/database.ts';
import { storeWaiting } from '../../bench/growth/fill.ts';
import { isLong } from '../../support/long.ts';
import { ledgerFixture, request, stoppingAtCommit, tied, watched } from '../fixture.ts';

const on = ledgerFixture();

const EU = 'region:eu';
const US = 'region:us';
const ALL_TYPES = ['fetch', 'batch_fetch', 'analysis'];

async function take(limit: number, places: Places = {}, types?: readonly string[]): Promise<string[]> {
  return (await claim(on.ledger(), 'worker-1', limit, types, undefined, places)).jobs.map(({ id }) => id);
}

describe.each([
  ['any type', undefined],
  ['all types by name', ALL_TYPES],
  ['some types', ['fetch', 'analysis']],
])('a worker for %s', (_, types) => {
  test('takes no job that needs a capability which it lacks, and all others', async () => {
    const [eu, plain, us] = await on.add(tied(EU), { level: 5 }, { ...tied(US), level: 3 });
    expect(await take(10, {}, types)).toEqual([plain]);
    expect(await take(10, { capabilities: [US, 'gpu'] }, types)).toEqual([us]);
    expect(await on.state(eu as string)).toBe('ready');
  });

  test('takes those that need what it has and those that need nothing in the order of their urgency', async () => {
    const ids = await on.add(
      { ...tied(EU), score: 0.9 },
      { score: 0.8 },
      { ...tied(US), score: 0.7 },
      { ...tied(EU), score: 0.6 },
      { type: 'analysis', score: 0.5 },
    );
    expect(await take(3, { capabilities: [EU, US] }, types)).toEqual(ids.slice(0, 3));
    expect(await take(10, { capabilities: [EU, US] }, types)).toEqual(ids.slice(3));
  });

  test('goes on to the other queues past the jobs of others', async () => {
    const [, background] = await on.add(tied(EU), { level: 8 });
    expect(await take(10, { capabilities: [US] }, types)).toEqual([background]);
  });
});

test('a claim says whether jobs need a capability, for the next one of the worker', async () => {
  const look = (places?: Places): Promise<Claim> => claim(on.ledger(), 'worker-1', 10, ALL_TYPES, undefined, places);
  expect(await look()).toEqual({ jobs: [], blocked: [], undecided: false, tied: false });
  const [eu] = await on.add(tied(EU));
  expect(await look()).toEqual({ jobs: [], blocked: [], undecided: false, tied: true });
  expect(await look({ capabilities: [EU], tied: true })).toMatchObject({ jobs: [{ id: eu }], tied: false });
  expect(await look({ tied: true })).toMatchObject({ jobs: [], tied: false });
});

test('a job that needs a capability and comes while the claim is under way is not claimed with the others', async () => {
  const [plain] = await on.add({});
  let added: string[] = [];
  // Between the look whether there are such jobs and the walk, which no test can reach: so the look is taken away.
  const db = watched(on.db, async ({ sql }) => {
    if (added.length === 0 && /FROM ready.*SKIP LOCKED/s.test(sql)) added = await on.add({ ...tied(EU), score: 0.9 });
  });
  const withoutLook: typeof db = {
    ...db,
    transaction: (work) =>
      db.transaction((tx) =>
        work({ ...tx, rows: (sql, params) => tx.rows(sql.replace(/ AND \(SELECT 1 FROM ready w .*?\) IS NULL/s, ''), params) }),
      ),
  };
  const { jobs } = await claim(on.ledger({ db: withoutLook }), 'worker-1', 10, ALL_TYPES);
  expect(added).toHaveLength(1);
  expect(jobs.map(({ id }) => id)).toEqual([plain]);
});

test('a worker does not wait for the one that claims jobs of a region at this moment', async () => {
  const [eu, plain] = await on.add(tied(EU), {});
  const stopping = stoppingAtCommit(on.db);
  const first = claim(on.ledger({ db: stopping.db }), 'worker-1', 1, ALL_TYPES, undefined, { capabilities: [EU], tied: true });
  await stopping.arrived;
  expect(await take(10, {}, ALL_TYPES)).toEqual([plain]);
  stopping.open();
  expect((await first).jobs.map(({ id }) => id)).toEqual([eu]);
});

test('a request that joins a live job does not change what that needs', async () => {
  const [first] = await on.add({ ...tied(EU), dedupeKey: 'fetch:AAPL' });
  const [joined] = await on.add({ dedupeKey: 'fetch:AAPL', level: 1, score: 1 });
  expect(joined).toBe(first);
  expect(await take(10)).toEqual([]);
  expect(await take(10, { capabilities: [EU] })).toEqual([first]);
});

test("a job of a region without workers takes no slot of its user's other jobs", async () => {
  const ledger = on.ledger({ slotsPerUser: 1 });
  const ask = async (...some: Parameters<typeof request>[0][]): Promise<string[]> =>
    (
      await enqueue(
        ledger,
        some.map((one) => request({ user: 'ada', ...one })),
      )
    ).map((answer) => (answer as Enqueued).id);
  const claimed = async (places: Places): Promise<string[]> =>
    (await claim(ledger, 'worker-1', 10, ALL_TYPES, undefined, places)).jobs.map(({ id }) => id);
  const [running, eu, plain] = (await ask({ score: 0.9 }, { ...tied(EU), score: 0.8 }, { score: 0.7 })) as [string, string, string];
  expect(await claimed({ capabilities: [EU] })).toEqual([running]);
  expect([await on.state(eu), await on.state(plain)]).toEqual(['blocked', 'blocked']);
  // Its slot goes to the job of the region, whose workers are gone now.
  const [job] = await on.db.rows<{ attempt: number }>('SELECT attempt FROM running');
  await complete(ledger, 'worker-1', [{ job: { id: running, type: 'fetch', symbol: 'AAPL', attempt: job?.attempt ?? 0 } as never }]);
  expect([await on.state(eu), await claimed({})]).toEqual(['ready', []]);
  await ledger.db.transaction((tx) => healSlots(tx, ledger));
  expect(await claimed({})).toEqual([plain]);
});

/** Rows and index entries that the server reads for the work, by its own count. */
async function readsOf(work: (db: ReturnType<typeof openDatabase>) => Promise<unknown>): Promise<number> {
  const db = openDatabase({ ...on.database.options, maxConnections: 1 });
  const read = async (): Promise<number> =>
    (await db.rows<{ Value: string }>("SHOW SESSION STATUS LIKE 'Handler_read%'")).reduce((sum, { Value }) => sum + Number(Value), 0);
  const before = await read();
  await work(db);
  const after = await read();
  await db.close();
  return after - before;
}

const room = { maxJobs: 10_000_000, ttlSeconds: 3600 };
const ROOMY = { foreground: room, background_fetch: room, background_analysis: room };
/** Short: a twentieth, which shows a walk over them as well. */
const MANY = isLong ? 1_000_000 : 50_000;

test(`${MANY} more urgent jobs of another region cost a claim nothing`, { timeout: 600_000 }, async () => {
  const root = openDatabase({ ...on.database.options, ...on.database.root, maxConnections: 1 });
  const reads: Record<string, number> = {};
  for (const [who, front] of [
    ['behind few', 20],
    ['behind many', MANY],
  ] as const) {
    for (const table of ['ready', 'running', 'jobs']) await root.run(`TRUNCATE ${table}`);
    await storeWaiting(root, front);
    await root.long.run("UPDATE jobs SET capability = 'region:eu'");
    await root.long.run("UPDATE ready SET capability = 'region:eu'");
    await enqueue(
      on.ledger({ queues: ROOMY }),
      [{}, tied(US)].flatMap((one) => Array.from({ length: 8 }, () => request({ ...one, level: 2 }))),
    );
    for (const [name, places, types] of [
      ['all types', { tied: true }, ALL_TYPES],
      ['its first claim', {}, ALL_TYPES],
      ['any type', {}, undefined],
      ['a region', { capabilities: [US], tied: true }, ALL_TYPES],
    ] as const) {
      const before = await on.count('running');
      reads[`${who}, ${name}`] = await readsOf((db) => claim(on.ledger({ db }), 'worker-1', 2, types, undefined, places));
      expect(await on.count('running'), `${who}, ${name}`).toBe(before + 2);
    }
  }
  await root.close();
  const of = (who: string): number[] => Object.entries(reads).flatMap(([name, count]) => (name.startsWith(who) ? [count] : []));
  const few = of('behind few');
  for (const [index, count] of of('behind many').entries())
    expect(count, JSON.stringify(reads)).toBeLessThanOrEqual((few[index] ?? 0) + 20);
});
