/** A compressed day at the real mesh beside the simulation of the same logins. */
import { availableParallelism } from 'node:os';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { type Costs, MEASURED_COSTS } from '../../../services/simulation/costs.ts';
import { simulateDay } from '../../../services/simulation/day.ts';
import { type DayPlan, type RealDay, settingsOf } from './real-day.ts';

export interface Compared {
  what: string;
  real: number;
  simulated: number;
  /** Largest quotient of the two, in either direction, and a difference that is right whatever the quotient. */
  times: number;
  or: number;
  met: boolean;
}

/**
 * Where the two may differ. Counts: a job that ends a few milliseconds sooner or later is joined or made anew, and a symbol is judged a little earlier or later. Times depend on
 * what else the machine does, and with them how many logins meet a job that is under way and join it; cores on how warm its caches are.
 */
export const TOLERANCES = {
  symbols: { times: 1, or: 0 },
  made: { times: 1.05, or: 20 },
  joined: { times: 3, or: 100 },
  fresh: { times: 1.05, or: 50 },
  p50: { times: 3, or: 150 },
  // The slowest logins meet the worst moments of a shared machine, and the check knows the average.
  p99: { times: 4, or: 250 },
  cores: { times: 2, or: 0.1 },
} as const;

/**
 * Threads of a mesh that work at once for logins: portfolio-priority, two workers, two or three of the database. Where others had the processors and the mesh had more to
 * do than it got, cores in use × slowdown was 5.7 to 6.8.
 */
const THREADS = 6;

/** Simulates the logins of a real day from the states that were stored before it. */
export function compare(real: RealDay, plan: DayPlan, costs: Costs = MEASURED_COSTS): Compared[] {
  const set = settingsOf(plan).map((text) => text.split('=') as [string, string]);
  const { config } = loadConfig({
    environment: 'development',
    files: [],
    overrides: Object.fromEntries(set.map(([key, value]) => [key, { value, option: '--set' }])),
  });
  const { population, logins, states, startMs, endMs, slowdown } = real;
  // Others had the processors for a part of the time: every step took so much longer, and used no more.
  const slower = Object.fromEntries(Object.entries(costs).map(([name, ms]) => [name, (ms as number) * slowdown])) as unknown as Costs;
  const { day } = simulateDay({
    ...{ config, population, logins, states, costs: slower, endMs, workers: plan.workers, admissions: 1 },
    hours: [{ startMs, hour: 0 }],
    // A thread that shares the processors with others gets its turn beside them: so many can be under way at once.
    cores: Math.min(Math.ceil(availableParallelism() * slowdown), Math.max(THREADS, availableParallelism())),
    sourceMs: 1,
    seed: plan.seed,
  });
  const times = real.freshMs.toSorted((a, b) => a - b);
  const quantile = (share: number): number => times[Math.min(times.length - 1, Math.ceil(share * times.length) - 1)] ?? 0;
  const processorMs = Object.values(real.processor).reduce((sum, ms) => sum + ms, 0);
  const row = (name: keyof typeof TOLERANCES, what: string, own: number, simulated: number): Compared => {
    const { times: most, or } = TOLERANCES[name];
    const met =
      Math.abs(own - simulated) <= or || (Math.min(own, simulated) > 0 && Math.max(own, simulated) / Math.min(own, simulated) <= most);
    return { what, real: own, simulated, times: most, or, met };
  };
  return [
    row('symbols', 'symbols looked at', real.symbols, day.symbols),
    row('made', 'jobs made', real.made, day.made),
    row('joined', 'requests that joined a job', real.joined, day.joined),
    row('fresh', 'symbols that were fresh', real.fresh, day.fresh),
    row('p50', 'login to fresh, p50, ms', quantile(0.5), (day.freshP50 ?? 0) * 1000),
    row('p99', 'login to fresh, p99, ms', quantile(0.99), (day.freshP99 ?? 0) * 1000),
    row('cores', 'cores in use', processorMs / (endMs - startMs), day.cores / slowdown),
  ];
}
