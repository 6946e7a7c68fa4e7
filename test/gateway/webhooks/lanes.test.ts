/** Which receivers are called now, without a database: the numbers follow from the limits below. */
import { expect, test } from 'vitest';
import { createLanes, type Lane } from '../../../services/gateway/webhooks/lanes.ts';
import { configOf } from '../../scheduler/configuration.ts';

const limits = {
  ...configOf({}).gateway.callbacks,
  ...{ max_concurrent: 10, max_per_key: 6, max_per_host: 2, circuit: { failures: 3, first_pause: 10, longest_pause: 25 } },
};
const at = (seconds: number): Date => new Date(seconds * 1000);
const lane = (keyId: string, host: string): Lane => ({ keyId, host });
const mostOf = (shared: readonly { host: string; most: number }[]) => shared.map(({ host, most }) => `${host}:${most}`);

test('a receiver is called a few times at once, whichever keys want it', () => {
  const lanes = createLanes(limits);
  expect(mostOf(lanes.share([lane('a', 'x'), lane('b', 'x'), lane('b', 'y')], at(0)))).toEqual(['x:2', 'y:2']);
  lanes.begin(lane('a', 'x'));
  expect(mostOf(lanes.share([lane('b', 'x')], at(0)))).toEqual(['x:1']);
  lanes.begin(lane('b', 'x'));
  expect(lanes.share([lane('a', 'x')], at(0))).toEqual([]);
  expect(lanes.full(at(0)).hosts).toEqual(['x']);
  lanes.end(lane('a', 'x'), 'answered', at(0));
  expect(mostOf(lanes.share([lane('a', 'x')], at(0)))).toEqual(['x:1']);
});

test('a key with many receivers leaves room to the others, and all together keep the whole limit', () => {
  const lanes = createLanes(limits);
  const many = (key: string) => ['1', '2', '3', '4', '5'].map((host) => lane(key, key + host));
  expect(mostOf(lanes.share(many('a'), at(0)))).toEqual(['a1:2', 'a2:2', 'a3:2']);
  for (const { keyId, host, most } of lanes.share(many('a'), at(0))) for (let call = 0; call < most; call++) lanes.begin(lane(keyId, host));
  expect(lanes.full(at(0)).keys).toEqual(['a']);
  expect(mostOf(lanes.share([...many('a'), ...many('b')], at(0)))).toEqual(['b1:2', 'b2:2']);
});

test('after failures in a row a receiver is left alone; then one call tries it, for ever longer pauses, until it answers', () => {
  const lanes = createLanes(limits);
  const x = lane('a', 'x');
  const call = (outcome: 'answered' | 'failed', when: number): number | undefined => {
    lanes.begin(x);
    return lanes.end(x, outcome, at(when));
  };
  const room = (when: number): number => lanes.share([x], at(when))[0]?.most ?? 0;
  // An answer in between begins the count anew.
  expect([call('failed', 0), call('failed', 0), call('answered', 0), call('failed', 0), call('failed', 0), room(0)]).toEqual([
    ...[undefined, undefined, undefined, undefined, undefined, 2],
  ]);
  expect(call('failed', 0)).toBe(10);
  expect([room(0), room(9.9), room(10)]).toEqual([0, 0, 1]);
  expect([lanes.open(at(9)), lanes.open(at(10))]).toEqual([['x'], []]);
  expect([call('failed', 10), room(29), call('failed', 30), room(54), room(55)]).toEqual([20, 0, 25, 0, 1]);
  call('answered', 55);
  expect(room(55)).toBe(2);
});

test('calls that were under way when a receiver was given up are no further reason', () => {
  const lanes = createLanes({ ...limits, max_per_host: 5 });
  const x = lane('a', 'x');
  for (let call = 0; call < 5; call++) lanes.begin(x);
  expect([0, 0, 0, 1, 1].map((when) => lanes.end(x, 'failed', at(when)))).toEqual([undefined, undefined, 10, undefined, undefined]);
});

test('a call that was not made after all says nothing about the receiver', () => {
  const lanes = createLanes(limits);
  const x = lane('a', 'x');
  for (const outcome of ['failed', 'failed', undefined] as const) {
    lanes.begin(x);
    lanes.end(x, outcome, at(0));
  }
  expect(mostOf(lanes.share([x], at(0)))).toEqual(['x:2']);
  lanes.begin(x);
  expect(lanes.end(x, 'failed', at(0))).toBe(10);
});

test('a clock that was set back does not keep a receiver from being called', () => {
  const lanes = createLanes(limits);
  const x = lane('a', 'x');
  for (const _ of [1, 2, 3]) {
    lanes.begin(x);
    lanes.end(x, 'failed', at(1000));
  }
  expect(lanes.share([x], at(400))).toMatchObject([{ most: 1 }]);
});
