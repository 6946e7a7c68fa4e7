import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ledgerOf } from '../../../services/job-types/ledger.ts';
import type { EnqueueAnswer, JobRequest } from '../../../services/ledger/enqueue/enqueue.ts';
import { createEnqueuer } from '../../../services/ledger/enqueue/enqueuer.ts';
import type { Ledger } from '../../../services/ledger/job.ts';
import { systemClock } from '../../../services/platform/clock.ts';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { type Database, fromJson, openDatabase } from '../../../services/platform/database/database.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { deleteJobs } from '../../support/job-rows.ts';

let database: TestDatabase;
let db: Database;
const { config } = loadConfig();

beforeAll(async () => {
  database = await testDatabase();
  db = openDatabase(database.options);
});
beforeEach(async () => {
  await deleteJobs(db);
  await db.run('DELETE FROM job_subscribers');
});
afterAll(async () => {
  await db.close();
  await database.drop();
});

const request = (symbol: string, more: Partial<JobRequest> = {}): JobRequest => ({
  type: 'fetch',
  symbol,
  payload: { symbol },
  level: 1,
  score: 0.5,
  why: { text: 'asked for' },
  triggeredBy: 'user_request',
  whenFull: 'refuse',
  ...more,
});

/** The real ledger, with its transactions counted: how many there were, and how many at once. None begins before the gate is open. */
function counting(gate: Promise<void> = Promise.resolve()): { ledger: Ledger; seen: { transactions: number; atOnce: number } } {
  const seen = { transactions: 0, atOnce: 0 };
  let open = 0;
  const counted: Database = {
    ...db,
    async transaction(work) {
      seen.transactions++;
      seen.atOnce = Math.max(seen.atOnce, ++open);
      try {
        await gate;
        return await db.transaction(work);
      } finally {
        open--;
      }
    },
  };
  return { ledger: ledgerOf(counted, systemClock, config), seen };
}

const storedJobs = async (): Promise<number> => (await db.rows<{ jobs: number }>('SELECT COUNT(*) AS jobs FROM job_states'))[0]?.jobs ?? 0;
const symbols = (count: number) => Array.from({ length: count }, (_, index) => `S${index}`);

describe('an enqueuer', () => {
  test('answers a lone caller with the committed job', async () => {
    const answer = await createEnqueuer(counting().ledger).enqueue(request('AAPL'));
    expect(answer).toMatchObject({ outcome: 'queued', symbol: 'AAPL', state: 'ready' });
    expect(await storedJobs()).toBe(1);
  });

  test('commits what few callers ask for in one turn of the event loop in one transaction', async () => {
    const { ledger, seen } = counting();
    const enqueuer = createEnqueuer(ledger);
    await Promise.all(symbols(16).map((symbol) => enqueuer.enqueue(request(symbol))));
    expect(seen.transactions).toBe(1);
    expect(await storedJobs()).toBe(16);
  });

  test('divides what many ask for among the transactions that may be open, each caller with its own answer', async () => {
    const { ledger, seen } = counting();
    const enqueuer = createEnqueuer(ledger);
    const answers = await Promise.all(symbols(300).map((symbol) => enqueuer.enqueue(request(symbol))));
    expect(answers.map((answer) => 'symbol' in answer && answer.symbol)).toEqual(symbols(300));
    expect(seen).toEqual({ transactions: 2, atOnce: 2 });
    expect(await storedJobs()).toBe(300);
  });

  test('puts at most 500 requests into a transaction and has at most two open', async () => {
    const { ledger, seen } = counting();
    const enqueuer = createEnqueuer(ledger);
    await Promise.all(symbols(1_801).map((symbol) => enqueuer.enqueue(request(symbol))));
    expect(seen.atOnce).toBe(2);
    // Four times 500, or five when the last 301 found both places free and were divided.
    expect([4, 5]).toContain(seen.transactions);
    expect(await storedJobs()).toBe(1_801);
  });

  test('commits one call of more than 500 requests in one transaction, and those beside it in another', async () => {
    const { ledger, seen } = counting();
    const enqueuer = createEnqueuer(ledger);
    const [many, one] = await Promise.all([
      enqueuer.enqueueTogether(symbols(600).map((symbol) => request(symbol))),
      enqueuer.enqueue(request('AAPL')),
    ]);
    expect([many.length, one]).toMatchObject([600, { outcome: 'queued', symbol: 'AAPL' }]);
    expect(seen.transactions).toBe(2);
    expect(await storedJobs()).toBe(601);
  });

  test('lets calls that come while two transactions are open wait for the next one, which takes them all', async () => {
    const gate = Promise.withResolvers<void>();
    const { ledger, seen } = counting(gate.promise);
    const enqueuer = createEnqueuer(ledger);
    const callers: Promise<EnqueueAnswer>[] = [];
    for (const symbol of symbols(18)) {
      callers.push(enqueuer.enqueue(request(symbol)));
      await nextTurn();
    }
    expect(seen.transactions).toBe(2);
    gate.resolve();
    await Promise.all(callers);
    expect(seen.transactions).toBe(3);
    expect(await storedJobs()).toBe(18);
  });

  test('fails the request that cannot be written, and only that one', async () => {
    const enqueuer = createEnqueuer(counting().ledger);
    const [first, bad, last] = await Promise.allSettled([
      enqueuer.enqueue(request('AAPL')),
      enqueuer.enqueue(request('IBM', { type: 'no_such_type' })),
      enqueuer.enqueue(request('MSFT')),
    ]);
    expect(bad).toMatchObject({ status: 'rejected', reason: { message: expect.stringContaining('no_such_type') } });
    expect([first, last]).toMatchObject([{ status: 'fulfilled' }, { status: 'fulfilled' }]);
    expect(await storedJobs()).toBe(2);
  });

  test('goes on after a failure', async () => {
    const enqueuer = createEnqueuer(counting().ledger);
    await expect(enqueuer.enqueue(request('IBM', { type: 'no_such_type' }))).rejects.toThrow('no_such_type');
    await expect(enqueuer.enqueue(request('IBM'))).resolves.toMatchObject({ outcome: 'queued' });
  });

  test('gives callers of the same work the same job, with all of them as subscribers', async () => {
    const enqueuer = createEnqueuer(counting().ledger);
    const users = ['ann', 'bob', 'cid'];
    const answers = await Promise.all(users.map((user) => enqueuer.enqueue(request('AAPL', { user, dedupeKey: 'fetch:AAPL:bars' }))));
    expect(new Set(answers.map((answer) => 'id' in answer && answer.id)).size).toBe(1);
    expect(await db.rows('SELECT user_id FROM job_subscribers ORDER BY user_id')).toEqual(users.map((user_id) => ({ user_id })));
  });

  test('tells of each transaction once, after its commit', async () => {
    const told: { answers: number; rows: Promise<number> }[] = [];
    const enqueuer = createEnqueuer(counting().ledger, {
      onCommitted: (answers) => {
        told.push({ answers: answers.length, rows: storedJobs() });
      },
    });
    await Promise.all(symbols(10).map((symbol) => enqueuer.enqueue(request(symbol))));
    expect(told.map(({ answers }) => answers)).toEqual([10]);
    expect(await told[0]?.rows).toBe(10);
  });

  test('says to every caller that the database is not there, and tries no request twice', async () => {
    const gone = openDatabase({ ...database.options, socketPath: `${database.options.socketPath}.gone` });
    let transactions = 0;
    const ledger = ledgerOf(
      {
        ...gone,
        transaction(work) {
          transactions++;
          return gone.transaction(work);
        },
      },
      systemClock,
      config,
    );
    const enqueuer = createEnqueuer(ledger);
    const outcomes = await Promise.allSettled(symbols(5).map((symbol) => enqueuer.enqueue(request(symbol))));
    expect(outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason.code)).toEqual(Array(5).fill('database.unavailable'));
    expect(transactions).toBe(1);
    await gone.close();
  });
});

describe('requests that belong together', () => {
  test('are one transaction, whatever else is under way, with what must be committed alongside', async () => {
    const { ledger, seen } = counting();
    const enqueuer = createEnqueuer(ledger);
    const alone = Promise.all(Array.from({ length: 50 }, (_, index) => enqueuer.enqueue(request(`ALONE${index}`))));
    const together = await enqueuer.enqueueTogether([request('ONE'), request('OTHER')], async (tx, answers) => {
      const ids = answers.map((answer) => (answer.outcome === 'refused' ? '' : answer.id));
      await tx.run('INSERT INTO settings (name, value, changed_by, changed_at) VALUES (?)', [
        ['alongside', JSON.stringify(ids), 'test', new Date()],
      ]);
    });
    await alone;
    const [row] = await db.rows<{ value: unknown }>("SELECT value FROM settings WHERE name = 'alongside'");
    expect(fromJson(row?.value)).toEqual(together.map((answer) => (answer as { id: string }).id));
    expect(seen.transactions).toBeLessThan(10);
  });

  test('are not committed when what stands alongside fails, and others of the same batch are', async () => {
    const enqueuer = createEnqueuer(counting().ledger);
    const [failed, other] = await Promise.allSettled([
      enqueuer.enqueueTogether([request('FAILS')], () => Promise.reject(new Error('no room for the callback'))),
      enqueuer.enqueue(request('STAYS')),
    ]);
    expect(failed).toMatchObject({ status: 'rejected', reason: { message: 'no room for the callback' } });
    expect(other.status).toBe('fulfilled');
    expect(await db.rows('SELECT symbol FROM job_states')).toEqual([{ symbol: 'STAYS' }]);
  });

  test('none at all are answered too', async () => {
    expect(await createEnqueuer(counting().ledger).enqueueTogether([])).toEqual([]);
  });
});
