/**
 * The facts that the interoperability tests of Eclipse Paho check for MQTT 3.1.1, whichever of the two brokers runs. Redelivery and offline
 * queueing by QoS are in `conformance-qos.test.ts`, wills in `conformance-delivery.test.ts`.
 */
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { onBothBrokers, payloadsOf, topicsOf, until } from './both-brokers.ts';
import { connectPacket, join, rawConnection } from './peers.ts';

onBothBrokers(({ broker, listener }) => {
  const answerTo = async (packet: Buffer): Promise<number[]> => {
    const socket = await rawConnection(broker.port);
    socket.write(packet);
    const [answer] = await once(socket, 'data');
    return [...(answer as Buffer)];
  };
  const sessionPresent = 1;

  test('basic: a client hears on its own subscription what it publishes with each QoS', async () => {
    const { client, heard } = await join(broker.port, 'service');
    await client.subscribeAsync('stock/fetch/+', { qos: 2 });
    for (const qos of [0, 1, 2] as const) await client.publishAsync('stock/fetch/AAPL', `qos ${qos}`, { qos });
    await expect.poll(() => heard.length).toBe(3);
    expect(heard.map(({ payload, qos }) => [payload, qos])).toEqual([
      ['qos 0', 0],
      ['qos 1', 1],
      ['qos 2', broker.maxQos],
    ]);
  });

  test('retained: a new subscriber gets the last message of each topic that its filters match, and none that was cleared', async () => {
    const { client } = await join(broker.port, 'service');
    for (const qos of [0, 1, 2] as const) await client.publishAsync(`alerts/retained-${qos}`, `state ${qos}`, { qos, retain: true });
    await client.publishAsync('alerts/retained-1', '', { qos: 1, retain: true });
    const late = await join(broker.port, 'service');
    await late.client.subscribeAsync('alerts/+', { qos: 2 });
    await expect.poll(() => payloadsOf(late).sort()).toEqual(['state 0', 'state 2']);
    expect(late.heard.every(({ retain }) => retain)).toBe(true);
    for (const qos of [0, 2]) await client.publishAsync(`alerts/retained-${qos}`, '', { qos: 1, retain: true });
  });

  test('retained: whoever is subscribed already gets it as a plain message, at once or from its queue', async () => {
    const session = { clientId: 'subscribed-already', clean: false };
    const first = await join(broker.port, 'service', session);
    await first.client.subscribeAsync('alerts/live', { qos: 1 });
    const { client } = await join(broker.port, 'service');
    await client.publishAsync('alerts/live', 'present', { qos: 1, retain: true });
    await until(first, 'present');
    await first.client.endAsync();
    await client.publishAsync('alerts/live', 'absent', { qos: 1, retain: true });
    const again = await join(broker.port, 'service', session);
    await until(again, 'absent');
    expect([...first.heard, ...again.heard].map(({ payload, retain }) => [payload, retain])).toEqual([
      ['present', false],
      ['absent', false],
    ]);
    await client.publishAsync('alerts/live', '', { qos: 1, retain: true });
    await again.client.unsubscribeAsync('alerts/live');
  });

  test('zero-length client id: accepted with a clean session, refused as identifier rejected without [MQTT-3.1.3-8]', async () => {
    expect(await answerTo(connectPacket('service', '', 60))).toEqual([0x20, 2, 0, 0]);
    expect(await answerTo(connectPacket('service', '', 60, { clean: false }))).toEqual([0x20, 2, 0, 2]);
  });

  test('sessions: CONNACK says whether one was kept, and a clean connection ends it with its queue', async () => {
    const kept = connectPacket('service', 'session-present', 60, { clean: false });
    expect(await answerTo(kept)).toEqual([0x20, 2, 0, 0]);
    const first = await join(broker.port, 'service', { clientId: 'session-present', clean: false });
    await first.client.subscribeAsync('stock/fetch/+', { qos: 1 });
    await first.client.endAsync();
    expect(await answerTo(kept)).toEqual([0x20, 2, sessionPresent, 0]);
    const publisher = await join(broker.port, 'service');
    await publisher.client.publishAsync('stock/fetch/AAPL', 'for the old session', { qos: 1 });
    expect(await answerTo(connectPacket('service', 'session-present', 60))).toEqual([0x20, 2, 0, 0]);
    expect(await answerTo(kept)).toEqual([0x20, 2, 0, 0]);
    const again = await join(broker.port, 'service', { clientId: 'session-present', clean: false });
    await again.client.subscribeAsync('stock/fetch/+', { qos: 1 });
    await publisher.client.publishAsync('stock/fetch/AAPL', 'for the new session', { qos: 1 });
    await until(again, 'for the new session');
    expect(payloadsOf(again)).toEqual(['for the new session']);
    await again.client.unsubscribeAsync('stock/fetch/+');
  });

  test('offline queueing: a kept session gets what its several filters matched, each message once', async () => {
    const session = { clientId: 'several-filters', clean: false };
    const first = await join(broker.port, 'service', session);
    await first.client.subscribeAsync({ 'stock/+/AAPL': { qos: 2 }, 'mesh/#': { qos: 1 }, 'data/+/+': { qos: 0 } });
    await first.client.endAsync();
    const { client } = await join(broker.port, 'service');
    for (const topic of ['stock/fetch/AAPL', 'stock/fetch/MSFT', 'mesh/stats', 'data/AAPL/bars', 'mesh/worker/w1/state'])
      await client.publishAsync(topic, topic, { qos: 1 });
    const again = await join(broker.port, 'service', session);
    await until(again, 'mesh/worker/w1/state');
    expect(topicsOf(again).sort()).toEqual(['mesh/stats', 'mesh/worker/w1/state', 'stock/fetch/AAPL']);
    await again.client.unsubscribeAsync(['stock/+/AAPL', 'mesh/#', 'data/+/+']);
  });

  // With different QoS, Mosquitto 2.0 and aedes deliver by whichever subscription they find first.
  test.each([true, false])(
    'overlapping subscriptions (clean session: %s) get a message once or once a subscription [MQTT-3.3.5-1]',
    async (clean) => {
      const { client, heard } = await join(broker.port, 'service', { clientId: `overlap-${clean}`, clean });
      await client.subscribeAsync(['stock/+/AAPL', 'stock/fetch/+', 'data/+/+'], { qos: 1 });
      await client.publishAsync('stock/fetch/AAPL', 'overlap', { qos: 2 });
      await client.publishAsync('data/AAPL/bars', 'sentinel', { qos: 2 });
      await expect.poll(() => heard.map(({ payload }) => payload)).toContain('sentinel');
      const copies = heard.filter(({ payload }) => payload === 'overlap').map(({ qos }) => qos);
      expect(new Set(copies)).toEqual(new Set([1]));
      expect(copies.length).toBeLessThanOrEqual(2);
      await client.unsubscribeAsync(['stock/+/AAPL', 'stock/fetch/+', 'data/+/+']);
    },
  );

  test('keep-alive: a client that only pings stays connected longer than one and a half times of it', async () => {
    const { client } = await join(broker.port, 'service', { keepalive: 1 });
    const pings: number[] = [];
    client.on('packetreceive', ({ cmd }) => cmd === 'pingresp' && pings.push(performance.now()));
    await expect.poll(() => (pings.at(-1) ?? 0) - (pings[0] ?? 0), { timeout: 10_000 }).toBeGreaterThan(1500);
    expect(client.connected).toBe(true);
  });

  test('subscribe failure: each filter has its own answer, and one that the role may not use delivers nothing', async () => {
    const monitor = await join(broker.port, 'monitor');
    const grants = await monitor.client.subscribeAsync({ 'events/login': { qos: 1 }, 'stock/+/+': { qos: 1 }, 'control/+': { qos: 0 } });
    expect(grants).toHaveLength(3);
    expect(grants[1]!.qos).toBe(1);
    const { client } = await join(broker.port, 'service');
    await client.publishAsync('control/worker-1', 'secret', { qos: 1 });
    await client.publishAsync('stock/fetch/AAPL', 'job', { qos: 1 });
    await until(monitor, 'job');
    expect(payloadsOf(monitor)).toEqual(['job']);
  });

  test.each(['stock/#/AAPL', 'stock/fe+/AAPL'])('subscribe failure: the malformed filter %s ends the connection', async (filter) => {
    const socket = await rawConnection(broker.port);
    socket.write(connectPacket('service', `malformed-${filter.length}`, 60));
    await once(socket, 'data');
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(
      Buffer.concat([Buffer.from([0x82, 2 + 2 + filter.length + 1, 0, 1, 0, filter.length]), Buffer.from(filter), Buffer.from([1])]),
    );
    await closed;
  });

  test('unsubscribe: nothing more arrives on that filter, and the others stay', async () => {
    const service = await join(broker.port, 'service');
    await service.client.subscribeAsync(['stock/fetch/AAPL', 'stock/fetch/MSFT', 'stock/rank/+'], { qos: 1 });
    await service.client.unsubscribeAsync(['stock/fetch/AAPL', 'stock/never/subscribed']);
    const { client } = await join(broker.port, 'service');
    for (const topic of ['stock/fetch/AAPL', 'stock/fetch/MSFT', 'stock/rank/AAPL']) await client.publishAsync(topic, topic, { qos: 1 });
    await until(service, 'stock/rank/AAPL');
    expect(topicsOf(service)).toEqual(['stock/fetch/MSFT', 'stock/rank/AAPL']);
  });

  test('$ topics: a filter that begins with a wildcard does not match them [MQTT-4.7.2-1]', async () => {
    const service = await listener();
    await service.client.subscribeAsync(['#', '+/#', '+/broker/uptime'], { qos: 1 });
    const { client } = await join(broker.port, 'service');
    await client.publishAsync('$SYS/broker/uptime', 'forged', { qos: 1 });
    await client.publishAsync('stock/fetch/AAPL', 'sentinel', { qos: 1 });
    await until(service, 'sentinel');
    expect(topicsOf(service).filter((topic) => topic.startsWith('$'))).toEqual([]);
  });

  test('a second CONNECT on a connection ends it [MQTT-3.1.0-2]', async () => {
    const socket = await rawConnection(broker.port);
    const connect = connectPacket('service', 'connects-twice', 60);
    socket.write(connect);
    await once(socket, 'data');
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(connect);
    await closed;
  });
});
