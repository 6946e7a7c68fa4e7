/** Alerts of logins at the embedded broker and of the prices that users see: each raised and cleared by its real cause, and read in the mail that an operator gets. */
import { expect, onTestFinished, test, vi } from 'vitest';
import type { EmbeddedBrokerOptions } from '../../../broker/embedded.ts';
import { symbolReader } from '../../../services/market/bars/reader.ts';
import { refreshSymbol } from '../../../services/market/bars/refresh.ts';
import { storeRefresh } from '../../../services/market/bars/store.ts';
import { addHoldings } from '../../../services/market/portfolios/holdings.ts';
import { failoverSource } from '../../../services/market/sources/failover-source.ts';
import { faultOf } from '../../../services/platform/messages.ts';
import { listenToBroker } from '../../../services/scheduler/broker-alerts.ts';
import { listenToRefusals } from '../../../services/scheduler/refused-logins.ts';
import { login, ping, service, start } from '../../broker/held/held-logins.ts';
import { accounts, join, refusalOf, silent } from '../../broker/peers.ts';
import { openBus } from '../../platform/bus/brokers.ts';
import { stub, weekdays } from '../../worker/workshop.ts';
import { alertsAsTold } from './told.ts';

/** What the leader of the present test hears. */
let ears: { refusals: ReturnType<typeof listenToRefusals>; broker: ReturnType<typeof listenToBroker> } | undefined;
const heard = () => (ears === undefined ? [] : [...ears.refusals.checks(), ...ears.broker.checks()]);
const mesh = await alertsAsTold({ 'stock_jobs.data_fetch.sources': ['yahoo_finance'] }, { beside: heard });

/** The broker as `stockmesh up` starts it, and a leader that listens to it with the scheduler's account. */
async function listen(options: Partial<EmbeddedBrokerOptions> = {}) {
  const broker = await start({ faultOf, ...options });
  const bus = openBus(broker.port, {
    ...{ username: 'scheduler', password: accounts.scheduler?.password, service: 'scheduler', instance: 'scheduler-1' },
  });
  const at = { now: 0 };
  ears = { refusals: listenToRefusals(bus, 0, () => at.now), broker: listenToBroker(bus) };
  onTestFinished(() => {
    ears = undefined;
  });
  await bus.online();
  await vi.waitFor(() => expect(bus.report().missing).toEqual([]));
  return { broker, at };
}

/** Resolves when the leader has heard that a limit is crossed, or is kept again. */
const until = (name: string, beyond: boolean) =>
  vi.waitFor(() => expect(heard().find((one) => one.name === name)?.beyond).toBe(beyond), { timeout: 20_000, interval: 20 });

test('refused_logins: a hook sends a login that nobody can read, and five minutes pass', async () => {
  const { broker, at } = await listen();
  const hook = await join(broker.port, 'hook');
  await login(hook, 'not JSON').done;
  await until('refused_logins', true);
  await mesh.look();
  const text = await mesh.raised('refused_logins');
  expect(text).toContain('1 logins');
  expect(text).toMatch(/account hook, topic events\/login: .*\(message\.invalid_json, broker\)/);
  at.now += 5 * 60_000;
  await mesh.look();
  await mesh.cleared('refused_logins');
});

test('broker_limits: a hook opens more connections than it may, and five minutes pass', async () => {
  const { broker, at } = await listen({ limits: { connectionsPerAccount: 2 } });
  for (let nth = 0; nth < 2; nth++) await join(broker.port, 'hook');
  const { password } = accounts.hook!;
  expect(await refusalOf(broker.port, { username: 'hook', password, clientId: 'one-too-many' })).toBe(3);
  await until('broker_limits', true);
  await mesh.look();
  const text = await mesh.raised('broker_limits');
  expect(text).toMatch(/limits of the embedded broker \(queue\.mqtt\.limits\) were met 1 times.*connections_per_account/);
  at.now += 5 * 60_000;
  await mesh.look();
  await mesh.cleared('broker_limits');
});

test('held_logins: more logins wait for their commit than the broker holds, until a service commits them', async () => {
  const { broker } = await listen({ holdLimits: { perClient: 10 }, heldAlertTimes: { lookMs: 20 } });
  const hook = await join(broker.port, 'hook', { clientId: 'hook-1', clean: false, reconnectPeriod: 10 });
  const sent = Array.from({ length: 20 }, (_, nth) => login(hook, JSON.stringify({ userId: `user-${nth}` })));
  await ping(hook);
  await until('held_logins', true);
  await mesh.look();
  expect(await mesh.raised('held_logins')).toContain('not acknowledged');
  const priority = await service(broker, 'priority');
  priority.commit();
  await Promise.all(sent.map(({ done }) => done));
  await until('held_logins', false);
  await mesh.look();
  await mesh.cleared('held_logins');
  await hook.client.endAsync(true);
});

test('login_wait: a login waits for a service that does not run, until it commits', async () => {
  const { broker } = await listen({ heldAlertTimes: { lookMs: 20, waitMs: 50 } });
  const hook = await join(broker.port, 'hook');
  const { done } = login(hook, JSON.stringify({ userId: 'alice' }));
  await until('login_wait', true);
  await mesh.look();
  expect(await mesh.raised('login_wait')).toMatch(/1 logins wait for the acknowledgement of a service.*is portfolio-priority running/s);
  (await service(broker, 'priority')).commit();
  await done;
  await until('login_wait', false);
  await mesh.look();
  await mesh.cleared('login_wait');
});

/** A held symbol, and a source whose bars end where the test says. */
async function holding(symbol: string, through: string) {
  const now = (): Date => new Date(mesh.clock.now().epochMilliseconds);
  await mesh.db.run('DELETE FROM bars WHERE symbol = ?', [symbol]);
  await mesh.db.transaction((tx) => addHoldings(tx, [{ user: 'alice', symbol, quantity: 1, cost: 1 }], now()));
  const all = weekdays('2026-03-02', 100);
  const bars = (last: string) => all.filter(({ date }) => date <= last);
  const source = stub('yahoo_finance', bars(through), mesh.clock);
  const sources = failoverSource({
    ...{ sources: [source], clock: mesh.clock, log: silent, timeoutMs: 10_000, breaker: { failures: 5, openMs: 60_000 } },
  });
  /** What a worker does for a fetch. */
  async function fetch(last = through): Promise<void> {
    source.has = bars(last);
    const { rows } = await refreshSymbol(symbol, {
      ...{ sources, realSources: sources, reader: symbolReader(mesh.db), clock: mesh.clock, config: mesh.config },
      signal: AbortSignal.timeout(10_000),
    });
    await mesh.db.transaction((tx) => storeRefresh(tx, rows === undefined ? [] : [rows]));
  }
  await fetch();
  return { fetch };
}

// 10:00 in New York on Tuesday, 2026-06-02: the exchange is open until 20:00 UTC.
test('stale_data: nothing is fetched for three hours of a session, and then it is', async () => {
  const { fetch } = await holding('AAPL', '2026-06-02');
  await mesh.look();
  mesh.clock.advance({ hours: 3 });
  await mesh.look();
  expect(await mesh.raised('stale_data')).toContain('1 held symbols have price data older than 2 h (portfolio.stale_alert_hours): AAPL');
  await fetch();
  await mesh.look();
  expect(await mesh.cleared('stale_data')).toContain('0 held symbols');
});

test('outdated_data: the source has nothing newer than Friday on a Tuesday, and speaks again', async () => {
  const { fetch } = await holding('MSFT', '2026-05-29');
  await mesh.look();
  const text = await mesh.raised('outdated_data');
  expect(text).toContain('nothing newer than bars of two sessions ago or more for 1 of 1 held symbols');
  expect(text).toMatch(/a source has fallen silent: MSFT/);
  await fetch('2026-06-02');
  await mesh.look();
  await mesh.cleared('outdated_data');
});
