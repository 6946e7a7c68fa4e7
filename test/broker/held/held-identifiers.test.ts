/** A hook that lost its own state begins its packet identifiers anew, also with one that is still in flight. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import type { EmbeddedBroker } from '../../../broker/embedded.ts';
import { payloadsOf, until } from '../both-brokers.ts';
import { connectPacket, join, rawConnection } from '../peers.ts';
import { LOGIN, login, ping, service, start } from './held-logins.ts';

/** A PUBLISH of a login with QoS 1 [MQTT-3.3]. */
function publish(payload: string, messageId = 1): Buffer {
  const body = Buffer.concat([Buffer.from([0, LOGIN.length]), Buffer.from(LOGIN), Buffer.from([0, messageId]), Buffer.from(payload)]);
  return Buffer.concat([Buffer.from([0x32, body.length]), body]);
}
const PUBACK = Buffer.from([0x40, 2, 0, 1]);
const PING = Buffer.from([0xc0, 0]);
const PONG = Buffer.from([0xd0, 0]);

async function hook(broker: EmbeddedBroker): Promise<Socket> {
  const socket = await rawConnection(broker.port);
  socket.write(connectPacket('hook', 'hook-1', 60, { clean: false }));
  await once(socket, 'data');
  return socket;
}

/** What the broker sends until it has answered a ping. */
async function answers(socket: Socket): Promise<Buffer> {
  let got = Buffer.alloc(0);
  socket.write(PING);
  while (!got.subarray(-2).equals(PONG)) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    got = Buffer.concat([got, chunk]);
  }
  return got.subarray(0, -2);
}

test('before there is a service the new login takes the place of the old one, and goes with its hook', async () => {
  const broker = await start();
  const socket = await hook(broker);
  socket.write(publish('ada'));
  socket.write(publish('bob'));
  expect(await answers(socket)).toEqual(Buffer.alloc(0));
  expect(broker.stats()).toMatchObject({ held: 1, messagesIn: 2 });
  socket.destroy();
  await expect.poll(() => broker.stats()).toMatchObject({ held: 0, heldBytes: 0, clients: 0 });
});

test('while a service commits the old one, both are committed, and only the new one is answered', async () => {
  const broker = await start();
  const priority = await service(broker, 'priority');
  const first = await hook(broker);
  first.write(publish('ada'));
  await until(priority, 'ada');
  first.destroy();
  await expect.poll(() => broker.stats().clients).toBe(1);
  const again = await hook(broker);
  again.write(publish('bob'));
  await until(priority, 'bob');
  // The service acknowledges the old one alone.
  const [ada] = priority.unacknowledged();
  priority.acknowledge(ada!);
  await ping(priority);
  expect(await answers(again)).toEqual(Buffer.alloc(0));
  expect(broker.stats().held).toBe(1);
  // Sent again it is the same one.
  again.write(publish('bob'));
  expect(await answers(again)).toEqual(Buffer.alloc(0));
  expect(broker.stats().held).toBe(1);
  priority.commit();
  expect(await once(again, 'data')).toEqual([PUBACK]);
  await ping(priority);
  expect(payloadsOf(priority)).toEqual(['ada', 'bob']);
  expect(broker.stats()).toMatchObject({ held: 0, heldBytes: 0 });
});

test('a will on a topic of logins is delivered, and nobody waits for its acknowledgement', async () => {
  const broker = await start();
  const priority = await service(broker, 'priority');
  const socket = await rawConnection(broker.port);
  socket.write(connectPacket('hook', 'dying', 60, { will: { topic: LOGIN, payload: 'last words' } }));
  await once(socket, 'data');
  socket.destroy();
  await until(priority, 'last words');
  expect(broker.stats().held).toBe(0);
});

test('a login of QoS 0 is delivered, and nobody waits for its acknowledgement', async () => {
  const broker = await start();
  const priority = await service(broker, 'priority');
  const peer = await join(broker.port, 'hook');
  peer.client.publish(LOGIN, 'ada', { qos: 0 });
  await until(priority, 'ada');
  expect(broker.stats().held).toBe(0);
});

test('of two hooks with a waiting login, the one that leaves takes only its own with it', async () => {
  const broker = await start();
  const [leaving, staying] = [await join(broker.port, 'hook'), await join(broker.port, 'hook')];
  for (const [peer, user] of [
    [leaving, 'ada'],
    [staying, 'bob'],
  ] as const) {
    login(peer, user);
    await ping(peer);
  }
  leaving.client.stream.destroy();
  await expect.poll(() => broker.stats()).toMatchObject({ held: 1, clients: 1 });
  const priority = await service(broker, 'priority');
  await until(priority, 'bob');
  expect(payloadsOf(priority)).toEqual(['bob']);
});
