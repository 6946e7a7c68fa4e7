/** What the embedded broker says of publishes that it refuses: over MQTT 3.1.1 their sender is not told. */
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { type Body, faultOf, parseMessage } from '../../../services/platform/messages.ts';
import { LOGIN, login, ping, start } from '../held/held-logins.ts';
import { join, type Peer } from '../peers.ts';

const silent = pino({ level: 'silent' });

async function startHeard(options: Parameters<typeof start>[0] = {}) {
  const broker = await start({ log: silent, ...options });
  const monitor = await join(broker.port, 'monitor');
  await monitor.client.subscribeAsync('events/refused');
  const told = (): Body<'refused'>[] =>
    monitor.heard.map(({ topic, payload }) => parseMessage(topic, Buffer.from(payload)).body as Body<'refused'>);
  return { broker, told };
}
const hookOf = (port: number): Promise<Peer> => join(port, 'hook', { clientId: 'login-hook-7' });
const known = { source: 'broker', client_id: 'login-hook-7', account: 'hook', count: 1 };

test.each([
  ['a topic that is not quite the one', 'events/login/'],
  ['another topic', 'event/login'],
  ['a topic of a service', 'control/worker-1'],
])('a publish without the right (%s) is told to the monitor with its client, account, topic and size', async (_, topic) => {
  const { broker, told } = await startHeard();
  const hook = await hookOf(broker.port);
  await hook.client.publishAsync(topic, 'secret', { qos: 1 });
  await expect.poll(told).toMatchObject([{ ...known, code: 'broker.publish_denied', topic, bytes: 6 }]);
  expect(JSON.stringify(told())).not.toContain('secret');
});

test.each([0, 1] as const)('a login of QoS %d that is too large is told', async (qos) => {
  const { broker, told } = await startHeard({ maxPayloadBytes: 1000 });
  const hook = await hookOf(broker.port);
  await hook.client.publishAsync(LOGIN, 'x'.repeat(1001), { qos });
  await expect.poll(told).toMatchObject([{ ...known, code: 'broker.oversize', topic: LOGIN, bytes: 1001 }]);
});

test('a login for which there is no room is told', async () => {
  const { broker, told } = await startHeard({ holdLimits: { perClient: 1 } });
  const hook = await hookOf(broker.port);
  login(hook, 'one');
  login(hook, 'two');
  await ping(hook);
  await expect.poll(told).toMatchObject([{ ...known, code: 'broker.held_full', topic: LOGIN, bytes: 3 }]);
});

test.each([0, 1, 2] as const)('a malformed login of QoS %d is told with its client, acknowledged, and given to nobody', async (qos) => {
  const { broker, told } = await startHeard({ faultOf });
  const priority = await join(broker.port, 'service');
  await priority.client.subscribeAsync(LOGIN, { qos: 1 });
  const hook = await hookOf(broker.port);
  await hook.client.publishAsync(LOGIN, 'secret, not JSON', { qos });
  await hook.client.publishAsync(LOGIN, '{"userId":"ada","colour":"red"}', { qos });
  await expect.poll(told).toMatchObject([{ ...known, code: 'message.invalid_json', topic: LOGIN, bytes: 16 }]);
  expect(JSON.stringify(told())).not.toContain('secret');
  await expect.poll(() => priority.heard.map(({ payload }) => payload)).toEqual(['{"userId":"ada","colour":"red"}']);
});

test('nobody but services may say that something was refused', async () => {
  const { broker, told } = await startHeard();
  const hook = await hookOf(broker.port);
  await hook.client.publishAsync('events/refused', 'forged', { qos: 1 });
  await expect.poll(told).toMatchObject([{ ...known, code: 'broker.publish_denied', topic: 'events/refused' }]);
});

test.each([0, 1] as const)('a retained login of QoS %d is not kept for those who come later', async (qos) => {
  const { broker } = await startHeard();
  const there = await join(broker.port, 'service');
  await there.client.subscribeAsync(LOGIN, { qos: 1 });
  const hook = await hookOf(broker.port);
  await hook.client.publishAsync(LOGIN, 'ada', { qos, retain: true });
  await expect.poll(() => there.heard).toMatchObject([{ payload: 'ada', retain: false }]);
  const later = await join(broker.port, 'service');
  await later.client.subscribeAsync(LOGIN, { qos: 1 });
  await hook.client.publishAsync(LOGIN, 'bob', { qos });
  await expect.poll(() => later.heard).toMatchObject([{ payload: 'bob', retain: false }]);
});

test('a publish that is too large ends the connection of a client without a name, and nobody else', async () => {
  const { broker, told } = await startHeard({ maxPayloadBytes: 1000 });
  const nameless = connectTcp(broker.port, '127.0.0.1');
  onTestFinished(() => void nameless.destroy());
  nameless.on('error', () => undefined);
  // PUBLISH of QoS 0 with a topic of one byte, before any CONNECT (MQTT 3.1.1, 3.3).
  nameless.write(Buffer.concat([Buffer.from([0x30, 0xd4, 0x0f, 0, 1, 0x61]), Buffer.alloc(2001)]));
  await once(nameless, 'close');
  await expect.poll(told).toMatchObject([{ source: 'broker', code: 'broker.oversize', topic: 'a', bytes: 2001 }]);
  expect(told()[0]).not.toHaveProperty('client_id');
});
