/** The parts of the embedded broker's limits, with a clock of the test. */
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { countGuesses } from '../../../broker/edge/guesses.ts';
import { BROKER_LIMITS, sparingLog } from '../../../broker/edge/limits.ts';
import { sharedPaces } from '../../../broker/edge/pace.ts';
import { configOf } from '../../scheduler/configuration.ts';

function clock() {
  let ms = 0;
  return {
    now: () => ms,
    pass(more: number) {
      ms += more;
    },
  };
}

test('the defaults of the broker are those of the configuration', () => {
  const { connect_timeout, ...rest } = configOf().queue.mqtt.limits;
  const camel = (key: string) => key.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  const named = Object.fromEntries(Object.entries(rest).map(([key, value]) => [camel(key), value]));
  expect(BROKER_LIMITS).toEqual({ ...named, connectSeconds: connect_timeout });
});

test.each(['192.0.2.7', '2001:db8::7'])('beyond the limit %s is not heard for that account until the minute is over', (address) => {
  const { now, pass } = clock();
  const guesses = countGuesses(2, now);
  guesses.failed(address, 'hook');
  expect(guesses.isHeard(address, 'hook')).toBe(true);
  guesses.failed(address, 'hook');
  expect(guesses.isHeard(address, 'hook')).toBe(false);
  expect(guesses.isHeard(address, 'monitor')).toBe(true);
  expect(guesses.isHeard('192.0.2.8', 'hook')).toBe(true);
  pass(60_000);
  expect(guesses.isHeard(address, 'hook')).toBe(true);
});

test('addresses of one /64 share the limit', () => {
  const guesses = countGuesses(1, clock().now);
  guesses.failed('2001:db8::7', 'hook');
  expect(guesses.isHeard('2001:db8::8', 'hook')).toBe(false);
});

test.each(['127.0.0.1', '::1', '::ffff:127.0.0.1'])('%s is of this machine: always heard, and answered late', (address) => {
  const guesses = countGuesses(1, clock().now);
  expect([guesses.failed(address, 'hook'), guesses.failed(address, 'hook')]).toEqual([0, 1000]);
  expect(guesses.isHeard(address, 'hook')).toBe(true);
});

test('a connection waits as long as what it sent takes at full pace, messages or bytes, whichever takes longer', () => {
  const { now, pass } = clock();
  const pace = sharedPaces({ messagesPerSecond: 1000, bytesPerSecond: 1_000_000 }, () => undefined, now)(() => 'hook');
  pace.charge(500, 1000, false);
  expect(pace.wait()).toBe(500);
  pass(500);
  expect(pace.wait()).toBe(0);
  pace.charge(1, 250_000, false);
  expect(pace.wait()).toBe(250);
});

test('the connections of one account that are too fast share its pace; the others, and other accounts, do not wait', () => {
  const paceOf = sharedPaces({ messagesPerSecond: 1000, bytesPerSecond: 1_000_000 }, () => undefined, clock().now);
  const [one, two, quiet] = [paceOf(() => 'hook'), paceOf(() => 'hook'), paceOf(() => 'hook')];
  const other = paceOf(() => 'monitor');
  one.charge(500, 0, false);
  two.charge(500, 0, false);
  // Only who asks to be read, and must wait, takes a share.
  expect(one.wait()).toBe(500);
  two.wait();
  expect([one, two, quiet, other].map((pace) => pace.wait())).toEqual([1000, 1000, 0, 0]);
  two.end();
  expect(one.wait()).toBe(500);
});

test('a connection that has more to read takes its share, also while it is read later for another reason than its pace', () => {
  const { now, pass } = clock();
  const paceOf = sharedPaces({ messagesPerSecond: 1000, bytesPerSecond: 1_000_000 }, () => undefined, now);
  const [one, two] = [paceOf(() => 'hook'), paceOf(() => 'hook')];
  two.charge(1, 0, true);
  one.charge(50, 0, true);
  pass(50);
  expect(two.wait()).toBe(0);
  expect(one.wait()).toBe(50);
  two.charge(1, 0, false);
  pass(25);
  expect(one.wait()).toBe(0);
});

test('of one thing a log says five lines a minute, and how many it left out', () => {
  const { now, pass } = clock();
  const lines: object[] = [];
  const say = sparingLog(pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line)) }), now);
  for (let i = 0; i < 8; i++) say('same', 'warn', {}, 'met');
  say('another', 'warn', {}, 'met too');
  expect(lines).toHaveLength(6);
  pass(60_000);
  say('same', 'warn', {}, 'met');
  expect(lines.at(-1)).toMatchObject({ leftOut: 3, msg: 'met' });
});
