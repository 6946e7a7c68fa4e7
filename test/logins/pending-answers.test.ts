/** Answers to logins: published first, and given again when they were lost. */

import { pino } from 'pino';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { ledgerOf } from '../../services/job-types/ledger.ts';
import type { PortfolioAnswer } from '../../services/logins/answer.ts';
import { answerPending, startAnswering } from '../../services/logins/pending-answers.ts';
import type { Bus } from '../../services/platform/bus/bus.ts';
import type { TopicKind } from '../../services/platform/topics.ts';
import { defaults } from '../portfolio-priority/service-fixture.ts';
import { type AdmissionOptions, admissionInto, withLimits } from './admission-fixture.ts';
import { countRows, hold, ledgerFixture, makeFresh, NOW, symbolsOf } from './ledger-fixture.ts';

const fixture = ledgerFixture();
const admission = (options: AdmissionOptions = {}) => admissionInto(fixture, options);

describe('answers', () => {
  test('are published before the doorbells of their jobs, and do not wait for them', async () => {
    await hold(fixture.db, { alice: ['AAPL', 'IBM'], bob: ['AAPL'] });
    const kinds: TopicKind[] = [];
    const publish = (kind: TopicKind): Promise<void> => {
      kinds.push(kind);
      return kind === 'job' ? new Promise<void>(() => {}) : Promise.resolve();
    };
    const { admitLogin } = admission({ bus: { publish } });
    await Promise.all(['alice', 'bob'].map((userId) => admitLogin({ userId, at: NOW })));
    expect(kinds.slice(0, 3)).toEqual(['portfolio', 'portfolio', 'job']);
    await expect.poll(() => countRows(fixture.db, 'login_answers')).toBe(0);
  });

  test('that no broker has taken stay pending, and are given again from the rows as they were', async () => {
    await hold(fixture.db, { alice: symbolsOf(4), bob: ['AAA'] });
    await makeFresh(fixture.db, ['AAC', 'AAD']);
    await fixture.db.run("UPDATE symbols SET newest_bar = '2021-03-31', as_of = '2021-03-31 20:00:00' WHERE symbol = 'AAD'");
    const away = admission({ bus: { state: 'offline' } });
    const answers = await Promise.all(['alice', 'bob'].map((userId) => away.admitLogin({ userId, at: NOW })));
    await away.idle();
    expect(await countRows(fixture.db, 'login_answers')).toBe(1);

    const { published, bus } = admission();
    const now = new Date(Date.parse(NOW) + 1_000);
    expect(await answerPending(fixture, bus, { now, before: now })).toBe(2);
    const given = new Map(published.map(({ message }) => [(message as PortfolioAnswer).user_id, message as PortfolioAnswer]));
    expect(given.get('alice')).toEqual(answers[0]);
    // A job that several users want keeps the reasons of one of them.
    const withoutReasons = ({ jobs, ...answer }: PortfolioAnswer) => ({ ...answer, jobs: jobs.map(({ why: _, ...job }) => job) });
    expect(withoutReasons(given.get('bob')!)).toEqual(withoutReasons(answers[1]!));
    expect(await countRows(fixture.db, 'login_answers')).toBe(0);
    expect(await answerPending(fixture, bus, { now, before: now })).toBe(0);
  });

  test('of a login that was refused for want of room are given again with the reason', async () => {
    await hold(fixture.db, { alice: symbolsOf(4) });
    const rules = withLimits({ foreground: 1, background_fetch: 1, background_analysis: 1 });
    const away = admission({ bus: { state: 'offline' }, config: rules });
    const answer = await away.admitLogin({ userId: 'alice', at: NOW });
    await away.idle();
    const { published, bus } = admission();
    const now = new Date(Date.parse(NOW) + 1_000);
    await answerPending(fixture, bus, { now, before: now });
    const { total, queued, fresh, joined, refused } = answer;
    expect(published[0]!.message).toMatchObject({
      total,
      queued,
      fresh,
      joined,
      refused,
      jobs: answer.jobs.map(({ id, queue }) => ({ id, queue })),
    });
    expect((published[0]!.message as PortfolioAnswer).skipped.at(-1)!.reason).toMatch(/^refused: .*full/);
  });

  test.each([
    ['of this moment are left to the process that has committed them', 0, 0],
    ['of nine minutes ago are given', 540, 1],
    ['of eleven minutes ago help nobody any more', 660, 0],
  ])('%s', async (_, seconds, given) => {
    await hold(fixture.db, { alice: ['AAA'] });
    const away = admission({ bus: { state: 'offline' } });
    await away.admitLogin({ userId: 'alice', at: NOW });
    await away.idle();
    const now = new Date(Date.parse(NOW) + seconds * 1_000);
    expect(await answerPending(fixture, admission().bus, { now, before: new Date(now.getTime() - 10_000) })).toBe(given);
  });

  test('that name a rate and a symbol of two jobs are given again as they were, and say so when a job is gone', async () => {
    await hold(fixture.db, { alice: ['AAPL', 'VOD.L'], bob: ['AAPL', 'VOD.L'] });
    await makeFresh(fixture.db, ['VOD.L']);
    await fixture.db.run("UPDATE symbols SET currency = 'GBp' WHERE symbol = 'VOD.L'");
    const away = admission({ bus: { state: 'offline' } });
    const answers = [await away.admitLogin({ userId: 'alice', at: NOW }), await away.admitLogin({ userId: 'bob', at: NOW })];
    await away.idle();
    expect(answers.map(({ joined, jobs }) => [joined, jobs.map(({ symbol, type }) => `${type} ${symbol}`)])).toEqual([
      [0, ['fetch AAPL', 'analysis AAPL', 'fetch GBPUSD=X']],
      [1, ['fetch AAPL', 'analysis AAPL', 'fetch GBPUSD=X']],
    ]);
    await fixture.db.run('DELETE FROM jobs WHERE symbol = ?', ['GBPUSD=X']);
    const { published, bus } = admission();
    const now = new Date(Date.parse(NOW) + 1_000);
    await answerPending(fixture, bus, { now, before: now });
    const given = published.map(({ message }) => message as PortfolioAnswer).sort((a, b) => (a.user_id < b.user_id ? -1 : 1));
    const withoutReasons = ({ jobs, ...answer }: PortfolioAnswer) => ({ ...answer, jobs: jobs.map(({ why: _, ...job }) => job) });
    expect(given.map(withoutReasons)).toEqual(answers.map(withoutReasons));
    expect(given[0]!.jobs.map(({ why }) => why.text)).toEqual([
      answers[0]!.jobs[0]!.why.text,
      answers[0]!.jobs[1]!.why.text,
      'its job is not kept any more',
    ]);
  });

  test('of many batches are all given, the oldest first, and none twice', async () => {
    await hold(fixture.db, { alice: ['AAA'] });
    const away = admission({ bus: { state: 'offline' } });
    for (let batch = 0; batch < 41; batch++) {
      await away.admitLogin({ userId: 'alice' });
      fixture.clock.advance({ milliseconds: 1 });
    }
    await away.idle();
    expect(await countRows(fixture.db, 'login_answers')).toBe(41);
    const now = new Date(Date.parse(NOW) + 1_000);
    expect(await answerPending(fixture, admission().bus, { now, before: now })).toBe(41);
    expect(await countRows(fixture.db, 'login_answers')).toBe(0);
  });

  test('are not given while the broker is away, nor those whose connection is lost meanwhile, which stay pending', async () => {
    await hold(fixture.db, { alice: ['AAA'] });
    const away = admission({ bus: { state: 'offline' } });
    await away.admitLogin({ userId: 'alice', at: NOW });
    await away.idle();
    const now = new Date(Date.parse(NOW) + 1_000);
    const { bus, published } = admission();
    bus.state = 'offline';
    expect(await answerPending(fixture, bus, { now, before: now })).toBe(0);
    expect(published).toEqual([]);
    const breaking = {
      state: 'online' as 'online' | 'offline',
      async publish() {
        breaking.state = 'offline';
      },
    };
    expect(await answerPending(fixture, breaking, { now, before: now })).toBe(0);
    expect(await countRows(fixture.db, 'login_answers')).toBe(1);
  });

  test('of logins that were committed before the broker was there are given as soon as it is', async () => {
    await hold(fixture.db, { alice: ['AAA'] });
    const tell: ((state: Bus['state']) => void)[] = [];
    const onState: Bus['onState'] = (listener) => {
      tell.push(listener);
      return () => void tell.pop();
    };
    const { admitLogin, idle, bus, published } = admission({ bus: { state: 'offline', onState } });
    await admitLogin({ userId: 'alice', at: NOW });
    await expect.poll(() => countRows(fixture.db, 'login_answers')).toBe(1);
    bus.state = 'online';
    tell[0]!('online');
    await expect.poll(() => countRows(fixture.db, 'login_answers')).toBe(0);
    expect(published.filter(({ kind }) => kind === 'portfolio')).toHaveLength(1);
    await idle();
    expect(tell).toEqual([]);
  });

  test('are looked for at the start, when the broker comes back and every five seconds, and not after the end', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    await hold(fixture.db, { alice: ['AAA'] });
    const away = admission({ bus: { state: 'offline' } });
    const leave = async (seconds: number): Promise<void> => {
      fixture.clock.set(new Date(Date.parse(NOW) - seconds * 1_000).toISOString());
      await away.admitLogin({ userId: 'alice' });
      await away.idle();
      fixture.clock.set(NOW);
    };
    const { bus, published, lines } = admission({ bus: { state: 'offline' } });
    const tell: ((state: Bus['state']) => void)[] = [];
    const watched = Object.assign(bus, {
      onState(listener: (state: Bus['state']) => void) {
        tell.push(listener);
        return () => void tell.pop();
      },
    });
    const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
    const ledger = ledgerOf(fixture.db, fixture.clock, defaults);
    // Eleven seconds ago by this instance, in an earlier life; nothing is done while the broker is away.
    await leave(11);
    const stop = startAnswering({ ledger, bus: watched, log, instance: 'pp1' });
    expect(await countRows(fixture.db, 'login_answers')).toBe(1);
    bus.state = 'online';
    tell[0]!('online');
    await expect.poll(() => countRows(fixture.db, 'login_answers')).toBe(0);
    await expect.poll(() => lines.at(-1)?.msg).toBe('answered 1 logins that were committed and not answered');
    // A later one of this instance is its own business for ten seconds.
    await leave(9);
    await leave(12);
    await vi.advanceTimersByTimeAsync(5_000);
    await expect.poll(() => countRows(fixture.db, 'login_answers')).toBe(1);
    expect(published).toHaveLength(2);
    await stop();
    expect([vi.getTimerCount(), tell]).toEqual([0, []]);
  });

  test('of another instance are not those of an earlier life', async () => {
    await hold(fixture.db, { alice: ['AAA'] });
    const away = admission({ bus: { state: 'offline' } });
    await away.admitLogin({ userId: 'alice', at: NOW });
    await away.idle();
    const now = new Date(Date.parse(NOW) + 1_000);
    expect(await answerPending(fixture, admission().bus, { now, before: now, instance: 'pp2' })).toBe(0);
    expect(await answerPending(fixture, admission().bus, { now, before: now, instance: 'pp1' })).toBe(1);
  });

  test('that their own process is still publishing are not given by it a second time', async () => {
    await hold(fixture.db, { alice: ['AAA'] });
    const taken = Promise.withResolvers<void>();
    const { admitLogin, idle, isAnswering } = admission({ bus: { publish: () => taken.promise } });
    await admitLogin({ userId: 'alice', at: NOW });
    const now = new Date(Date.parse(NOW) + 60_000);
    const look = () => answerPending(fixture, admission().bus, { now, before: now, isAnswering });
    expect(await look()).toBe(0);
    taken.resolve();
    await idle();
    expect(await countRows(fixture.db, 'login_answers')).toBe(0);
  });

  test('of a batch are encoded fifty at a time, as the broker takes them', async () => {
    const users = Array.from({ length: 120 }, (_, i) => `user-${i}`);
    await hold(fixture.db, Object.fromEntries(users.map((user) => [user, ['AAA']])));
    const offered: { taken: () => void }[] = [];
    const publish = (kind: TopicKind): Promise<void> => {
      const { promise, resolve } = Promise.withResolvers<void>();
      if (kind !== 'portfolio') resolve();
      else offered.push({ taken: resolve });
      return promise;
    };
    const { admitLogin, idle } = admission({ bus: { publish } });
    await Promise.all(users.map((userId) => admitLogin({ userId, at: NOW })));
    for (const count of [50, 100, 120]) {
      await expect.poll(() => offered.length).toBe(count);
      for (const { taken } of offered) taken();
    }
    await idle();
    expect(await countRows(fixture.db, 'login_answers')).toBe(0);
  });

  test('of a connection that is lost meanwhile stay pending', async () => {
    await hold(fixture.db, { alice: ['AAA'] });
    const { admitLogin, idle, bus } = admission({
      bus: {
        async publish() {
          bus.state = 'offline';
        },
      },
    });
    await admitLogin({ userId: 'alice', at: NOW });
    await idle();
    expect(await countRows(fixture.db, 'login_answers')).toBe(1);
  });
});
