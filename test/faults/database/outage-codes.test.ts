/**
 * Walks the list of errors that mean "the database is away", at each place that matters: nothing is acknowledged, nothing is lost or done twice, no attempt is used. The
 * errors come from a proxy that answers in the server's place, so the driver meets them as it would meet the server's.
 */
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { createEnqueuer } from '../../../services/ledger/enqueue/enqueuer.ts';
import { createAdmission } from '../../../services/logins/admission.ts';
import { openDatabase } from '../../../services/platform/database/database.ts';
import { OUTAGES_BY_NUMBER } from '../../../services/platform/database/outage.ts';
import { silent } from '../../broker/peers.ts';
import { testDatabase } from '../../support/database.ts';
import { type DatabaseProxy, startDatabaseProxy } from '../../support/database-proxy.ts';
import { configWith, fetching, held, nothing, offline, openWorkshop, sweep, type Workshop } from '../../worker/workshop.ts';

/** What the list held when it was written, from the servers' own lists of errors: a code that is taken out by mistake is missed. */
const NUMBERS = [
  ...[1021, 1026, 1037, 1040, 1041, 1042, 1043, 1047, 1053, 1077, 1079, 1080, 1114, 1129, 1135, 1152, 1158, 1159, 1160, 1161, 1180, 1184],
  ...[1203, 1206, 1226, 1290, 1317, 1792, 1836, 1927, 1969, 2002, 2003, 2006, 2013, 2055, 3024, 3032, 3100, 3168, 3169, 4031, 4166, 9001],
];

let proxy: DatabaseProxy;
let shop: Workshop;
let drop: () => Promise<void>;
beforeAll(async () => {
  const database = await testDatabase();
  drop = database.drop;
  proxy = await startDatabaseProxy(inject('databaseServer'));
  shop = openWorkshop({ ...database.options, socketPath: undefined, host: proxy.host, port: proxy.port });
});
beforeEach(() => sweep(shop.db));
afterAll(async () => {
  await shop.db.close();
  await proxy.close();
  await drop();
});

/** The outcome of each code, for a message that names those that are wrong. */
async function walk<T>(visit: (errno: number) => Promise<T>): Promise<Map<number, T>> {
  const outcomes = new Map<number, T>();
  for (const errno of NUMBERS) outcomes.set(errno, await visit(errno));
  return outcomes;
}
const each = <T>(outcome: T): Map<number, T> => new Map(NUMBERS.map((errno) => [errno, outcome]));

test('the list is the one that is walked', () => {
  expect([...OUTAGES_BY_NUMBER.keys()]).toEqual(NUMBERS);
});

test('each entry names its source and its meaning', () => {
  for (const { source, means } of OUTAGES_BY_NUMBER.values())
    expect([source, means]).toEqual([expect.stringMatching(/^https:/), expect.stringMatching(/\w/)]);
});

test('a connection that has met one is never used again', async () => {
  const db = openDatabase({ ...shop.options, maxConnections: 1 });
  const id = async () => (await db.transaction((tx) => tx.rows<{ id: number }>('SELECT CONNECTION_ID() AS id')))[0]?.id;
  const outcomes = await walk(async (errno) => {
    const before = await id();
    proxy.refuse(errno, /SELECT 'refused'/);
    const refused = await db.transaction((tx) => tx.rows("SELECT 'refused'")).catch(({ code }) => code);
    return [refused, before === (await id())];
  });
  expect(outcomes).toEqual(each(['database.unavailable', false]));
  await db.close();
});

test.each([
  ['its rows', /SELECT STRAIGHT_JOIN/],
  ['its commit', /state = 'running'/],
])('a claim that meets one at %s is made again, as the first attempt', async (_, statement) => {
  const handler = fetching(async () => nothing);
  shop.worker([handler]);
  const outcomes = await walk(async (errno) => {
    proxy.refuse(errno, statement);
    const [id] = await shop.enqueue({});
    const { attempt, maxAttempts } = await shop.reaches(id!, 'completed');
    return [attempt, maxAttempts];
  });
  expect(outcomes).toEqual(each([1, 4]));
});

test('finished work that meets one is written afterwards, once', async () => {
  shop.worker([
    fetching(
      async ({ symbol }) => ({ ...nothing, rows: [symbol] }),
      async (tx, symbols) => void (await tx.run('INSERT INTO symbols (symbol) VALUES ?', [symbols.map((symbol) => [symbol])])),
    ),
  ]);
  const outcomes = await walk(async (errno) => {
    proxy.refuse(errno, /INSERT INTO ended/);
    const [id] = await shop.enqueue({ symbol: `S${errno}` });
    const { attempt, maxAttempts } = await shop.reaches(id!, 'completed');
    return [attempt, maxAttempts];
  });
  expect(outcomes).toEqual(each([1, 4]));
  expect(await shop.db.rows('SELECT symbol FROM symbols')).toHaveLength(NUMBERS.length);
});

test('a handler that meets one is run again, and no attempt is used', async () => {
  shop.worker([
    fetching(async () => {
      await shop.db.rows('SELECT symbol FROM symbols');
      return nothing;
    }),
  ]);
  const outcomes = await walk(async (errno) => {
    proxy.refuse(errno, /SELECT symbol FROM symbols/);
    const [id] = await shop.enqueue({});
    const { attempt, maxAttempts } = await shop.reaches(id!, 'completed');
    return maxAttempts - attempt;
  });
  expect(outcomes).toEqual(each(3));
});

test('a heartbeat that meets one stops no job', async () => {
  const { handler, started, end } = held();
  shop.worker([handler], { overrides: { 'worker.heartbeat_interval': 0.1 } });
  const [id] = await shop.enqueue({});
  const signal = await started;
  const outcomes = await walk(async (errno) => {
    const before = proxy.met;
    proxy.refuse(errno, /SET due_at = .* AND worker_id = /);
    await expect.poll(() => proxy.met, { interval: 5 }).toBe(before + 1);
    return signal.aborted;
  });
  expect(outcomes).toEqual(each(false));
  end.resolve(nothing);
  expect(await shop.reaches(id!, 'completed')).toMatchObject({ attempt: 1 });
});

test('a request for work that meets one is not answered as accepted, and makes one job when it comes again', async () => {
  const enqueuer = createEnqueuer(shop.ledger);
  const outcomes = await walk(async (errno) => {
    const request = {
      type: 'fetch',
      payload: {},
      level: 1,
      score: 0.5,
      why: {},
      triggeredBy: 'test',
      dedupeKey: `key ${errno}`,
      whenFull: 'refuse' as const,
    };
    proxy.refuse(errno, /INSERT INTO (jobs|live_keys)/);
    const first = await enqueuer.enqueue(request).catch(({ code }) => code);
    const { outcome } = await enqueuer.enqueue(request);
    return [first, outcome];
  });
  expect(outcomes).toEqual(each(['database.unavailable', 'queued']));
  expect(await shop.db.rows('SELECT id FROM job_states')).toHaveLength(NUMBERS.length);
});

test('a login that meets one is not acknowledged, and is committed once when it comes again', async () => {
  const { ledger, announcer } = shop;
  const admission = createAdmission({ ledger, announcer, bus: offline, config: configWith({}), log: silent });
  const at = new Date().toISOString();
  const outcomes = await walk(async (errno) => {
    const login = { userId: `user ${errno}`, at };
    proxy.refuse(errno, /INSERT INTO user_portfolio_priority/);
    const first = await admission.admitLogin(login).catch(({ name }) => name);
    await admission.admitLogin(login);
    return first;
  });
  expect(outcomes).toEqual(each('TransientError'));
  expect(await shop.db.rows('SELECT user_id FROM user_portfolio_priority')).toHaveLength(NUMBERS.length);
  expect(await shop.db.rows('SELECT MIN(activity) AS least, MAX(activity) AS most FROM logins')).toEqual([{ least: 1, most: 1 }]);
});
