/** The part of a screen that all users share: gates, measures and scores, once per universe and data date. */
import type { ExchangeCalendar } from '../../market/calendar/calendar.ts';
import { FACTORS, type Factor, type PickRules, type RiskLevel, riskLevelOf } from '../rules.ts';
import { type Correlation, correlations } from './correlation.ts';
import { dataGate, type Excluded } from './data-gates.ts';
import { compareText, dayOf, type Fundamentals, inputHash, newestBars, type PriceHistory, type UniverseMember } from './input.ts';
import { type MarketView, marketViewOf } from './market-view.ts';
import {
  type FundamentalItems,
  fundamentalItems,
  ITEMS,
  LEAST_ITEMS,
  meanOf,
  type PriceMeasures,
  priceMeasures,
  QUALITY_ITEMS,
  VALUE_ITEMS,
  WINDOW_BARS,
} from './measures.ts';
import { blendedPercentiles, percentiles } from './percentiles.ts';

/** A symbol that passed the data gates. */
export interface Candidate {
  /** Place among the candidates, in the order of symbols. */
  index: number;
  symbol: string;
  name: string;
  barsSource: string | null;
  sectorKey: string | null;
  sector: string | null;
  industryKey: string | null;
  industry: string | null;
  measures: PriceMeasures;
  items: FundamentalItems | null;
  fundamentals: Fundamentals | null;
  /** The day at the exchange on which they were fetched: once for all users, since a change of zone costs more than a score. */
  fundamentalsDate: string | null;
  /** 0 to 100 in hundredths (7350 = 73.5); null where nothing was measured. */
  scores: Readonly<Record<Factor, number | null>>;
  /** 0 to 100: the share of candidates that move less. */
  sigmaPercentile: number;
  riskLevel: RiskLevel;
}

export interface ScreenedUniverse {
  dataDate: string;
  /** Of all that was read: same hash, same result. */
  hash: string;
  /** Number of symbols asked about. */
  size: number;
  simulated: boolean;
  small: boolean;
  candidates: readonly Candidate[];
  /** Days on which the figures of the candidates were fetched; null without any. */
  fundamentalsAge: { oldest: string; newest: string } | null;
  excluded: ReadonlyMap<string, Excluded>;
  market: MarketView;
  /** Of two candidates by their `index`. */
  correlation: Correlation;
  rules: PickRules;
}

export interface UniverseInput {
  members: readonly UniverseMember[];
  /** The index that the market view is about (SPY); null where its bars are not stored. */
  index: PriceHistory | null;
  /** See `dataDateOf`. Later bars are not read. */
  dataDate: string;
  /** Fundamentals that were fetched later are not read. */
  at: Temporal.Instant;
  calendar: ExchangeCalendar;
  /** True where the whole report is marked as simulated. */
  allowSimulated: boolean;
  rules: PickRules;
}

/** Measures and scores the universe. The order of `members` does not matter; of a symbol that is given twice the first counts. */
export function screenUniverse(input: UniverseInput): ScreenedUniverse {
  const { dataDate, at, rules, calendar } = input;
  const day = dayOf(dataDate);
  const members = [...Map.groupBy(input.members, ({ symbol }) => symbol).values()]
    .map(([member]) => asKnownAt(member!, at))
    .sort((a, b) => compareText(a.symbol, b.symbol));
  const windows = members.map(({ history }) => (history === null ? null : newestBars(history, day, WINDOW_BARS)));
  const indexWindow = input.index === null ? null : newestBars(input.index, day, WINDOW_BARS);

  const excluded = new Map<string, Excluded>();
  const passed: { member: UniverseMember; window: PriceHistory }[] = [];
  members.forEach((member, place) => {
    const gate = dataGate(member, windows[place]!, input);
    if (gate === undefined) passed.push({ member, window: windows[place]! });
    else excluded.set(member.symbol, gate);
  });

  const measured = passed.map(({ member, window }) => {
    const measures = priceMeasures(window);
    const { fundamentals } = member;
    return { member, measures, items: fundamentals === null ? null : fundamentalItems(fundamentals, measures.price) };
  });
  const scores = scoresOf(measured, rules);
  const sigmas = percentiles(measured.map(({ measures }) => measures.sigma));
  const candidates = measured.map(({ member, measures, items }, index): Candidate => {
    const { symbol, fundamentals } = member;
    return {
      index,
      symbol,
      name: fundamentals?.name?.trim() || symbol,
      barsSource: member.barsSource,
      sectorKey: fundamentals?.sectorKey ?? null,
      sector: fundamentals?.sector ?? null,
      industryKey: fundamentals?.industryKey ?? null,
      industry: fundamentals?.industry ?? null,
      measures,
      items,
      fundamentals,
      fundamentalsDate: fundamentals === null ? null : dateIn(fundamentals.fetchedAt, calendar.timeZone),
      scores: scores[index]!,
      // One candidate alone moves neither more nor less than others.
      sigmaPercentile: sigmas[index] ?? 50,
      riskLevel: riskLevelOf(measures.sigma, measures.drawdown, rules),
    };
  });

  return {
    dataDate,
    hash: inputHash(dataDate, members, [...windows, indexWindow]),
    size: members.length,
    simulated: candidates.some((_, index) => passed[index]!.member.simulated),
    small: candidates.length < rules.small_universe,
    candidates,
    fundamentalsAge: ageOf(candidates),
    excluded,
    market: marketViewOf(candidates, indexWindow, dataDate),
    correlation: correlations(
      passed.map(({ window }) => window),
      measured.map(({ measures }) => measures.returns),
    ),
    rules,
  };
}

function ageOf(candidates: readonly Candidate[]): ScreenedUniverse['fundamentalsAge'] {
  const dates = candidates.flatMap(({ fundamentalsDate }) => fundamentalsDate ?? []).sort(compareText);
  return dates.length === 0 ? null : { oldest: dates[0]!, newest: dates.at(-1)! };
}

function asKnownAt(member: UniverseMember, at: Temporal.Instant): UniverseMember {
  const { fundamentals } = member;
  const isLater = fundamentals !== null && Temporal.Instant.compare(fundamentals.fetchedAt, at) > 0;
  return isLater ? { ...member, fundamentals: null } : member;
}

const dateIn = (at: Temporal.Instant, timeZone: string): string => at.toZonedDateTimeISO(timeZone).toPlainDate().toString();

interface Measured {
  member: UniverseMember;
  measures: PriceMeasures;
  items: FundamentalItems | null;
}

/** Price measures are ranked over the universe; each item of quality and value also within its sector, and the group's score is the mean of its items. */
function scoresOf(measured: readonly Measured[], rules: PickRules): Record<Factor, number | null>[] {
  const price = (value: (measures: PriceMeasures) => number) => percentiles(measured.map(({ measures }) => value(measures)));
  const sectors = measured.map(({ member }) => member.fundamentals?.sectorKey ?? null);
  const itemScores = new Map(
    ITEMS.map((item) => {
      const values = measured.map(({ items }) => items?.[item] ?? null);
      return [item, item === 'dividendYield' ? percentiles(values) : blendedPercentiles(values, sectors, rules.sector_shrinkage)];
    }),
  );
  const group = (items: readonly (typeof ITEMS)[number][]) =>
    measured.map((_, index) => {
      const known = items.map((item) => itemScores.get(item)![index]!).filter((score) => score !== null);
      return known.length < LEAST_ITEMS ? null : meanOf(known);
    });
  const columns: Record<Factor, (number | null)[]> = {
    momentum: price(({ momentum }) => momentum),
    trend: price(({ trend }) => trend),
    low_volatility: price(({ sigma }) => -sigma),
    low_drawdown: price(({ drawdown }) => -drawdown),
    quality: group(QUALITY_ITEMS),
    value: group(VALUE_ITEMS),
    income: itemScores.get('dividendYield')!,
  };
  return measured.map((_, index) => {
    const own = FACTORS.map((factor) => [factor, hundredths(columns[factor][index]!)]);
    return Object.fromEntries(own) as Record<Factor, number | null>;
  });
}

const hundredths = (score: number | null): number | null => (score === null ? null : Math.round(score * 100));
