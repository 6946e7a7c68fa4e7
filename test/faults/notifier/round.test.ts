import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestMesh, type TestMesh } from '../mesh.ts';
import { notifierRound } from './round.ts';

let mesh: TestMesh;
beforeAll(async () => {
  mesh = await startTestMesh();
});
afterAll(() => mesh.stop());

/** 300 events and two kills in place of the 10,000 and twenty of `npm run faults -- --only notifier`. */
test('the notifier is killed while the mail server refuses, is slow or gone: each message is there once, in order', async () => {
  expect(await notifierRound(mesh, { events: 300, kills: 2 })).toMatchObject({
    sent: 600,
    done: 600,
    lost: 0,
    doubled: 0,
    failed: 0,
    outOfOrder: 0,
  });
}, 300_000);
