import { setImmediate as turn } from 'node:timers/promises';
import { beforeEach, expect, test, vi } from 'vitest';
import { createDoorbell, createReceiver } from '../../../services/platform/bus/receiver.ts';
import { InputError } from '../../../services/platform/errors.ts';
import { encodeMessage } from '../../../services/platform/messages.ts';
import { silent } from '../../broker/peers.ts';

/** The pauses between the calls of a handler, in milliseconds; they are over at once. */
const pauses: number[] = [];
vi.mock('node:timers/promises', async (original) => ({
  ...(await original<typeof import('node:timers/promises')>()),
  setTimeout: async (ms: number) => void pauses.push(ms),
}));
beforeEach(() => {
  pauses.length = 0;
});

const { topic, payload } = encodeMessage('login', { userId: 'ada' });

/** Gives one login to a handler; resolves when it is done. */
async function receive(acknowledge: 'received' | 'handled', handler: (call: number) => void, stopping = new AbortController()) {
  const counters = { handled: 0, refused: 0, failed: 0, dropped: 0 };
  let calls = 0;
  let done = false;
  const receiver = createReceiver('login', { acknowledge }, () => handler(++calls), {
    ...{ log: silent, prefix: '', counters },
    stopping: stopping.signal,
  });
  const arrival = { topic, payload: Buffer.from(payload), retained: false, redelivered: false };
  receiver.offer({
    ...arrival,
    done() {
      done = true;
    },
  });
  await receiver.idle();
  return { calls, counters, done };
}
const failing = (times: number) => (call: number) => {
  if (call <= times) throw new Error('the database is away');
};

test('a handler that fails is called again after pauses that double up to 5 s, half of each random', async () => {
  expect(await receive('handled', failing(12))).toEqual({
    calls: 13,
    counters: { handled: 1, refused: 0, failed: 12, dropped: 0 },
    done: true,
  });
  const most = [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000, 5000, 5000];
  expect(pauses).toHaveLength(most.length);
  for (const [index, pause] of pauses.entries()) {
    expect(pause).toBeLessThanOrEqual(most[index]!);
    expect(pause).toBeGreaterThanOrEqual(most[index]! / 2);
  }
});

test('one that was acknowledged at its arrival is called once, whatever comes of it', async () => {
  expect(await receive('received', failing(1))).toMatchObject({ calls: 1, counters: { handled: 0, failed: 1 }, done: true });
  expect(pauses).toEqual([]);
});

test('a message that the handler refuses is done, and not tried again', async () => {
  const refuse = (): void => {
    throw new InputError('login.invalid', 'no such user');
  };
  expect(await receive('handled', refuse)).toMatchObject({ calls: 1, counters: { refused: 1, failed: 0 }, done: true });
});

test('when the subscription stops the handler is not called again, and the message stays unacknowledged', async () => {
  const stopping = new AbortController();
  const stopThird = (call: number): void => {
    if (call === 3) stopping.abort();
    throw new Error('the database is away');
  };
  expect(await receive('handled', stopThird, stopping)).toMatchObject({ calls: 3, done: false });
});

test('without a number of their own sixteen handlers run at once', async () => {
  const counters = { handled: 0, refused: 0, failed: 0, dropped: 0 };
  let running = 0;
  const gate = Promise.withResolvers<void>();
  const receiver = createReceiver(
    'login',
    {},
    () => {
      running++;
      return gate.promise;
    },
    { log: silent, prefix: '', counters, stopping: new AbortController().signal },
  );
  const arrival = { topic, payload: Buffer.from(payload), retained: false, redelivered: false, done() {} };
  for (let i = 0; i < 20; i++) receiver.offer(arrival);
  await turn();
  expect(running).toBe(16);
  gate.resolve();
  await receiver.idle();
  expect(counters.handled).toBe(20);
});

test.each([
  // [MQTT-3.3.1-10]: it removes a retained message.
  ['alert', 'alerts/depth', 0],
  ['login', 'events/login', 1],
] as const)('an empty %s is refused only where it is no removal of a state', async (kind, emptied, refused) => {
  const counters = { handled: 0, refused: 0, failed: 0, dropped: 0 };
  const receiver = createReceiver(kind, {}, () => {}, { log: silent, prefix: '', counters, stopping: new AbortController().signal });
  const done = Promise.withResolvers<void>();
  receiver.offer({ topic: emptied, payload: Buffer.alloc(0), retained: false, redelivered: false, done: done.resolve });
  await done.promise;
  expect(counters).toEqual({ handled: 0, refused, failed: 0, dropped: 0 });
});

test.each([
  ['a login', 'login', topic, payload, 0],
  ['a control message', 'control', 'control/w1', '{"v":1,"instance":"w1","action":"drain"}', 0],
  [
    'an alert',
    'alert',
    'alerts/a',
    '{"v":1,"name":"a","state":"raised","value":1,"threshold":0,"since":"2026-01-02T14:30:00Z","text":"x"}',
    1,
  ],
] as const)('%s that the broker has kept is an event only where it is a state', async (_, kind, on, content, handled) => {
  const counters = { handled: 0, refused: 0, failed: 0, dropped: 0 };
  const codes: string[] = [];
  const receiver = createReceiver(kind, { onRefused: ({ code }) => void codes.push(code) }, () => {}, {
    log: silent,
    prefix: '',
    counters,
    stopping: new AbortController().signal,
  });
  const done = Promise.withResolvers<void>();
  receiver.offer({ topic: on, payload: Buffer.from(content), retained: true, redelivered: false, done: done.resolve });
  await done.promise;
  expect(counters).toMatchObject({ handled, refused: 1 - handled });
  expect(codes).toEqual(handled === 1 ? [] : ['message.retained']);
});

test('a doorbell that the broker has kept rings for nobody', () => {
  const counters = { handled: 0, refused: 0 };
  const doorbell = createDoorbell('status', () => expect.unreachable(), { prefix: '', log: silent, counters });
  expect(doorbell.offer({ topic: 'jobs/1/status', payload: Buffer.from('{}'), retained: true, redelivered: false, done() {} })).toBe(true);
  expect(counters).toEqual({ handled: 0, refused: 1 });
});

test('a doorbell that cannot be read is counted and said only when somebody reads it', () => {
  const counters = { handled: 0, refused: 0 };
  const warnings: string[] = [];
  const log = { warn: (_: object, text: string) => warnings.push(text) } as unknown as typeof silent;
  const read: (() => unknown)[] = [];
  const doorbell = createDoorbell('login', (message) => void read.push(message.read), { prefix: '', log, counters });
  const arrival = { topic, retained: false, redelivered: false, done() {} };
  expect(doorbell.offer({ ...arrival, payload: Buffer.from('no JSON') })).toBe(true);
  doorbell.offer({ ...arrival, payload: Buffer.from(payload) });
  expect([counters, warnings]).toEqual([{ handled: 2, refused: 0 }, []]);
  expect(read.map((each) => each())).toEqual([undefined, { v: 1, userId: 'ada' }]);
  expect([counters.refused, warnings]).toEqual([1, [expect.stringMatching(/^message refused: events\/login: payload .* is not JSON/)]]);
});
