/** A login is answered once, however often it is delivered and whoever could answer it. */
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { ledgerOf } from '../../services/job-types/ledger.ts';
import { idFromBytes } from '../../services/ledger/id.ts';
import type { PortfolioAnswer } from '../../services/logins/answer.ts';
import { answerPending, startAnswering, takePending } from '../../services/logins/pending-answers.ts';
import type { Bus } from '../../services/platform/bus/bus.ts';
import { type Database, openDatabase } from '../../services/platform/database/database.ts';
import { TransientError } from '../../services/platform/errors.ts';
import { defaults } from '../portfolio-priority/service-fixture.ts';
import { type AdmissionOptions, admissionInto } from './admission-fixture.ts';
import { countRows, hold, ledgerFixture, NOW } from './ledger-fixture.ts';

const fixture = ledgerFixture();
const admission = (options: AdmissionOptions = {}) => admissionInto(fixture, options);
type Admitted = ReturnType<typeof admission>;
const answersOf = ({ published }: Admitted): PortfolioAnswer[] =>
  published.filter(({ kind }) => kind === 'portfolio').map(({ message }) => message as PortfolioAnswer);
const owed = (): Promise<number> => countRows(fixture.db, 'login_answers');
const later = (seconds: number): Date => new Date(Date.parse(NOW) + seconds * 1_000);

/** The database, which refuses statements while `refuses` says so. */
function faulty(refuses: (sql: string) => boolean): Database {
  const { db } = fixture;
  const away = new TransientError('database.unavailable', 'the database is away');
  return Object.create(db, {
    run: { value: async (sql: string, params?: readonly unknown[]) => (refuses(sql) ? Promise.reject(away) : db.run(sql, params)) },
  }) as Database;
}

describe('a login that is delivered again', () => {
  test('to another process is not answered again', async () => {
    await hold(fixture.db, { alice: ['AAPL'] });
    const [first, second] = [admission(), admission()];
    const answer = await first.admitLogin({ userId: 'alice', at: NOW });
    await first.idle();
    expect(await second.admitLogin({ userId: 'alice', at: NOW })).toMatchObject({ total: answer.total });
    await second.idle();
    expect([first, second].map((one) => answersOf(one).length)).toEqual([1, 0]);
    expect(await owed()).toBe(0);
  });

  test('in the same batch is answered once', async () => {
    await hold(fixture.db, { alice: ['AAPL'] });
    const once = admission();
    await Promise.all([once.admitLogin({ userId: 'alice', at: NOW }), once.admitLogin({ userId: 'alice', at: NOW })]);
    await once.idle();
    expect(answersOf(once)).toHaveLength(1);
  });

  test('while its first process has not answered it yet is left to that', async () => {
    await hold(fixture.db, { alice: ['AAPL'] });
    const away = admission({ bus: { state: 'offline' } });
    await away.admitLogin({ userId: 'alice', at: NOW });
    await away.idle();
    const second = admission();
    await second.admitLogin({ userId: 'alice', at: NOW });
    await second.idle();
    expect([answersOf(second).length, await owed()]).toEqual([0, 1]);
  });
});

test.each([
  [true, 1, 'where each process hears every login'],
  [false, 2, 'where each login goes to one process, it has come twice'],
] as const)(
  'heard by all %s: a login without a time of its own that two processes get is answered %i times: %s',
  async (heardByAll, times, _) => {
    await hold(fixture.db, { alice: ['AAPL'] });
    const both = [admission({ heardByAll }), admission({ heardByAll })];
    for (const { admitLogin, idle } of both) {
      await admitLogin({ userId: 'alice' });
      fixture.clock.advance({ milliseconds: 5 });
      await idle();
    }
    expect(both.flatMap(answersOf)).toHaveLength(times);
  },
);

test('of two processes that want to answer the same login one does', { repeats: 4 }, async () => {
  await hold(fixture.db, { alice: ['AAPL'] });
  const away = admission({ bus: { state: 'offline' } });
  await away.admitLogin({ userId: 'alice', at: NOW });
  await away.idle();
  const other = openDatabase(fixture.database.options);
  onTestFinished(() => other.close());
  const both = [admission(), admission({ db: other })];
  const counts = await Promise.all(
    both.map(({ bus }, nth) => answerPending({ db: nth === 0 ? fixture.db : other }, bus, { now: later(11), before: later(1) })),
  );
  expect(counts.sort()).toEqual([0, 1]);
  expect(both.flatMap(answersOf)).toHaveLength(1);
});

test('an answer that a process has taken and not given is free again after ten seconds', async () => {
  await hold(fixture.db, { alice: ['AAPL'] });
  const away = admission({ bus: { state: 'offline' } });
  await away.admitLogin({ userId: 'alice', at: NOW });
  await away.idle();
  const [row] = await fixture.db.rows<{ id: Buffer }>('SELECT id FROM login_answers');
  const id = idFromBytes(row!.id);
  const taken: boolean[] = [];
  for (const seconds of [20, 29, 31, 40]) taken.push(await takePending(fixture, id, later(seconds)));
  expect(taken).toEqual([true, false, true, false]);
});

test('an answer that the broker took too slowly is owed, and given later', async () => {
  await hold(fixture.db, { alice: ['AAPL'] });
  const publish = async (kind: string) => {
    if (kind === 'portfolio')
      throw new TransientError('bus.timeout', 'portfolio/alice/priority: the broker did not acknowledge it within 5000 ms');
  };
  const slow = admission({ bus: { publish: publish as Bus['publish'] } });
  await slow.admitLogin({ userId: 'alice', at: NOW });
  await slow.idle();
  expect([await owed(), slow.lines.filter(({ level }) => level >= 50)]).toEqual([1, []]);
  const other = admission();
  expect(await answerPending(fixture, other.bus, { now: later(11), before: later(1) })).toBe(1);
  expect([answersOf(other).length, await owed()]).toEqual([1, 0]);
});

test('a row whose answers are published and that could not be deleted is deleted when the database is back', async () => {
  await hold(fixture.db, { alice: ['AAPL'] });
  let isAway = true;
  const db = faulty((sql) => isAway && sql.startsWith('DELETE FROM login_answers'));
  const one = admission({ db });
  await one.admitLogin({ userId: 'alice', at: NOW });
  await vi.waitFor(() => expect(one.lines.map(({ msg }) => msg)).toContainEqual(expect.stringContaining('their rows not deleted yet')), {
    timeout: 10_000,
  });
  expect([answersOf(one).length, await owed()]).toEqual([1, 1]);
  isAway = false;
  await expect.poll(owed, { timeout: 10_000 }).toBe(0);
});

test('logins whose commit reached the database and was not heard of are answered once the database is back', async () => {
  await hold(fixture.db, { alice: ['AAPL'] });
  let lost = false;
  const { db } = fixture;
  const losing = Object.create(db, {
    transaction: {
      async value(work: Parameters<Database['transaction']>[0]) {
        const result = await db.transaction(work);
        if (lost) return result;
        lost = true;
        throw new TransientError('database.unavailable', 'the connection was lost');
      },
    },
  }) as Database;
  const one = admission({ db: losing });
  await expect(one.admitLogin({ userId: 'alice', at: NOW })).rejects.toThrow('the connection was lost');
  await one.admitLogin({ userId: 'alice', at: NOW });
  await one.idle();
  expect(answersOf(one)).toMatchObject([{ user_id: 'alice' }]);
  expect(await owed()).toBe(0);
});

test('whoever answers for others gives them five seconds to delete what they have answered, when the database was away', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  await hold(fixture.db, { alice: ['AAPL'] });
  const away = admission({ bus: { state: 'offline' } });
  await away.admitLogin({ userId: 'alice', at: NOW });
  await away.idle();
  fixture.clock.set(later(20).toISOString());
  let looks = 0;
  const db = faulty((sql) => sql.includes('INTO leases') && looks++ === 0);
  const { bus } = admission();
  const published: unknown[] = [];
  const watched = { ...bus, publish: async (_: string, message: unknown) => void published.push(message), onState: () => () => {} };
  const log = pino({ level: 'silent' });
  const stop = startAnswering({
    ledger: ledgerOf(db, fixture.clock, defaults),
    bus: watched as unknown as Pick<Bus, 'publish' | 'state' | 'onState'>,
    log,
    instance: 'pp2',
  });
  onTestFinished(stop);
  const given: number[] = [];
  for (const expected of [1, 2]) {
    await expect.poll(() => looks, { timeout: 10_000 }).toBe(expected);
    await delay(200);
    given.push(published.length);
    await vi.advanceTimersByTimeAsync(5_000);
  }
  expect(given).toEqual([0, 0]);
  await expect.poll(() => published.length, { timeout: 10_000 }).toBe(1);
});
