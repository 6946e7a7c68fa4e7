/** The queues of kept sessions, called as aedes calls them: here the order of its calls is the test's. */
import type { Readable } from 'node:stream';
import { Aedes, type AedesPublishPacket, type Client } from 'aedes';
import { expect, onTestFinished, test } from 'vitest';
import { keepSessionQueues } from '../../broker/session-queues.ts';

/** What aedes calls. */
interface Persistence {
  outgoingStream(client: Client): Readable;
  outgoingUpdate(client: Client, packet: Partial<AedesPublishPacket>): Promise<void>;
  outgoingClearMessageId(client: Client, packet: { cmd: string; messageId: number }): Promise<unknown>;
}

async function keep(maxBytes = 10_000) {
  const broker = await Aedes.createBroker();
  onTestFinished(() => new Promise<void>((resolve) => broker.close(resolve)));
  const full: string[] = [];
  const queues = keepSessionQueues(broker, {
    maxBytes,
    maxBytesPerAccount: 10_000,
    accountOf: () => 'monitor',
    isExempt: () => false,
    maySee: () => true,
    onFull: (clientId) => full.push(clientId),
    onQueued() {},
    onAcknowledged() {},
    onRemoved() {},
    onCleanAcknowledgement() {},
  });
  const { persistence } = broker as unknown as { persistence: Persistence };
  let counter = 0;
  return {
    queues,
    full,
    queue(payload: string): AedesPublishPacket {
      const packet = { cmd: 'publish', topic: 'a/b', payload: Buffer.from(payload), qos: 1, retain: false, dup: false } as const;
      const numbered: AedesPublishPacket = { ...packet, brokerId: 'b', brokerCounter: ++counter };
      queues.enqueue('kept', numbered);
      return numbered;
    },
    /** A connection after its redelivery. aedes begins its identifiers anywhere. */
    async connect(firstId = 40_000): Promise<Client> {
      const client = { id: 'kept', clean: false, _nextId: firstId } as unknown as Client;
      for await (const packet of persistence.outgoingStream(client)) await persistence.outgoingUpdate(client, packet);
      return client;
    },
    /** Its packet identifier. */
    async send(client: Client, { brokerCounter }: AedesPublishPacket): Promise<number> {
      const packet: Partial<AedesPublishPacket> = { brokerCounter };
      await persistence.outgoingUpdate(client, packet);
      return packet.messageId!;
    },
    acknowledge: (client: Client, messageId: number) => persistence.outgoingClearMessageId(client, { cmd: 'puback', messageId }),
  };
}

test('what the redelivery has sent on a connection is not delivered on it again, what comes later is', async () => {
  const { queues, queue, connect } = await keep();
  const waited = queue('waited');
  const client = await connect();
  expect(queues.isRedelivered(client, waited)).toBe(true);
  expect(queues.isRedelivered(client, queue('later'))).toBe(false);
});

test('while messages wait, the identifiers of the next connection go on where those of the last one ended', async () => {
  const { queue, connect, send, acknowledge } = await keep();
  const first = await connect();
  expect([await send(first, queue('one')), await send(first, queue('two'))]).toEqual([40_000, 40_001]);
  await acknowledge(first, 40_001);
  const second = await connect(7);
  expect(await send(second, queue('three'))).toBe(40_002);
});

test('a queue that had room again and fills again says so again', async () => {
  // Room for two: each costs 300 beside its payload.
  const { queue, full, connect, acknowledge } = await keep(700);
  for (const payload of ['one', 'two', 'three', 'four']) queue(payload);
  expect(full).toEqual(['kept']);
  const client = await connect();
  await acknowledge(client, 40_000);
  queue('five');
  expect(full).toEqual(['kept']);
  queue('six');
  expect(full).toEqual(['kept', 'kept']);
});

test('identifiers go on with 1 after 65,535 [MQTT-2.3.1-1], and one that is in flight is passed over', async () => {
  const { queue, connect, send, acknowledge } = await keep();
  const first = await connect(65_534);
  const last = [await send(first, queue('one')), await send(first, queue('two'))];
  expect([...last, await send(first, queue('three'))]).toEqual([65_534, 65_535, 1]);
  await acknowledge(first, 65_535);
  await acknowledge(first, 1);
  (first as unknown as { _nextId: number })._nextId = 65_534;
  expect(await send(first, queue('four'))).toBe(65_535);
});

test('the next connection goes on with 1 where the last identifier was 65,535', async () => {
  const { queue, connect, send } = await keep();
  const first = await connect(65_535);
  expect(await send(first, queue('one'))).toBe(65_535);
  expect(await send(await connect(7), queue('two'))).toBe(1);
});
