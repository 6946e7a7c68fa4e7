import { expect, test } from 'vitest';
import type { Bus } from '../../../services/platform/bus/bus.ts';
import type { Body } from '../../../services/platform/messages.ts';
import { listenToRefusals } from '../../../services/scheduler/refused-logins.ts';

/** A scheduler's ear, told by hand, with a clock of its own. */
function listening(max = 0) {
  let tell: (message: { body: Body<'refused'> }) => void = () => {};
  const bus = {
    subscribe(_: string, __: object, handler: typeof tell) {
      tell = handler;
      return { close: async () => {} };
    },
  } as unknown as Pick<Bus, 'subscribe'>;
  const at = { now: 0 };
  const heard = listenToRefusals(bus, max, () => at.now);
  const refused = (fields: Partial<Body<'refused'>> = {}): void =>
    tell({ body: { v: 1, source: 'broker', code: 'broker.oversize', text: 'too large', count: 1, at: '2026-03-03T16:00:00Z', ...fields } });
  return { ...heard, check: () => heard.checks()[0]!, limits: () => heard.checks()[1]!, at, refused };
}

test('without a refusal there is no alert', () => {
  expect(listening().check()).toMatchObject({ name: 'refused_logins', beyond: false, value: 0, threshold: 0 });
});

test('a refusal raises it, with how many there were and whose is the newest', () => {
  const { check, refused } = listening();
  refused({ count: 40 });
  refused({ client_id: 'hook-1', account: 'hook', topic: 'events/login', text: 'the payload is not JSON', code: 'message.invalid_json' });
  const { text, ...rest } = check();
  expect(rest).toMatchObject({ beyond: true, value: 41, subjects: 'broker broker.oversize, broker message.invalid_json' });
  expect(text).toMatch(/^41 logins.* within 5 minutes; the limit is 0 \(monitoring\.thresholds\.max_refused_logins\)/);
  expect(text).toMatch(/client hook-1, account hook, topic events\/login: the payload is not JSON \(message\.invalid_json, broker\)$/);
});

test('it clears by itself when five minutes have passed', () => {
  const { check, refused, at } = listening();
  refused();
  at.now = 299_999;
  expect(check().beyond).toBe(true);
  at.now = 300_000;
  expect(check()).toMatchObject({ beyond: false, value: 0 });
});

test('a limit that is configured is kept', () => {
  const { check, refused } = listening(10);
  refused({ count: 10 });
  expect(check().beyond).toBe(false);
  refused();
  expect(check().beyond).toBe(true);
});

test('a stranger who makes up codes fills no memory', () => {
  const { check, counts, refused } = listening();
  for (let each = 0; each < 20_000; each++) refused({ code: `made.up_${each}` });
  expect(counts()).toHaveLength(100);
  expect(check().value).toBe(10_000);
});

test('counts are by who refused and why', () => {
  const { counts, refused } = listening();
  refused({ count: 2 });
  refused({ count: 3 });
  refused({ source: 'gateway', code: 'request.invalid' });
  expect(counts()).toEqual([
    { source: 'broker', code: 'broker.oversize', count: 5 },
    { source: 'gateway', code: 'request.invalid', count: 1 },
  ]);
});

test('limits of the broker have an alert of their own, with the newest', () => {
  const { check, limits, refused } = listening();
  refused({ code: 'broker.limit.connections', count: 7 });
  refused({ code: 'broker.limit.queued_bytes', text: 'the queue is full (hook)' });
  expect(limits()).toMatchObject({ name: 'broker_limits', beyond: true, value: 8 });
  expect(limits().text).toMatch(/met 8 times.*the newest: the queue is full \(hook\) \(broker\.limit\.queued_bytes, broker\)$/);
  expect(check()).toMatchObject({ beyond: false, value: 0 });
});

test('a connection that says nothing is counted, and no alert', () => {
  const { limits, counts, refused } = listening();
  refused({ code: 'broker.limit.connect_timeout' });
  expect(limits().beyond).toBe(false);
  expect(counts()).toMatchObject([{ code: 'broker.limit.connect_timeout', count: 1 }]);
});
