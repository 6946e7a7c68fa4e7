import { expect, test } from 'vitest';
import type { Bus } from '../../../services/platform/bus/bus.ts';
import { systemClock } from '../../../services/platform/clock.ts';
import { TransientError } from '../../../services/platform/errors.ts';
import { startHeartbeat } from '../../../services/platform/registry/heartbeat.ts';
import { startEmbedded } from '../../broker/brokers.ts';
import { silent } from '../../broker/peers.ts';
import { configOf } from '../../scheduler/configuration.ts';
import { fixture } from '../../scheduler/mesh.ts';
import { closing, openBus } from '../bus/brokers.ts';

const mesh = fixture();

test('a service is in the database with the load of its presence until it stops', async () => {
  const broker = closing(await startEmbedded());
  const bus = openBus(broker.port, { service: 'worker', instance: 'w1', version: '1' });
  bus.updatePresence({ capacity: 7, running: 0 });
  const context = { service: 'worker', instance: 'w1', clock: systemClock, db: mesh.db, bus, log: silent };
  const heartbeat = await startHeartbeat({ ...context, config: configOf({ 'worker.heartbeat_interval': 3 }) });
  const rows = () => mesh.db.rows('SELECT instance, service, session, capacity, running FROM instances');
  const expected = { instance: 'w1', service: 'worker', session: bus.session, capacity: 7 };
  expect(await rows()).toEqual([{ ...expected, running: 0 }]);
  bus.updatePresence({ running: 3 });
  // At the next beat, a third of the interval later.
  await expect.poll(rows, { timeout: 5_000 }).toEqual([{ ...expected, running: 3 }]);
  await heartbeat.retire();
  expect(await rows()).toEqual([]);
});

/** A service without a broker, whose beats the test makes. */
const start = (instance: string, load: { capacity?: number; running?: number } = {}, db = mesh.db) =>
  startHeartbeat({
    ...{ service: 'gateway', instance, clock: systemClock, db, log: silent, config: configOf({ 'worker.heartbeat_interval': 60 }) },
    bus: { session: undefined, load } as unknown as Bus,
  });

test('a service that stops is told whether another one of its kind goes on, however often it asks', async () => {
  const [first, second] = [await start('g1'), await start('g2')];
  expect([await first.retire(), await first.retire()]).toEqual([true, true]);
  expect(await second.retire()).toBe(false);
});

test('a load beyond what the columns hold is written as the most that they hold', async () => {
  const beating = await start('g1', { capacity: 100_000, running: 70_000 });
  expect(await mesh.db.rows('SELECT capacity, running FROM instances')).toEqual([{ capacity: 65_535, running: 65_535 }]);
  await beating.retire();
});

test('a service that stops while its database is away is told that it is the last one', async () => {
  const away = { ...mesh.db, transaction: () => Promise.reject(new TransientError('database.unavailable', 'away')) };
  const [other, beating] = [await start('g1'), await start('g2', {}, away)];
  expect(await beating.retire()).toBe(false);
  await other.retire();
});
