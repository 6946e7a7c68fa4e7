/** In time of the processor, which others on the machine take no part of. What is usual stands beside each limit. */
import { expect, test } from 'vitest';
import { quantReport } from '../../../services/picks/report/build.ts';
import { screenFor } from '../../../services/picks/screen/screen.ts';
import { AT, inventedMembers, screened, user } from '../invented-universe.ts';

const MEMBERS = inventedMembers(500);
const RISKS = ['conservative', 'moderate', 'aggressive'];
const SECTORS = ['technology', 'energy', 'healthcare', 'utilities'];

/** Milliseconds of the processor. */
const timed = (work: () => void): number => {
  const before = process.cpuUsage();
  work();
  const { user: own, system } = process.cpuUsage(before);
  return (own + system) / 1000;
};

test('a universe of 500 symbols is measured and screened for one user within a second', () => {
  // Usually some 60 ms.
  expect(timed(() => screenFor(screened(MEMBERS), user()))).toBeLessThan(1000);
});

test('1,000 users of one universe have their reports within ten seconds', () => {
  // Usually below 2 s.
  const universe = screened(MEMBERS);
  const users = Array.from({ length: 1000 }, (_, index) =>
    user({
      risk_tolerance: RISKS[index % 3],
      interests: index % 2 === 0 ? [] : [SECTORS[index % 4]],
      monthly_budget: 50 + index,
      goals: index % 5 === 0 ? ['extra_income'] : [],
    }),
  );
  let picks = 0;
  const taken = timed(() => {
    for (const [index, person] of users.entries()) {
      const report = quantReport({
        universe,
        screen: screenFor(universe, person),
        userId: `user-${index}`,
        weekOf: '2026-11-23',
        version: 1,
        generatedAt: AT,
        earlier: null,
        fallbackReason: 'no_model',
      });
      picks += report.stock_picks.length;
    }
  });
  expect(picks).toBeGreaterThan(5500);
  expect(taken).toBeLessThan(10_000);
  console.log(`1,000 reports of 500 symbols: ${Math.round(taken)} ms`);
});
