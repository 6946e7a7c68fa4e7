import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { InputError, PermanentError } from '../../services/platform/errors.ts';
import { type Draft, encodeMessage } from '../../services/platform/messages.ts';
import { createRefusals, refusalText } from '../../services/platform/refusals.ts';

beforeEach(() => void vi.useFakeTimers({ now: Date.parse('2026-03-03T16:00:00Z') }));
afterEach(() => void vi.useRealTimers());

function refusing() {
  const told: Draft<'refused'>[] = [];
  const refusals = createRefusals({ source: 'broker', now: () => new Date(), publish: (message) => void told.push(message) });
  return { told, refusals, counted: () => told.map(({ code, count }) => `${code} ${count}`) };
}
const wrong = { code: 'message.invalid', text: 'no userId' };

test('the first refusal is told at once, with all that is known of it', () => {
  const { told, refusals } = refusing();
  refusals.add({ ...wrong, clientId: 'hook-1', account: 'hook', topic: 'events/login', bytes: 7 });
  expect(told).toEqual([
    {
      ...{ source: 'broker', code: 'message.invalid', text: 'no userId', count: 1, at: '2026-03-03T16:00:00.000Z' },
      ...{ client_id: 'hook-1', account: 'hook', topic: 'events/login', bytes: 7 },
    },
  ]);
  expect(encodeMessage('refused', told[0]!)).toMatchObject({ topic: 'events/refused', qos: 0, retain: false });
});

test('a flood costs a message in ten seconds, and none of it is missing in the sum', () => {
  const { told, refusals, counted } = refusing();
  for (let second = 0; second < 30; second++) {
    for (let each = 0; each < 1_000; each++) refusals.add({ ...wrong, clientId: `hook-${second}` });
    vi.advanceTimersByTime(1_000);
  }
  vi.advanceTimersByTime(60_000);
  expect(counted()).toEqual(['message.invalid 1', 'message.invalid 9999', 'message.invalid 10000', 'message.invalid 10000']);
  expect(told.at(-1)).toMatchObject({ client_id: 'hook-29' });
  expect(refusals.counts).toEqual(new Map([['message.invalid', 30_000]]));
});

test('another reason is told at once too, and one that comes again after a pause', () => {
  const { refusals, counted } = refusing();
  refusals.add(wrong);
  refusals.add({ ...wrong, code: 'message.empty' });
  vi.advanceTimersByTime(10_000);
  refusals.add(wrong);
  expect(counted()).toEqual(['message.invalid 1', 'message.empty 1', 'message.invalid 1']);
});

test('one that is only counted is not told, not even together with others', () => {
  const { refusals, counted } = refusing();
  refusals.count(wrong.code);
  refusals.add(wrong);
  refusals.count(wrong.code);
  vi.advanceTimersByTime(60_000);
  expect(counted()).toEqual(['message.invalid 1']);
  expect(refusals.counts).toEqual(new Map([['message.invalid', 3]]));
});

test('the end tells what is untold', () => {
  const { refusals, counted } = refusing();
  for (let each = 0; each < 3; each++) refusals.add(wrong);
  refusals.stop();
  vi.advanceTimersByTime(60_000);
  expect(counted()).toEqual(['message.invalid 1', 'message.invalid 2']);
});

test('names of strangers are cut, and what cannot be seen in them is shown by its code', () => {
  const { told, refusals } = refusing();
  refusals.add({ ...wrong, clientId: '\u202e\x9b31m', topic: 'x'.repeat(60_000) });
  expect(told[0]).toMatchObject({ client_id: String.raw`\u202e\u009b31m` });
  expect(told[0]!.topic).toHaveLength(200);
  expect(() => encodeMessage('refused', told[0]!)).not.toThrow();
});

test('however many codes there are, few are told and counted', () => {
  const { told, refusals } = refusing();
  for (let code = 0; code < 1_000; code++) refusals.add({ code: `made.up_${code}`, text: 'x' });
  vi.advanceTimersByTime(10_000);
  expect(refusals.counts.size).toBe(51);
  expect(refusals.counts.get('refusal.other')).toBe(950);
  expect(told).toHaveLength(52);
});

test('what may be told of an error is its summary', () => {
  expect(refusalText(new InputError('a.b', 'the secret is wrong', { summary: 'wrong' }))).toBe('wrong');
  expect(refusalText(new InputError('a.b', 'wrong'))).toBe('wrong');
  expect(refusalText(new PermanentError('a.b', 'never'))).toBe('never');
});
