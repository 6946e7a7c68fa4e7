import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { isLong } from '../../support/long.ts';
import { PICKS_CASES } from './cases.ts';
import { type Ground, openPicksGround, PICKERS } from './ground.ts';

let ground: Ground;
beforeAll(async () => {
  ground = await openPicksGround(isLong ? PICKERS : 2);
}, 60_000);
afterEach(() => ground.clear());
afterAll(() => ground.stop());

const USERS = isLong ? 6 : 3;

test.each(PICKS_CASES.filter(({ long }) => isLong || !long).map(({ name, run }) => [name, run] as const))(
  '%s: a report for each user, none paid for twice, and each payment that nobody knows of is told',
  async (_, run) => {
    const round = await run(ground, USERS);
    expect(round).toMatchObject({ lost: 0, doubled: 0, failed: 0 });
    expect(round.told).toBe(round.unknown);
  },
  150_000,
);
