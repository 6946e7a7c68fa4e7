/** What the embedded broker does when it can take no more logins, and what it says of it. */
import { pino } from 'pino';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { type HeldStats, startHeldAlerts } from '../../../broker/held/held-limits.ts';
import { type Body, parseMessage } from '../../../services/platform/messages.ts';
import { payloadsOf } from '../both-brokers.ts';
import { happens, join, silent } from '../peers.ts';
import { LOGIN, login, ping, service, start } from './held-logins.ts';

describe('limits', () => {
  const limits = [
    ['messages of one client', { perClient: 10 }],
    ['messages in all', { messages: 10 }],
    // Ten payloads of 200 bytes and the 1000 that each costs beside.
    ['bytes', { bytes: 12_000 }],
  ] as const;
  test.each(limits)(
    'beyond the limit of %s a login is not acknowledged, counted, told once, and sent again when there is room',
    async (_, holdLimits) => {
      const lines: { event: string }[] = [];
      const log = pino({ level: 'warn' }, { write: (line: string) => lines.push(JSON.parse(line)) });
      const broker = await start({ holdLimits, log });
      const hook = await join(broker.port, 'hook', { clientId: 'hook-1', clean: false, reconnectPeriod: 10 });
      const payloads = Array.from({ length: 30 }, (_, i) => `login ${i}`.padEnd(200));
      const sent = payloads.map((payload) => login(hook, payload));
      await ping(hook);
      expect(broker.stats()).toMatchObject({ held: 10, heldRefused: 20 });
      const told = { event: 'broker.held_full', clientId: 'hook-1', topic: LOGIN };
      expect(lines.filter(({ event }) => event === 'broker.held_full')).toMatchObject([told]);
      const priority = await service(broker, 'priority');
      priority.commit();
      await Promise.all(sent.map(({ done }) => done));
      expect(sent.every(({ acknowledged }) => acknowledged)).toBe(true);
      expect(new Set(payloadsOf(priority))).toEqual(new Set(payloads));
      await hook.client.endAsync(true);
    },
  );

  test.each([
    ['of its own', { perClient: 10 }, { value: 10, threshold: 10 }],
    ['in all', { messages: 10 }, { value: 10, threshold: 10 }],
    // "login 0" and the 1000 that each costs beside.
    ['in bytes', { bytes: 10_070 }, { value: 11_078, threshold: 10_070 }],
  ])('a client over the limit %s is cut when half of the room is free again, and not before', async (_, holdLimits, heldFull) => {
    const broker = await start({ holdLimits });
    const priority = await join(broker.port, 'service', { clientId: 'priority', clean: false });
    const unacknowledged: (() => void)[] = [];
    priority.client.handleMessage = (_packet, done) => void unacknowledged.push(done);
    await priority.client.subscribeAsync(LOGIN, { qos: 1 });
    const hook = await join(broker.port, 'hook');
    for (let i = 0; i < 11; i++) login(hook, `login ${i}`);
    await expect.poll(() => broker.stats()).toMatchObject({ held: 10, heldRefused: 1 });
    const cut = happens(hook.client, 'close');
    for (let left = 9; left >= 6; left--) {
      await expect.poll(() => unacknowledged.length).toBe(1);
      unacknowledged.pop()!();
      await expect.poll(() => broker.stats().held).toBe(left);
      await ping(hook);
      expect(broker.stats()).toMatchObject({ held: left, heldFull });
    }
    await expect.poll(() => unacknowledged.length).toBe(1);
    unacknowledged.pop()!();
    await cut;
    expect(broker.stats().heldFull).toBeUndefined();
  });

  test('the room that a client leaves is told to the others: those whose logins were not taken are cut', async () => {
    const broker = await start({ holdLimits: { messages: 2 } });
    const leaving = await join(broker.port, 'hook');
    for (const user of ['ada', 'bob']) login(leaving, user);
    await ping(leaving);
    const waiting = await join(broker.port, 'hook');
    login(waiting, 'eve');
    await expect.poll(() => broker.stats()).toMatchObject({ held: 2, heldRefused: 1 });
    const cut = happens(waiting.client, 'close');
    leaving.client.stream.destroy();
    await cut;
    expect(broker.stats()).toMatchObject({ held: 0, heldFull: undefined });
  });

  test('a full broker has room again when each of its clients has half of its room', async () => {
    const broker = await start({ holdLimits: { perClient: 2 } });
    const priority = await join(broker.port, 'service', { clientId: 'priority', clean: false });
    const unacknowledged = new Map<string, () => void>();
    priority.client.handleMessage = ({ payload }, done) => {
      unacknowledged.set(String(payload), done);
    };
    await priority.client.subscribeAsync(LOGIN, { qos: 1 });
    const one = await join(broker.port, 'hook', { clientId: 'one' });
    for (const payload of ['one 0', 'one 1']) login(one, payload);
    await ping(one);
    const two = await join(broker.port, 'hook', { clientId: 'two' });
    for (const payload of ['two 0', 'two 1', 'two 2']) login(two, payload);
    await expect.poll(() => broker.stats()).toMatchObject({ held: 4, heldRefused: 1 });
    for (const [payload, left] of [
      ['one 0', 3],
      ['one 1', 2],
    ] as const) {
      await expect.poll(() => [...unacknowledged.keys()]).toContain(payload);
      unacknowledged.get(payload)!();
      await expect.poll(() => broker.stats().held).toBe(left);
    }
    expect(broker.stats().heldFull).toBeDefined();
    await expect.poll(() => [...unacknowledged.keys()]).toContain('two 0');
    unacknowledged.get('two 0')!();
    await expect.poll(() => broker.stats().heldFull).toBeUndefined();
  });

  test('logins for an absent service beyond 16 MB are not acknowledged before it has them, and none is dropped', async () => {
    const broker = await start();
    const first = await service(broker, 'priority');
    await first.client.endAsync();
    const hooks = await Promise.all(
      Array.from({ length: 4 }, (_, i) => join(broker.port, 'hook', { clientId: `hook-${i}`, clean: false, reconnectPeriod: 10 })),
    );
    // 75 MB: more than a session may queue (16 MB) and more than is held (64 MB).
    const payloads = Array.from({ length: 1250 }, (_, i) => `login ${i} `.padEnd(60_000, 'x'));
    const sent = payloads.map((payload, i) => login(hooks[i % 4]!, payload));
    await Promise.all(hooks.map(ping));
    expect(sent.some(({ acknowledged }) => acknowledged)).toBe(false);
    expect(broker.stats().heldBytes).toBeLessThanOrEqual(64 * 1024 * 1024);
    expect(broker.stats().heldRefused).toBeGreaterThan(0);
    const again = await join(broker.port, 'service', { clientId: 'priority', clean: false });
    await Promise.all(sent.map(({ done }) => done));
    expect(new Set(payloadsOf(again)).size).toBe(1250);
    await Promise.all(hooks.map(({ client }) => client.endAsync(true)));
  }, 30_000);
});

describe('alerts', () => {
  const soon = { lookMs: 20 };

  /** The alerts that a monitor hears, those retained before it came too. */
  async function monitor(port: number) {
    const peer = await join(port, 'monitor');
    await peer.client.subscribeAsync('alerts/+', { qos: 1 });
    const alerts = () => peer.heard.map(({ topic, payload }) => parseMessage(topic, Buffer.from(payload)).body as Body<'alert'>);
    return { alerts, states: () => alerts().map(({ name, state }) => `${name} ${state}`) };
  }

  test.each([
    ['of one client', { perClient: 10 }, { value: 10, threshold: 10 }],
    ['in all', { messages: 10 }, { value: 10, threshold: 10 }],
    ['in bytes', { bytes: 12_000 }, { value: 13_200, threshold: 12_000 }],
  ])('a limit %s that is reached raises one, retained, which is cleared when there is room again', async (_, holdLimits, figures) => {
    const broker = await start({ holdLimits, heldAlertTimes: soon });
    const early = await monitor(broker.port);
    const hook = await join(broker.port, 'hook', { clientId: 'hook-1', clean: false, reconnectPeriod: 10 });
    const sent = Array.from({ length: 30 }, (_, i) => login(hook, `login ${i}`.padEnd(200)));
    await ping(hook);
    const late = await monitor(broker.port);
    await expect.poll(early.states).toEqual(['held_logins raised']);
    await expect
      .poll(late.alerts)
      .toMatchObject([{ name: 'held_logins', state: 'raised', ...figures, text: expect.stringContaining('not acknowledged') }]);
    const priority = await service(broker, 'priority');
    priority.commit();
    await Promise.all(sent.map(({ done }) => done));
    await expect.poll(early.states).toEqual(['held_logins raised', 'held_logins cleared']);
    await hook.client.endAsync(true);
  });

  test('a limit that is reached is told at once, and not at the next look', async () => {
    const broker = await start({ holdLimits: { perClient: 1 }, heldAlertTimes: { lookMs: 3_600_000 } });
    const { states } = await monitor(broker.port);
    const hook = await join(broker.port, 'hook');
    for (const user of ['ada', 'bob']) login(hook, user);
    await expect.poll(states).toEqual(['held_logins raised']);
  });

  test('a broker that has closed says nothing more of them', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    const lines: string[] = [];
    const log = pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line).msg) });
    const broker = await start({ log, heldAlertTimes: { lookMs: 10, waitMs: 10 } });
    login(await join(broker.port, 'hook'), 'ada');
    const look = async () => {
      await vi.advanceTimersByTimeAsync(10);
      return lines;
    };
    await expect.poll(look).toContainEqual(expect.stringMatching(/^alert login_wait raised/));
    // The login goes with the connection of its hook, so two more looks would clear the alert.
    await broker.close();
    for (let looks = 0; looks < 5; looks++) await look();
    expect(lines).not.toContainEqual(expect.stringMatching(/^alert login_wait cleared/));
  });

  test('one says how long the oldest has waited, in seconds, and whether that is worse or better in the log', () => {
    const alerts: unknown[] = [];
    const levels: string[] = [];
    const log = { warn: () => levels.push('warn'), info: () => levels.push('info') } as unknown as typeof silent;
    let stats: HeldStats = { held: 3, heldBytes: 3_000, heldOldestMs: 61_400, heldRefused: 0, heldFull: undefined };
    const { look, stop } = startHeldAlerts({
      stats: () => stats,
      times: { lookMs: 3_600_000, waitMs: 60_000 },
      publish: ({ value, threshold, text }) => alerts.push({ value, threshold, text }),
      log,
    });
    onTestFinished(stop);
    look();
    stats = { ...stats, held: 0, heldOldestMs: 0 };
    for (let looks = 0; looks < 2; looks++) look();
    expect(alerts).toEqual([
      {
        value: 61,
        threshold: 60,
        text: expect.stringMatching(
          /^3 logins wait for the acknowledgement of a service, the oldest for 61 s; the limit is 60 s; is portfolio-priority running/,
        ),
      },
      { value: 0, threshold: 60, text: 'no login waits for the acknowledgement of a service' },
    ]);
    expect(levels).toEqual(['warn', 'info']);
  });

  test('one is cleared by two looks in a row that find room again, and raised again by the next that does not', () => {
    const heard: string[] = [];
    let stats: HeldStats = { held: 0, heldBytes: 0, heldOldestMs: 0, heldRefused: 0, heldFull: undefined };
    const alerts = startHeldAlerts({
      stats: () => stats,
      times: { lookMs: 3_600_000, waitMs: 60_000 },
      publish: ({ name, state }) => heard.push(`${name} ${state}`),
      log: silent,
    });
    onTestFinished(() => alerts.stop());
    const look = (...seconds: number[]): string[] => {
      for (const second of seconds) {
        stats = { ...stats, held: second === 0 ? 0 : 1, heldOldestMs: second * 1000 };
        alerts.look();
      }
      return heard.splice(0);
    };
    expect(look(59, 60)).toEqual([]);
    expect(look(61, 62)).toEqual(['login_wait raised']);
    expect(look(0, 61, 0)).toEqual([]);
    expect(look(0)).toEqual(['login_wait cleared']);
    expect(look(0, 0, 61)).toEqual(['login_wait raised']);
  });

  test('a login that waits too long for a service raises one with the number that waits, which is cleared after the commit', async () => {
    const broker = await start({ heldAlertTimes: { ...soon, waitMs: 50 } });
    const { alerts, states } = await monitor(broker.port);
    const hook = await join(broker.port, 'hook');
    const sent = [login(hook, 'ada'), login(hook, 'bob')];
    await expect
      .poll(alerts)
      .toMatchObject([{ name: 'login_wait', state: 'raised', threshold: 0.05, text: expect.stringMatching(/^2 logins/) }]);
    expect(broker.stats().heldOldestMs).toBeGreaterThan(50);
    const priority = await service(broker, 'priority');
    priority.commit();
    await Promise.all(sent.map(({ done }) => done));
    await expect.poll(states).toEqual(['login_wait raised', 'login_wait cleared']);
  });

  test('logins that are committed in time raise none', async () => {
    const broker = await start({ heldAlertTimes: { lookMs: 5, waitMs: 60_000 } });
    const { states } = await monitor(broker.port);
    const priority = await service(broker, 'priority');
    priority.commit();
    const hook = await join(broker.port, 'hook');
    for (let i = 0; i < 20; i++) await login(hook, `login ${i}`).done;
    expect(states()).toEqual([]);
  });
});
