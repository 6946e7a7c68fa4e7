import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { listInstances, reportInstance, retireInstance } from '../../../services/platform/registry/instances.ts';
import { fixture } from '../../scheduler/mesh.ts';

const mesh = fixture();
const START = new Date('2026-06-02T14:00:00Z');
const worker = () => ({
  instance: 'worker-1',
  service: 'worker',
  session: randomUUID(),
  capacity: 4,
  running: 1,
  started_at: START,
  heartbeat_at: START,
  clock_offset_s: -600.25,
  capabilities: ['region:eu'],
});

test('an instance is listed with its newest heartbeat until that is too old', async () => {
  const one = worker();
  await reportInstance(mesh.db, one);
  await reportInstance(mesh.db, { ...one, running: 3 });
  expect(await listInstances(mesh.db, START)).toEqual([{ ...one, running: 3 }]);
  expect(await listInstances(mesh.db, new Date(START.getTime() + 1))).toEqual([]);
});

test('an instance that ended is removed, but not the next process of its name', async () => {
  const [earlier, later] = [worker(), worker()];
  await reportInstance(mesh.db, earlier);
  await reportInstance(mesh.db, later);
  await retireInstance(mesh.db, earlier, START);
  expect(await listInstances(mesh.db, START)).toEqual([later]);
  await retireInstance(mesh.db, later, START);
  expect(await listInstances(mesh.db, START)).toEqual([]);
});

test('of instances that retire at the same moment the last one is told that nobody is left, and only that one', async () => {
  for (let round = 0; round < 10; round++) {
    const three = ['a', 'b', 'c'].map((instance) => ({ ...worker(), instance }));
    for (const one of three) await reportInstance(mesh.db, one);
    const othersLive = await Promise.all(three.map((one) => retireInstance(mesh.db, one, START)));
    expect(othersLive.toSorted()).toEqual([false, true, true]);
  }
});

test('an instance that takes no work yet does not stand in for one that did, but for one that never had any', async () => {
  const [ending, starting] = [
    { ...worker(), instance: 'ending' },
    { ...worker(), instance: 'starting', capacity: 0 },
  ];
  for (const one of [ending, starting]) await reportInstance(mesh.db, one);
  expect(await retireInstance(mesh.db, ending, START)).toBe(false);
  await reportInstance(mesh.db, ending);
  expect(await retireInstance(mesh.db, { ...ending, capacity: 0 }, START)).toBe(true);
});
