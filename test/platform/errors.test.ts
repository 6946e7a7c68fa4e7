import { expect, test } from 'vitest';
import { isSettled, offsetSeconds, systemClock } from '../../services/platform/clock.ts';
import { codeOf, InputError, isDatabaseAway, messageOf, PermanentError, TransientError } from '../../services/platform/errors.ts';

test('the text of several errors without one of its own is theirs', () => {
  const both = [new Error('ECONNREFUSED ::1'), new Error('ECONNREFUSED 127.0.0.1')];
  expect(messageOf(new AggregateError(both))).toBe('ECONNREFUSED ::1; ECONNREFUSED 127.0.0.1');
  expect(messageOf(new AggregateError(both, 'nobody answers'))).toBe('nobody answers');
  expect(messageOf('thrown as text')).toBe('thrown as text');
});

test.each<[unknown, string]>([
  [new InputError('user.invalid', 'no'), 'user.invalid'],
  [Object.assign(new Error('no'), { code: 'ECONNREFUSED' }), 'ECONNREFUSED'],
  [Object.assign(new Error('no'), { code: 5 }), 'internal'],
  [null, 'internal'],
  ['text', 'internal'],
])('the code of %o is %s', (thrown, code) => {
  expect(codeOf(thrown)).toBe(code);
});

test('only a transient error of the database says that the database is away', () => {
  expect(isDatabaseAway(new TransientError('database.busy', 'no'))).toBe(true);
  expect(isDatabaseAway(new TransientError('source.network', 'no'))).toBe(false);
  expect(isDatabaseAway(new PermanentError('database.too_large', 'no'))).toBe(false);
});

test('a transient error carries the wish of the other side', () => {
  expect(new TransientError('source.rate_limited', 'no', { retryAfterMs: 5_000 }).retryAfterMs).toBe(5_000);
  expect(new TransientError('source.network', 'no').retryAfterMs).toBeUndefined();
});

test('what others stamped is judged from as many seconds after a jump of the clock as asked for', () => {
  const jumped = (agoMs: number) => ({ ...systemClock, lastJump: { byMs: 5_000, agoMs } });
  expect([isSettled(systemClock, 60), isSettled(jumped(59_999), 60), isSettled(jumped(60_000), 60)]).toEqual([true, false, true]);
});

test('an offset is shown in seconds to the millisecond, and as null where it is not known', () => {
  expect([offsetSeconds({ ...systemClock, offsetMs: -1_234.6 }), offsetSeconds(systemClock)]).toEqual([-1.235, null]);
});
