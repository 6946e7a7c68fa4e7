import { expect, test } from 'vitest';
import type { Bus } from '../../services/platform/bus/bus.ts';
import { TransientError } from '../../services/platform/errors.ts';
import { createAlerts } from '../../services/scheduler/alerts.ts';
import { isOfBroker, listenToBroker } from '../../services/scheduler/broker-alerts.ts';
import type { LimitCheck } from '../../services/scheduler/thresholds.ts';
import { silent } from '../broker/peers.ts';
import { fixture, silentBus } from './mesh.ts';

const mesh = fixture();

const judged = (beyond: boolean, value = beyond ? 2000 : 10): LimitCheck => ({
  name: 'max_queue_depth',
  beyond,
  value,
  threshold: 1000,
  text: `${value} jobs wait`,
});

function setUp(bus = silentBus()) {
  const lines: string[] = [];
  const say = (_: unknown, text: string) => void lines.push(text);
  const log = Object.assign(Object.create(silent), { warn: say, info: say });
  const alerts = createAlerts({ sql: mesh.db, bus: bus as Pick<Bus, 'publish' | 'state'>, log });
  return {
    alerts,
    bus,
    lines,
    /** Looks once for each value, a second apart. */
    async look(...values: boolean[]): Promise<void> {
      for (const beyond of values) {
        mesh.clock.advance({ seconds: 1 });
        await alerts.look([judged(beyond)], new Date(mesh.clock.now().epochMilliseconds));
      }
    },
    states: () => bus.said.map(({ message }) => message.state),
  };
}

test('a limit that stays crossed raises one alert, and one that is kept again clears it once', async () => {
  const { look, states, bus } = setUp();
  await look(true, true, true, true);
  expect(states()).toEqual(['raised']);
  await look(false, false, false, false);
  expect(states()).toEqual(['raised', 'cleared']);
  expect(bus.said[0]).toEqual({
    kind: 'alert',
    message: {
      name: 'max_queue_depth',
      state: 'raised',
      value: 2000,
      threshold: 1000,
      since: '2026-06-02T14:00:02.000Z',
      text: '2000 jobs wait',
    },
  });
});

test('what is seen at one look only changes nothing', async () => {
  const { look, states } = setUp();
  await look(true, false, true, false, true);
  expect(states()).toEqual([]);
});

test('a limit that was always kept says nothing', async () => {
  const { look, states } = setUp();
  await look(false, false, false);
  expect(states()).toEqual([]);
});

test('an alert that names others than before is told anew with its old beginning, and not at each look', async () => {
  const { alerts, bus } = setUp();
  const lookAt = async (subjects: string): Promise<void> => {
    mesh.clock.advance({ seconds: 1 });
    await alerts.look([{ ...judged(true), text: `${subjects} are wrong`, subjects }], new Date(mesh.clock.now().epochMilliseconds));
  };
  for (const subjects of ['w1', 'w1', 'w1', 'w1 w2', 'w1 w2', 'w1 w2', 'w1', 'w1 w2']) await lookAt(subjects);
  const since = '2026-06-02T14:00:02.000Z';
  expect(bus.said.map(({ message }) => message)).toMatchObject([
    { state: 'raised', text: 'w1 are wrong', since },
    { state: 'raised', text: 'w1 w2 are wrong', since },
  ]);
  expect(await mesh.db.rows('SELECT text, since FROM alerts')).toEqual([{ text: 'w1 w2 are wrong', since: new Date(since) }]);
});

test('a scheduler that takes over knows what is raised: it is not raised again, and can be cleared', async () => {
  await setUp().look(true, true);
  const next = setUp();
  await next.look(true, true, true);
  expect(await mesh.db.rows('SELECT state, since FROM alerts')).toEqual([{ state: 'raised', since: new Date('2026-06-02T14:00:02Z') }]);
  // Said once more, with the time since which it is so: the former leader may have died before it could.
  expect(next.bus.said.map(({ message }) => [message.state, message.since])).toEqual([['raised', '2026-06-02T14:00:02.000Z']]);
  await next.look(false, false);
  expect(next.states()).toEqual(['raised', 'cleared']);
});

test('an alert that is raised while the broker is away is published when it is back', async () => {
  const { look, states, bus } = setUp();
  bus.state = 'offline';
  await look(true, true);
  expect(await mesh.db.rows('SELECT state FROM alerts')).toEqual([{ state: 'raised' }]);
  expect(states()).toEqual([]);
  bus.state = 'online';
  await look(true);
  expect(states()).toEqual(['raised']);
});

test('an alert that the broker did not acknowledge is published again', async () => {
  const bus = silentBus();
  const publish = bus.publish;
  let failures = 1;
  bus.publish = async (kind, message) => {
    if (failures-- > 0) throw new TransientError('bus.timeout', 'no answer');
    await publish(kind, message);
  };
  const { look, states, lines } = setUp(bus);
  await look(true, true);
  expect(states()).toEqual([]);
  await look(true, true);
  expect(states()).toEqual(['raised']);
  expect(lines).toEqual(['alert max_queue_depth raised: 2000 jobs wait', 'alert max_queue_depth is published at the next look: no answer']);
});

test('after a reconnection the states are said again, with the time since which they are so', async () => {
  const { alerts, look, bus } = setUp();
  await look(true, true);
  alerts.restate();
  await look(true, true);
  expect(bus.said.map(({ message }) => message.since)).toEqual(['2026-06-02T14:00:02.000Z', '2026-06-02T14:00:02.000Z']);
});

test('a text that is longer than its column is cut, and the alert is raised all the same', async () => {
  const { alerts, bus } = setUp();
  const long = { ...judged(true), text: 'x'.repeat(600) };
  for (let looks = 0; looks < 2; looks++) await alerts.look([long], new Date(mesh.clock.now().epochMilliseconds));
  expect(await mesh.db.rows('SELECT LENGTH(text) AS length FROM alerts')).toEqual([{ length: 500 }]);
  expect(bus.said.map(({ message }) => String(message.text).length)).toEqual([500]);
});

test('who leads again begins with the table: what another has cleared or raised meanwhile holds, and half a sign is forgotten', async () => {
  const former = setUp();
  await former.look(true, true);
  await setUp().look(false, false);
  former.alerts.forget();
  const { length } = former.bus.said;
  await former.look(false, true);
  expect(former.bus.said.slice(length).map(({ message }) => message.state)).toEqual(['cleared']);
  former.alerts.forget();
  await former.look(true);
  expect(await mesh.db.rows('SELECT state FROM alerts')).toEqual([{ state: 'cleared' }]);
  await former.look(true);
  expect(await mesh.db.rows('SELECT state FROM alerts')).toEqual([{ state: 'raised' }]);
});

test('what could not be published before another led is not published afterwards as it was', async () => {
  const { alerts, look, states, bus } = setUp();
  bus.state = 'offline';
  await look(true, true);
  await mesh.db.run('DELETE FROM alerts');
  alerts.forget();
  bus.state = 'online';
  await look(false);
  expect(states()).toEqual([]);
});

test('whom an alert named is not remembered over the lead of another: it is told anew with those of now', async () => {
  const { alerts, bus } = setUp();
  const lookAt = (subjects: string) =>
    alerts.look([{ ...judged(true), text: subjects, subjects }], new Date(mesh.clock.now().epochMilliseconds));
  for (const subjects of ['w1', 'w1']) await lookAt(subjects);
  alerts.forget();
  for (const subjects of ['w1', 'w1']) await lookAt(subjects);
  // The table does not say whom it named, so it is said once more.
  expect(bus.said.map(({ message }) => message.text)).toEqual(['w1', 'w1', 'w1']);
});

test('a message that can never be sent is a defect, and not left for the next look', async () => {
  const bus = silentBus();
  bus.publish = () => Promise.reject(new TypeError('not a message'));
  await expect(setUp(bus).look(true, true)).rejects.toThrow('not a message');
});

test('the alerts of a broker are those that it has raised since it was started, and none while it is away', async () => {
  const heard: ((message: { body: unknown }) => void)[] = [];
  const watching: ((state: Bus['state']) => void)[] = [];
  const bus = {
    state: 'online' as Bus['state'],
    subscribe: (_: string, __: object, handle: (message: { body: unknown }) => void) => {
      heard.push(handle);
      return { close: async () => void heard.pop() };
    },
    onState: (tell: (state: Bus['state']) => void) => {
      watching.push(tell);
      return () => void watching.pop();
    },
  };
  const { checks, close } = listenToBroker(bus as unknown as Parameters<typeof listenToBroker>[0]);
  const [name] = checks().map((one) => one.name);
  expect([isOfBroker(name!), isOfBroker('no_worker')]).toEqual([true, false]);
  const raised = { name, state: 'raised', value: 61, threshold: 60, text: 'late' };
  heard[0]!({ body: raised });
  heard[0]!({ body: { ...raised, name: 'no_worker' } });
  const quiet = { beyond: false, value: 0, threshold: 0, text: 'the broker reports nothing of this kind' };
  expect(checks().map(({ beyond, text }) => [beyond, text])).toEqual(
    checks().map((_, at) => (at === 0 ? [true, 'late'] : [false, quiet.text])),
  );
  expect(checks()[0]).toEqual({ name, beyond: true, value: 61, threshold: 60, text: 'late' });
  const goes = (state: Bus['state']): void => {
    bus.state = state;
    for (const tell of watching) tell(state);
  };
  goes('offline');
  expect(checks()).toEqual([]);
  goes('online');
  expect(checks()[0]).toEqual({ name, ...quiet });
  await close();
  expect([heard, watching]).toEqual([[], []]);
});
