/** The track record of published reports: how their picks did against the index, with what can and cannot be concluded from it. */
import { compareText } from '../universe/input.ts';
import { HORIZONS, type PickReturn, type Weeks } from './returns.ts';

/** One stored version of a report, as far as the record needs it. */
export interface PublishedReport {
  weekOf: string;
  version: number;
  generatedAt: Temporal.Instant;
  source: 'llm' | 'quant' | 'sample';
  simulated: boolean;
  tickers: readonly string[];
}

export interface Cohorts {
  /** The report of each week that counts, ascending. */
  counted: PublishedReport[];
  /** Weeks without one: they are listed, not left out. */
  without: { weekOf: string; reason: 'no_report' | 'sample' | 'simulated' }[];
}

/** The first published version of each week counts; later ones knew more. Samples and simulated reports have no record. `weeks`: all weeks for which a report was due. */
export function cohortsOf(reports: readonly PublishedReport[], weeks: readonly string[]): Cohorts {
  const byWeek = Map.groupBy(reports, ({ weekOf }) => weekOf);
  const all = [...new Set([...weeks, ...byWeek.keys()])].sort(compareText);
  const cohorts: Cohorts = { counted: [], without: [] };
  for (const weekOf of all) {
    const versions = (byWeek.get(weekOf) ?? []).toSorted((a, b) => a.version - b.version);
    const first = versions.find(({ source, simulated }) => source !== 'sample' && !simulated);
    if (first !== undefined) cohorts.counted.push(first);
    else
      cohorts.without.push({
        weekOf,
        reason: versions.length === 0 ? 'no_report' : versions[0]!.source === 'sample' ? 'sample' : 'simulated',
      });
  }
  return cohorts;
}

/** The returns of one week's picks over one horizon, with those of the index and of the eligible universe over the same sessions. */
export interface CohortReturns {
  weekOf: string;
  picks: readonly { symbol: string; result: PickReturn }[];
  /** Fractions; null where bars are missing. */
  index: number | null;
  /** Of all eligible symbols at equal weights. */
  universe: number | null;
}

/** Fractions. */
export interface HorizonRecord {
  weeks: Weeks;
  /** Picks and cohorts that are measured, and those still open or without bars. */
  picks: number;
  cohorts: number;
  open: number;
  missing: number;
  /** Picks that were delisted: they stay in. */
  delisted: number;
  /** Cohorts that do not overlap: ⌊cohorts / weeks⌋. All errors rest on it. */
  effective: number;
  mean: number | null;
  /** Mean over the cohorts of (mean of the picks − index), and its standard error; null below two effective cohorts. */
  excess: number | null;
  standardError: number | null;
  /** The same against the equal-weight mean of the eligible universe. */
  excessOverUniverse: number | null;
  /** Share of picks above the index, and its 95 % interval after Wilson. */
  hitRate: number | null;
  hitInterval: readonly [number, number] | null;
  /** Whether enough cohorts do not overlap to say that the picks beat the index, or do not. */
  conclusive: boolean;
}

/** So many cohorts that do not overlap before anything is claimed. */
const LEAST_EFFECTIVE = 30;

/** The mean of the eligible universe at equal weights; null of nothing. Only measured symbols count. */
export function equalWeightMean(results: readonly PickReturn[]): number | null {
  return mean(results.flatMap(({ value }) => (value === null ? [] : [value])));
}

/** The record over one horizon. A cohort counts once all its picks are measured or missing, one at least is measured, and the index is. */
export function recordOver(weeks: Weeks, cohorts: readonly CohortReturns[]): HorizonRecord {
  const states = cohorts.flatMap(({ picks }) => picks.map(({ result }) => result.state));
  const done = cohorts.flatMap(({ picks, index, universe }) => {
    const values = picks.flatMap(({ result }) => (result.value === null ? [] : [result.value]));
    const isOpen = picks.some(({ result }) => result.state === 'open');
    return isOpen || index === null || values.length === 0 ? [] : [{ values, index, universe, average: mean(values)! }];
  });
  const excesses = done.map(({ average, index }) => average - index);
  const overUniverse = done.flatMap(({ average, universe }) => (universe === null ? [] : [average - universe]));
  const effective = Math.floor(done.length / (HORIZONS[weeks] / 7));
  const picks = done.reduce((sum, { values }) => sum + values.length, 0);
  const hits = done.reduce((sum, { values, index }) => sum + values.filter((value) => value > index).length, 0);
  return {
    weeks,
    picks,
    cohorts: done.length,
    open: states.filter((state) => state === 'open').length,
    missing: states.filter((state) => state === 'missing').length,
    delisted: states.filter((state) => state === 'delisted').length,
    effective,
    mean: mean(done.map(({ average }) => average)),
    excess: mean(excesses),
    standardError: effective < 2 ? null : sampleDeviation(excesses) / Math.sqrt(effective),
    excessOverUniverse: mean(overUniverse),
    hitRate: picks === 0 ? null : hits / picks,
    // Windows that overlap tell the same story again: so many of the picks are news.
    hitInterval: effective === 0 ? null : wilsonInterval(hits / picks, (picks * effective) / done.length),
    conclusive: effective >= LEAST_EFFECTIVE,
  };
}

const mean = (values: readonly number[]): number | null =>
  values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;

function sampleDeviation(values: readonly number[]): number {
  const middle = mean(values)!;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1));
}

/** The 97.5 % quantile of the normal distribution. */
const Z = 1.959963984540054;

/** The 95 % interval of a share among n: Wilson, Journal of the American Statistical Association 22 (1927). n need not be whole. */
export function wilsonInterval(share: number, n: number): [number, number] {
  const square = Z ** 2 / n;
  const middle = (share + square / 2) / (1 + square);
  const half = (Z / (1 + square)) * Math.sqrt((share * (1 - share)) / n + square / (4 * n));
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}

/**
 * Weeks until a weekly edge shows with 80 % power at the 5 % level: (2.8 × deviation / edge)², where 2.8 = 1.96 + 0.84. Both arguments in one unit.
 */
export function weeksForPower(deviation: number, edge: number): number {
  return Math.round(((2.8 * deviation) / edge) ** 2);
}

/** What stands beside every record. */
export function recordNotes(record: HorizonRecord): string[] {
  const claim = record.conclusive
    ? `${record.effective} cohorts do not overlap. The error beside the mean says how sure it is.`
    : `${record.effective} cohorts do not overlap, and ${LEAST_EFFECTIVE} are needed: nothing is claimed about beating the index.`;
  return [
    claim,
    'Returns are hypothetical: from close to close, without fees, spreads and taxes. The start is the first close after the report was made.',
    'The first version of each week counts. Delisted picks stay in with their last price. Samples and simulated reports have no record.',
    `A record of one year says nothing about anybody: with a deviation of 2% a week, an edge of 0.1% a week takes ${weeksForPower(2, 0.1).toLocaleString('en-US')} weeks to show.`,
  ];
}
