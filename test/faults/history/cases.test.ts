import { afterAll, beforeAll, expect, test } from 'vitest';
import { killedRound } from './cases.ts';
import { type HistoryGround, openHistoryGround, VICTIMS } from './ground.ts';

let ground: HistoryGround;
beforeAll(async () => {
  ground = await openHistoryGround();
});
afterAll(() => ground.stop());

/** Two weeks in place of the year of `npm run faults -- --only history`. */
test('worker, database, broker and store are killed at random: each day has the object that an undisturbed run gives, once', async () => {
  const counts = await killedRound(ground, VICTIMS, 7, { from: '2024-03-01', to: '2024-03-15' });
  expect(counts).toMatchObject({ sent: 11, done: 11, lost: 0, doubled: 0, failed: 0 });
}, 120_000);
