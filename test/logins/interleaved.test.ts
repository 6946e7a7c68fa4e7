/** Two transactions at once, one of them stopped between two statements on purpose. */
import { describe, expect, test } from 'vitest';
import { fetchKey } from '../../services/job-types/fetch/request.ts';
import { ledgerOf } from '../../services/job-types/ledger.ts';
import { enqueue } from '../../services/ledger/enqueue/enqueue.ts';
import { claim } from '../../services/ledger/run/claim.ts';
import { complete } from '../../services/ledger/run/complete.ts';
import { prefetch } from '../../services/logins/prediction.ts';
import type { Database, Transaction } from '../../services/platform/database/database.ts';
import { defaults } from '../portfolio-priority/service-fixture.ts';
import { admissionInto } from './admission-fixture.ts';
import { countRows, hold, ledgerFixture, makeFresh, NOW } from './ledger-fixture.ts';

const fixture = ledgerFixture();
const ledger = (db = fixture.db) => ledgerOf(db, fixture.clock, defaults);
const minutesAgo = (minutes: number) => new Date(Date.parse(NOW) - minutes * 60_000).toISOString();

/** The database, with `between` run after the first read of a transaction that `which` matches (statement and values), before its rows are used. */
function stopping(which: RegExp, between: () => Promise<void>): Database {
  let stopped = false;
  return {
    ...fixture.db,
    transaction: (work) =>
      fixture.db.transaction((tx) => {
        const rows: Transaction['rows'] = async (sql, params) => {
          const found = await tx.rows(sql, params);
          if (!stopped && which.test(`${sql} ${JSON.stringify(params)}`)) {
            stopped = true;
            await between();
          }
          return found as never;
        };
        return work({ ...tx, rows });
      }),
  };
}

/** A fetch that runs; the result ends it, and the symbol is fresh then. */
async function runningFetch(symbol: string): Promise<() => Promise<void>> {
  await enqueue(ledger(), [
    {
      ...{ type: 'fetch', symbol, payload: { symbol }, dedupeKey: fetchKey(symbol) },
      ...{ level: 1, score: 1, why: { text: 'asked for' }, triggeredBy: 'user_request', whenFull: 'refuse' as const },
    },
  ]);
  const { jobs } = await claim(ledger(), 'w1', 1);
  return async () => {
    await complete(ledger(), 'w1', [{ job: jobs[0]! }], async () => makeFresh(fixture.db, [symbol]));
  };
}

// Whichever is read first, jobs or states: the fetch ends between the two. Then its job was seen alive, or its bars must be seen.
describe('a fetch that ends between the reads of jobs and of states is not asked for again', () => {
  const of = (symbol: string) => new RegExp(`FROM (live_keys|symbols) [^]*${symbol}`);

  test('at a login', async () => {
    await hold(fixture.db, { alice: ['AAPL'] });
    const { admitLogin } = admissionInto(fixture, { db: stopping(of('AAPL'), await runningFetch('AAPL')) });
    expect(await admitLogin({ userId: 'alice', at: NOW })).toMatchObject({ queued: 0, fresh: 1 });
    expect(await countRows(fixture.db, 'jobs')).toBe(1);
  });

  test('for the rate of a currency', async () => {
    await hold(fixture.db, { alice: ['VOD.L'] });
    await makeFresh(fixture.db, ['VOD.L']);
    await fixture.db.run("UPDATE symbols SET currency = 'GBp'");
    const { admitLogin } = admissionInto(fixture, { db: stopping(of('GBPUSD=X'), await runningFetch('GBPUSD=X')) });
    expect((await admitLogin({ userId: 'alice', at: NOW })).jobs).toEqual([]);
    expect(await countRows(fixture.db, 'jobs')).toBe(1);
  });

  test('before a login that is expected', async () => {
    await hold(fixture.db, { alice: ['AAPL'] });
    const days = [1, 2, 3].map((ago) => Math.floor(Date.parse(NOW) / 86_400_000) - ago);
    const hours = Array.from({ length: 24 }, (_, hour) => (hour === 16 ? days : []));
    await fixture.db.run('INSERT INTO logins (user_id, activity, last_login_at, hours) VALUES (?)', [
      ['alice', 3, new Date(minutesAgo(24 * 60)), JSON.stringify(hours)],
    ]);
    const db = stopping(of('AAPL'), await runningFetch('AAPL'));
    expect(await prefetch(ledger(db), defaults)).toEqual({ users: 1, queued: 0 });
    expect(await countRows(fixture.db, 'jobs')).toBe(1);
  });
});

describe('two instances that commit a login of one user at once', () => {
  const READ_ACTIVITY = /FROM logins WHERE/;
  const activity = async () => (await fixture.db.rows<{ activity: number }>('SELECT activity FROM logins'))[0]!.activity;
  /** Resolves when another transaction waits for a lock. */
  const lockWait = () =>
    expect
      .poll(
        async () => Number((await fixture.db.rows<{ Value: string }>("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'"))[0]?.Value),
        {
          ...{ interval: 5, timeout: 10_000 },
        },
      )
      .toBeGreaterThan(0);

  test('count both: the second waits for the first', async () => {
    await admissionInto(fixture).admitLogin({ userId: 'alice', at: minutesAgo(3) });
    let second: Promise<unknown> = Promise.resolve();
    const first = admissionInto(fixture, {
      db: stopping(READ_ACTIVITY, async () => {
        second = admissionInto(fixture).admitLogin({ userId: 'alice', at: minutesAgo(1) });
        await Promise.race([second, lockWait()]);
      }),
    });
    await first.admitLogin({ userId: 'alice', at: minutesAgo(2) });
    await second;
    // Minutes decay nothing that shows in two decimals.
    expect(await activity()).toBeCloseTo(3, 2);
  });

  test('count both when the user is new: there is no row to wait for', async () => {
    const first = admissionInto(fixture, {
      db: stopping(READ_ACTIVITY, async () => {
        await admissionInto(fixture).admitLogin({ userId: 'alice', at: minutesAgo(2) });
      }),
    });
    await first.admitLogin({ userId: 'alice', at: minutesAgo(1) });
    expect(await activity()).toBeCloseTo(2, 2);
  });
});

test('logins of one batch that come out of order count all, each at its hour', async () => {
  const { admitLogin, counters } = admissionInto(fixture);
  await Promise.all([1, 121, 61].map((minutes) => admitLogin({ userId: 'alice', at: minutesAgo(minutes) })));
  expect(counters).toMatchObject({ admitted: 3, batches: 1 });
  const [row] = await fixture.db.rows<{ activity: number; last_login_at: Date; hours: string | number[][] }>('SELECT * FROM logins');
  // Two hours decay less than a hundredth with a half-life of 7 days.
  expect(row!.activity).toBeCloseTo(3, 1);
  expect(row!.last_login_at).toEqual(new Date(minutesAgo(1)));
  const hours = (typeof row!.hours === 'string' ? JSON.parse(row!.hours) : row!.hours) as number[][];
  // NOW is 16:00: a minute ago is 15:59, 61 minutes 14:59, 121 minutes 13:59.
  expect(hours.flatMap((days, hour) => (days.length > 0 ? [hour] : []))).toEqual([13, 14, 15]);
});
