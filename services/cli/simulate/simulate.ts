/** `stockmesh simulate`: a day's logins against the rules of freshness and priority, on a virtual clock. */
import { InputError } from '../../platform/errors.ts';
import { MEASURED_BYTES, MEASURED_COSTS } from '../../simulation/costs.ts';
import { type DayFigures, simulateDay } from '../../simulation/day.ts';
import { hoursOf, loginsOf, simulatedPopulation } from '../../simulation/population.ts';
import { type Sizing, sizingOf } from '../../simulation/sizing.ts';
import type { HourFigures } from '../../simulation/tally.ts';
import { paint } from '../output/colour.ts';
import { percentText, span } from '../output/numbers.ts';
import { print, printJson } from '../output/print.ts';
import { type Column, clip, fields, table, widthOf } from '../output/table.ts';
import { type GlobalOptions, loadFor } from '../session.ts';

export interface SimulateOptions {
  users: number;
  symbols: number;
  day: string;
  holdings: number;
  loginsPerUser: number;
  zipf: number;
  seed: string;
  sourceMs: number;
  /** Those of the formula if not given. */
  cores?: number | undefined;
  workers?: number | undefined;
  portfolioPriority?: number | undefined;
  json?: boolean | undefined;
}

/** Milliseconds after which progress is shown, and between two lines of it where there is no terminal. */
const WORTH_SHOWING_MS = 1_000;
const LINE_MS = 30_000;
const HOUR_MS = 3_600_000;

/** Simulates one day and prints it by hour. Errors: `ConfigError`, `InputError('simulate.holdings')`, `InputError('market.bad_date')`. */
export async function simulate({ json, ...options }: GlobalOptions & SimulateOptions): Promise<number> {
  const { config } = loadFor(options).loaded;
  if (options.holdings > options.symbols)
    throw new InputError(
      'simulate.holdings',
      `--holdings ${options.holdings}: more than the ${options.symbols} symbols there are; give fewer, or more --symbols`,
    );
  const hours = hoursOf(options.day);
  const sizing = sizingOf(options, { config, costs: MEASURED_COSTS, bytes: MEASURED_BYTES, sourceMs: options.sourceMs, day: options.day });
  const started = performance.now();
  const progress = showProgress(hours[0]?.startMs ?? 0, hours.length * HOUR_MS);
  const machine = {
    cores: options.cores ?? sizing.cores,
    workers: options.workers ?? sizing.workers,
    admissions: options.portfolioPriority ?? sizing.portfolioPriority,
  };
  const figures = simulateDay({
    ...{ config, hours, ...machine },
    population: simulatedPopulation(options),
    logins: loginsOf(options.day, options),
    endMs: (hours.at(-1)?.startMs ?? 0) + HOUR_MS,
    costs: MEASURED_COSTS,
    sourceMs: options.sourceMs,
    seed: options.seed,
    onProgress: progress.at,
  });
  progress.end();
  const elapsedMs = performance.now() - started;
  if (json) printJson(asJson(options, sizing, machine, figures, elapsedMs));
  else printFigures(options, sizing, machine, figures, elapsedMs);
  return 0;
}

type Machine = { cores: number; workers: number; admissions: number };

function showProgress(startMs: number, lengthMs: number): { at: (nowMs: number) => void; end: () => void } {
  const out = process.stderr;
  const isLive = out.isTTY === true && process.env.TERM !== 'dumb';
  const started = performance.now();
  let shownAt = started;
  let isShown = false;
  return {
    at(nowMs) {
      const now = performance.now();
      if (now - started < WORTH_SHOWING_MS || now - shownAt < (isLive ? 100 : isShown ? LINE_MS : WORTH_SHOWING_MS)) return;
      shownAt = now;
      isShown = true;
      const share = Math.min(1, (nowMs - startMs) / lengthMs);
      const text = `simulating: ${(share * 100).toFixed(0)} % of the day, ${span(now - started)}`;
      out.write(isLive ? `\r\x1b[K${clip(text, widthOf(out) - 1)}` : `${text}\n`);
    },
    end() {
      if (isShown && isLive) out.write('\r\x1b[K');
    },
  };
}

function printFigures(
  { users, symbols, day, holdings, loginsPerUser, zipf, seed, sourceMs }: SimulateOptions,
  sizing: Sizing,
  { cores, workers, admissions }: Machine,
  { hours, day: whole }: DayFigures,
  elapsedMs: number,
): void {
  print(
    fields([
      ['day', `${day} in New York`],
      [
        'users',
        `${count(users)}, ${loginsPerUser} logins each, ${holdings} symbols each on average, of ${count(symbols)} (Zipf ${zipf}); seed ${seed}`,
      ],
      ['mesh', `${cores} cores, ${admissions} portfolio-priority, ${workers} workers; a source answers in ${span(sourceMs)} (median)`],
      [
        'budget',
        whole.budget === 0
          ? 'no source with one'
          : `${count(whole.budget / hours.length / 60)} requests a minute (stock_jobs.data_fetch.rate_limit); the busiest hour would take ${count(sizing.requestsPerMinute)}`,
      ],
      ['simulated in', span(elapsedMs)],
    ]),
  );
  print('');
  print(
    table([...hours.map((hour) => ({ name: `${String(hour.hour).padStart(2, '0')}:00`, ...hour })), { name: 'day', ...whole }], COLUMNS),
  );
  print(
    paint(
      'dim',
      'Symbols: looked at by logins; fresh: not due. Queues: waiting jobs at the end of the hour / at most. Time to fresh: from a login to the end of all its jobs, of the logins\nwhose jobs all brought fresh data; "got it": their share. Stored: fetches that no source had a request left for, answered with stored data.',
    ),
  );
}

type Row = HourFigures & { name: string };
const count = (value: number): string => Math.round(value).toLocaleString('en-US');
const number = (title: string, value: (row: Row) => number, optional?: number): Column<Row> => ({
  title,
  value: (row) => count(value(row)),
  align: 'right',
  ...(optional === undefined ? {} : { optional }),
});
const depth = (title: string, queue: keyof HourFigures['depth'], optional: number): Column<Row> => ({
  title,
  value: (row) => `${count(row.depth[queue].end)} / ${count(row.depth[queue].most)}`,
  align: 'right',
  optional,
});
const seconds = (value: number | null): string | null => (value === null ? null : span(value * 1000));

const COLUMNS: readonly Column<Row>[] = [
  { title: 'HOUR', value: ({ name }) => name },
  number('LOGINS', ({ logins }) => logins),
  number('SYMBOLS', ({ symbols }) => symbols, 8),
  number('FRESH', ({ fresh }) => fresh),
  number('JOBS MADE', ({ made }) => made),
  number('JOINED', ({ joined }) => joined),
  number('REFUSED', ({ refused }) => refused, 6),
  number('STORED', ({ stale }) => stale, 5),
  { title: 'LOST', value: ({ failed, expired }) => count(failed + expired), align: 'right', optional: 7 },
  depth('FOREGROUND', 'foreground', 1),
  depth('FETCH', 'background_fetch', 4),
  depth('ANALYSIS', 'background_analysis', 2),
  {
    title: 'BUDGET',
    value: ({ asked, budget }) => (budget === 0 ? null : percentText((asked / budget) * 100)),
    align: 'right',
    optional: 3,
  },
  { title: 'FRESH P50', value: ({ freshP50 }) => seconds(freshP50), align: 'right' },
  { title: 'P99', value: ({ freshP99 }) => seconds(freshP99), align: 'right' },
  { title: 'GOT IT', value: ({ freshShare }) => (freshShare === null ? null : percentText(freshShare * 100)), align: 'right' },
  { title: 'CORES', value: ({ cores }) => cores.toFixed(2), align: 'right' },
];

function asJson(options: SimulateOptions, sizing: Sizing, machine: Machine, { hours, day }: DayFigures, elapsedMs: number) {
  const row = ({ hour: _, startMs, stale, depth, freshP50, freshP99, freshShare, ...figures }: HourFigures) => ({
    at: new Date(startMs).toISOString(),
    ...figures,
    stored: stale,
    queues: depth,
    fresh_p50_s: freshP50,
    fresh_p99_s: freshP99,
    fresh_share: freshShare,
  });
  return {
    day: options.day,
    users: options.users,
    symbols: options.symbols,
    seed: options.seed,
    mesh: { cores: machine.cores, portfolio_priority: machine.admissions, workers: machine.workers },
    sizing: {
      logins_per_second: sizing.loginsPerSecond,
      fetches_per_second: sizing.fetchesPerSecond,
      cores_used: sizing.coresUsed,
      cores: sizing.cores,
      portfolio_priority: sizing.portfolioPriority,
      workers: sizing.workers,
      connections: sizing.connections,
      requests_per_minute: sizing.requestsPerMinute,
      messages_per_second: sizing.messagesPerSecond,
      database_bytes: sizing.databaseBytes,
    },
    hours: hours.map(row),
    total: row(day),
    elapsed_ms: Math.round(elapsedMs),
  };
}
