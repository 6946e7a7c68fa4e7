/** The answers to logins do not wait behind the doorbells and states of a burst. */
import { expect, onTestFinished, test } from 'vitest';
import { connectBus } from '../../../services/platform/bus/bus.ts';
import { startEmbedded } from '../../broker/brokers.ts';
import { accounts, silent } from '../../broker/peers.ts';

const at = '2026-03-03T16:00:00.000Z';
const status = (id: string) => ({ id, type: 'fetch', state: 'ready' as const, attempt: 0, at });
const job = (id: string) => ({
  ...{ id, type: 'fetch', queue: 'foreground', priority: 1, score: 1, why: { text: 'x' }, symbol: 'AAPL' },
  ...{ triggered_by: 'user_login', enqueued_at: at },
});
const answer = {
  user_id: 'alice',
  at,
  total: 0,
  queued: 0,
  fresh: 0,
  outdated: 0,
  unknown: 0,
  missing: 0,
  joined: 0,
  text: 'none',
  jobs: [],
  skipped: [],
};

async function connected(account: 'service' | 'monitor', port: number) {
  const { password } = accounts[account]!;
  const bus = connectBus({ port, username: account, password, service: account, instance: account, maxInFlight: 1, log: silent });
  onTestFinished(() => bus.close());
  await bus.online();
  return bus;
}

test.each([
  ['doorbells', 500],
  // More than may wait: the last ones are dropped, and the answer still has room.
  ['states of jobs', 10_500],
])('an answer overtakes waiting %s (%d)', async (kind, count) => {
  const broker = await startEmbedded();
  onTestFinished(() => broker.close());
  const [bus, monitor] = await Promise.all([connected('service', broker.port), connected('monitor', broker.port)]);
  const seen: string[] = [];
  const all = { queueLimit: 100_000 };
  await Promise.all([
    monitor.subscribe('portfolio', all, () => void seen.push('answer')).ready,
    monitor.subscribe('job', all, () => void seen.push('doorbell')).ready,
    monitor.subscribe('status', all, () => void seen.push('state')).ready,
  ]);
  const ids = Array.from({ length: count }, (_, index) => `job-${index}`);
  const others = ids.map((id) => (kind === 'doorbells' ? bus.publish('job', job(id)) : bus.publish('status', status(id))));
  await Promise.all([...others, bus.publish('portfolio', answer)]);
  await expect.poll(() => seen.length, { timeout: 20_000 }).toBeGreaterThan(Math.min(count, 5_000));
  // One was under way.
  expect(seen.indexOf('answer')).toBeLessThanOrEqual(1);
  expect(seen).toContain('answer');
});
