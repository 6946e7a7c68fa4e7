import { expect, test } from 'vitest';
import { systemClock } from '../../../services/platform/clock.ts';
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
  const heartbeat = await startHeartbeat({ ...context, config: configOf({ 'worker.heartbeat_interval': 1 }) });
  const rows = () => mesh.db.rows('SELECT instance, service, session, capacity, running FROM instances');
  const expected = { instance: 'w1', service: 'worker', session: bus.session, capacity: 7 };
  expect(await rows()).toEqual([{ ...expected, running: 0 }]);
  bus.updatePresence({ running: 3 });
  await expect.poll(rows, { timeout: 5_000 }).toEqual([{ ...expected, running: 3 }]);
  await heartbeat.retire();
  expect(await rows()).toEqual([]);
});
