import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../services/platform/config/load.ts';
import { MEASURED_BYTES, MEASURED_COSTS } from '../../services/simulation/costs.ts';
import { type DayFigures, simulateDay } from '../../services/simulation/day.ts';
import { hoursOf, loginsOf, simulatedPopulation } from '../../services/simulation/population.ts';
import { sizingOf } from '../../services/simulation/sizing.ts';

const LOAD = { users: 3_000, symbols: 300, holdings: 8, loginsPerUser: 1, zipf: 1, seed: 'test' };
const WEDNESDAY = '2026-11-25';

function configured(set: Record<string, string> = {}) {
  const overrides = Object.fromEntries(Object.entries(set).map(([key, value]) => [key, { value, option: '--set' }]));
  return loadConfig({ environment: 'development', files: [], overrides }).config;
}

interface Given {
  day?: string;
  set?: Record<string, string>;
  load?: Partial<typeof LOAD>;
  workers?: number;
  costs?: Partial<typeof MEASURED_COSTS>;
}

function simulated({ day = WEDNESDAY, set = {}, load = {}, workers = 2, costs = {} }: Given = {}): DayFigures {
  const all = { ...LOAD, ...load };
  const hours = hoursOf(day);
  return simulateDay({
    ...{ config: configured(set), hours, workers, admissions: 1, cores: 4, sourceMs: 200, seed: all.seed },
    population: simulatedPopulation(all),
    logins: loginsOf(day, all),
    endMs: (hours.at(-1)?.startMs as number) + 3_600_000,
    costs: { ...MEASURED_COSTS, ...costs },
  });
}

/** Sources without a limit, which bring the data at once. */
const UNLIMITED = { 'stock_jobs.data_fetch.sources': 'simulated', 'stock_jobs.data_fetch.simulated.enabled': 'true' };
const ENOUGH = { 'stock_jobs.data_fetch.rate_limit': '100000' };

describe('the logins of a day', () => {
  test('are in the order of their times, one of each user', () => {
    const logins = [...loginsOf(WEDNESDAY, LOAD)];
    expect(logins.map(({ atMs }) => atMs)).toEqual(logins.map(({ atMs }) => atMs).toSorted((a, b) => a - b));
    expect(new Set(logins.map(({ user }) => user)).size).toBe(LOAD.users);
    expect(logins.length).toBe(LOAD.users);
  });

  test('lie within the day in New York, also of 23 and of 25 hours', () => {
    // The clock is changed on the second Sunday of March and the first one of November.
    for (const [day, hours] of [
      ['2026-03-08', 23],
      ['2026-11-01', 25],
      [WEDNESDAY, 24],
    ] as const) {
      expect(hoursOf(day)).toHaveLength(hours);
      const dates = [...loginsOf(day, LOAD)].map(({ atMs }) =>
        Temporal.Instant.fromEpochMilliseconds(atMs).toZonedDateTimeISO('America/New_York').toPlainDate().toString(),
      );
      expect([...new Set(dates)]).toEqual([day]);
    }
  });

  test('come most often in the hour in which the market opens', () => {
    const { hours } = simulated();
    expect(hours.toSorted((a, b) => b.logins - a.logins)[0]?.hour).toBe(9);
  });
});

describe('a simulated day', () => {
  test('is the same again with the same seed, and another with another', () => {
    expect(simulated()).toEqual(simulated());
    expect(simulated({ load: { seed: 'another' } })).not.toEqual(simulated());
  });

  test('loses no job: made are those that completed, failed, expired or wait at the end', () => {
    const cases: Record<string, string>[] = [{}, ENOUGH, { 'stock_jobs.data_fetch.sources': 'yahoo_finance' }];
    for (const set of cases) {
      const { day } = simulated({ set });
      const waiting = Object.values(day.depth).reduce((sum, { end }) => sum + end, 0);
      const ended = day.completed + day.failed + day.expired;
      // What runs at midnight is neither.
      expect(day.made - ended - waiting).toBeGreaterThanOrEqual(0);
      expect(day.made - ended - waiting).toBeLessThanOrEqual(10);
    }
  });

  test('every symbol of a login is fresh, or asked for by one or two requests', () => {
    const { day } = simulated({ set: ENOUGH });
    const due = day.symbols - day.fresh;
    expect(day.made + day.joined).toBeGreaterThanOrEqual(due);
    expect(day.made + day.joined).toBeLessThanOrEqual(2 * due);
  });

  test('sources are never asked more often than their budget allows', () => {
    const { hours, day } = simulated({ set: { 'stock_jobs.data_fetch.rate_limit': '20' } });
    // Windows begin with a request, so an hour holds at most one more of them than it has minutes.
    for (const { asked } of hours) expect(asked).toBeLessThanOrEqual(61 * 20);
    expect(day.stale).toBeGreaterThan(0);
  });

  test('on a Sunday a final bar needs no fetch, and only the analyses of Friday are made again', () => {
    const { day } = simulated({ day: '2026-11-22', set: ENOUGH });
    expect(day.asked).toBe(0);
    expect(day.made).toBe(day.completed);
    // cache_ttl of 6 h: each of the 300 symbols at most four times in a day.
    expect(day.made).toBeLessThanOrEqual(4 * LOAD.symbols);
  });

  test('with fewer workers users wait longer', () => {
    const slow = { fetchMs: 2_000, analysisMs: 500 };
    const few = simulated({ set: { ...UNLIMITED, 'worker.max_concurrent_jobs': '2' }, workers: 1, costs: slow });
    const many = simulated({ set: { ...UNLIMITED, 'worker.max_concurrent_jobs': '20' }, workers: 4, costs: slow });
    expect(few.day.freshP99).toBeGreaterThan(many.day.freshP99 as number);
  });

  test('a full foreground queue sends what comes to the next one, and a mesh without room refuses', () => {
    const tiny = { 'queue.priority_queues.foreground.max_jobs': '1', 'queue.login_reserve': '0' };
    const slow = { fetchMs: 5_000 };
    expect(simulated({ set: { ...UNLIMITED, ...tiny }, costs: slow }).day.depth.background_fetch.most).toBeGreaterThan(0);
    const full = {
      ...tiny,
      'queue.priority_queues.background_fetch.max_jobs': '1',
      'queue.priority_queues.background_analysis.max_jobs': '1',
    };
    expect(simulated({ set: { ...UNLIMITED, ...full }, costs: slow }).day.refused).toBeGreaterThan(0);
  });

  test('a job that nobody takes within the time of its queue expires', () => {
    const { day } = simulated({
      set: { ...UNLIMITED, 'queue.priority_queues.foreground.ttl': '60' },
      workers: 1,
      costs: { fetchMs: 20_000 },
    });
    expect(day.expired).toBeGreaterThan(0);
    expect(day.freshShare).toBeLessThan(1);
  });

  test('a used-up budget without stored data to give is tried again, as the configuration says', () => {
    const { day } = simulated({ set: { 'stock_jobs.data_fetch.sources': 'yahoo_finance', 'stock_jobs.data_fetch.rate_limit': '5' } });
    expect(day.retried).toBeGreaterThan(0);
    expect(day.stale).toBe(0);
  });
});

test('the formula of the sizing and the simulation agree on the fetches of a day', () => {
  const load = { users: 20_000, symbols: 1_000 };
  const { day } = simulated({ load, set: ENOUGH });
  const around = { config: configured(ENOUGH), costs: MEASURED_COSTS, bytes: MEASURED_BYTES, sourceMs: 200, day: WEDNESDAY };
  const { fetches } = sizingOf({ ...LOAD, ...load }, around);
  expect(day.asked / fetches).toBeGreaterThan(0.85);
  expect(day.asked / fetches).toBeLessThan(1.15);
});
