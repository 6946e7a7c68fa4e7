import { availableParallelism } from 'node:os';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stopAll } from '../bench/processes/servers.ts';
import { type Compared, compare } from '../bench/simulation/compare.ts';
import { type DayPlan, type RealDay, realDay } from '../bench/simulation/real-day.ts';

// The short form of `npm run simulate:check`: a hundred users of a day in ten seconds at a real mesh, and the simulation of the same logins.
const PLAN: DayPlan = {
  users: 100,
  symbols: 40,
  holdings: 6,
  seconds: 10,
  freshSeconds: 5,
  workers: 1,
  seed: 'short',
  warmUpSeconds: 0,
  idleSeconds: 0,
};

let real: RealDay;
let rows: Map<string, Compared>;
beforeAll(async () => {
  real = await realDay('mesh', PLAN);
  rows = new Map(compare(real, PLAN).map((row) => [row.what, row]));
}, 180_000);
afterAll(stopAll);

const both = (what: string): { real: number; simulated: number } => rows.get(what) as Compared;

test('the real mesh does every job of the day', () => {
  expect(real.lost).toBe(0);
  expect(real.freshMs).toHaveLength(PLAN.users);
});

test('the simulation looks at the same symbols', () => {
  const { real: own, simulated } = both('symbols looked at');
  expect(simulated).toBe(own);
});

test('the simulation makes as many jobs as the real mesh, but for what the speed of the machine decides', () => {
  const { real: own, simulated } = both('jobs made');
  // Each symbol that is held is fetched and analysed once by both, and again as often as it goes stale: a slow machine fits fewer rounds into the day.
  expect(Math.max(own, simulated) / Math.min(own, simulated)).toBeLessThan(2);
});

test('the simulation uses no more cores than there are, and some', () => {
  const { simulated } = both('cores in use');
  expect(simulated).toBeGreaterThan(0);
  expect(simulated).toBeLessThanOrEqual(availableParallelism());
});
