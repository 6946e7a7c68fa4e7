/** What the parts of a simulated mesh share. */
import { ledgerRules } from '../job-types/ledger.ts';
import type { Ledger } from '../ledger/job.ts';
import { type DecisionRules, decisionRules } from '../logins/decision.ts';
import type { SymbolState } from '../market/bars/read.ts';
import { calendarOf } from '../market/calendar/calendar.ts';
import { hashed } from '../market/sources/simulated.ts';
import type { Config } from '../platform/config/load.ts';
import type { Costs } from './costs.ts';
import { Agenda, Cores } from './machine.ts';
import type { Population, SimulatedLogin } from './population.ts';
import { SimulatedSources } from './sources.ts';
import { Tally } from './tally.ts';
import { type PendingLogin, Waiting } from './waiting.ts';

export interface DayOptions {
  config: Config;
  population: Population;
  /** In the order of their times. */
  logins: Iterable<SimulatedLogin>;
  /** Starts of the hours of the tally, ascending, and the end of the last one. */
  hours: readonly { startMs: number; hour: number }[];
  endMs: number;
  cores: number;
  /** Worker and portfolio-priority processes. */
  workers: number;
  admissions: number;
  costs: Costs;
  /** Median milliseconds of a source that is asked over the network. */
  sourceMs: number;
  seed: string;
  /** The stored states of the symbols before the first login; without it each has the final bar of the newest session, analysed at its close. */
  states?: ReadonlyMap<string, SymbolState> | undefined;
  /** Is told how far the day is. */
  onProgress?: ((nowMs: number) => void) | undefined;
}

export interface Mesh {
  options: DayOptions;
  rules: DecisionRules;
  ledger: Omit<Ledger, 'db' | 'clock'>;
  sources: SimulatedSources;
  agenda: Agenda;
  waiting: Waiting;
  tally: Tally;
  cores: Cores;
  states: Map<string, SymbolState>;
  /** A number in [0, 1) that depends on the seed, the purpose and the index alone. */
  random(purpose: number, index: number): number;
}

/** Errors: `ConfigError('simulate.no_source')`. */
export function meshOf(options: DayOptions): Mesh {
  const { config, population } = options;
  const tally = new Tally(options.hours, options.endMs);
  const startMs = options.hours[0]?.startMs ?? 0;
  return {
    options,
    rules: decisionRules(config),
    ledger: ledgerRules(config),
    sources: new SimulatedSources(config),
    agenda: new Agenda(),
    waiting: new Waiting(),
    tally,
    cores: new Cores(options.cores, (ms) => tally.processor(ms)),
    states: new Map(
      options.states ??
        population.symbols.map((symbol, place) => [symbol, storedBefore(symbol, population.closes[place] as number, startMs)]),
    ),
    random: hashed(`${options.seed}/day`),
  };
}

/** The state of a symbol of which the newest session before `startMs` was fetched and analysed after its close. */
function storedBefore(symbol: string, close: number, startMs: number): SymbolState {
  const session = calendarOf(symbol)?.latestClosed(Temporal.Instant.fromEpochMilliseconds(startMs));
  const at = new Date(session?.close.epochMilliseconds ?? startMs);
  return stateAt(symbol, close, session?.date ?? at.toISOString().slice(0, 10), at);
}

function stateAt(symbol: string, close: number, newestBar: string, at: Date): SymbolState {
  return {
    ...{ symbol, newestBar, asOf: at, checkedAt: at, close, currency: 'USD', timeZone: 'America/New_York', source: 'yahoo_finance' },
    ...{ analysedAt: at, analysedBar: newestBar, analysedAsOf: at, volatility: null },
  };
}

/** What a fetch that was answered at `atMs` leaves: the bar of the newest session that has started, true at that moment. */
export function fetched(state: SymbolState | undefined, symbol: string, atMs: number): SymbolState {
  const at = new Date(atMs);
  const session = calendarOf(symbol)?.latestStarted(Temporal.Instant.fromEpochMilliseconds(Math.floor(atMs)));
  const newestBar = session?.date ?? at.toISOString().slice(0, 10);
  return {
    ...(state ?? { ...stateAt(symbol, 100, newestBar, at), analysedAt: null, analysedBar: null, analysedAsOf: null }),
    newestBar,
    asOf: at,
    checkedAt: at,
  };
}

/** Ends a login's wait for one job, or for its commit. */
export function close({ tally }: Mesh, login: PendingLogin, nowMs: number): void {
  login.open--;
  if (login.open === 0 && !login.lost) tally.fresh(login.hour, nowMs - login.atMs);
}
