import { expect, test } from 'vitest';
import { resign, tryLead } from '../../../services/platform/registry/leases.ts';
import { fixture } from '../../scheduler/mesh.ts';

const mesh = fixture();
const at = (second: number) => new Date(Date.parse('2026-06-02T14:00:00Z') + second * 1000);
const lead = (holder: string, second: number, name = 'scheduler') => tryLead(mesh.db, name, holder, 15, at(second));

test('the first who asks leads, and the next one does not', async () => {
  expect(await lead('a', 0)).toBe(true);
  expect(await lead('b', 1)).toBe(false);
});

test('who leads renews', async () => {
  await lead('a', 0);
  expect(await lead('a', 10)).toBe(true);
  expect(await lead('b', 16)).toBe(false);
});

test('a refused try does not prolong the lease of the holder', async () => {
  await lead('a', 0);
  await lead('b', 10);
  expect(await lead('b', 15)).toBe(true);
});

test('a lease that ran out is taken over, and its former holder is told so', async () => {
  await lead('a', 0);
  expect(await lead('b', 15)).toBe(true);
  expect(await lead('a', 16)).toBe(false);
});

test('who resigns is followed at once', async () => {
  await lead('a', 0);
  await resign(mesh.db, 'scheduler', 'a');
  expect(await lead('b', 1)).toBe(true);
});

test('the resignation of one who does not lead changes nothing', async () => {
  await lead('a', 0);
  await resign(mesh.db, 'scheduler', 'b');
  expect(await lead('b', 1)).toBe(false);
});

test('leases of different names have nothing to do with each other', async () => {
  await lead('a', 0);
  expect(await lead('b', 0, 'another')).toBe(true);
});

test('of twenty who ask at once for a lease that ran out, one leads', async () => {
  await lead('gone', 0);
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => lead(`s${i}`, 20)));
  expect(answers.filter(Boolean)).toHaveLength(1);
});

test('who may not take over leaves a lease that ran out to its holder, and renews its own', async () => {
  await lead('a', 0);
  const leave = (holder: string, second: number) => tryLead(mesh.db, 'scheduler', holder, 15, at(second), { mayTakeOver: false });
  expect(await leave('b', 20)).toBe(false);
  expect(await leave('a', 20)).toBe(true);
  // Renewed until second 35.
  expect(await lead('b', 34)).toBe(false);
  expect(await lead('b', 35)).toBe(true);
});
