/** The report without a model: picks, themes and market view with their texts, from a screen. */
import { PermanentError } from '../../platform/errors.ts';
import { type Change, changesSince, type EarlierPick } from '../screen/changes.ts';
import { type Explanation, nearMisses } from '../screen/explain.ts';
import { partsOf, type Scored } from '../screen/score.ts';
import type { Screen, Shortfall } from '../screen/screen.ts';
import { compareText } from '../universe/input.ts';
import type { ScreenedUniverse } from '../universe/universe.ts';
import { DISCLOSURES_VERSION } from './disclosures.ts';
import { type FactBook, factBook } from './facts.ts';
import { marketText, themeTexts } from './market-text.ts';
import { pickReasons } from './pick-text.ts';
import type { Report, StoredPick } from './schema.ts';

export interface ReportInput {
  universe: ScreenedUniverse;
  screen: Screen;
  userId: string;
  /** A Monday: see `weekOf`. */
  weekOf: string;
  version: number;
  generatedAt: Temporal.Instant;
  /** The report of an earlier week to compare with; null where there is none. */
  earlier: Report | null;
  fallbackReason: Report['fallback_reason'];
}

const NEAR_MISSES = 5;

/**
 * The report of a screen, `source: quant`. Throws `PermanentError('picks.too_few')` with the counts by reason where fewer than three symbols are left: what is missing is
 * data or a wider profile, and no retry mends that.
 */
export function quantReport(input: ReportInput): Report {
  const { universe, screen, earlier } = input;
  if (screen.picks.length < universe.rules.least_picks) throw tooFew(universe, screen);
  const book = factBook();
  const changes = changesSince(earlier === null ? [] : earlierPicks(earlier), universe, screen);
  const picks = screen.picks.map((scored, index) => storedPick(book, scored, index + 1, changes, input));
  const themes = themeTexts(book, universe, screen);
  return {
    schema: 1,
    user_id: input.userId,
    week_of: input.weekOf,
    version: input.version,
    source: 'quant',
    simulated: universe.simulated,
    data_date: universe.dataDate,
    generated_at: input.generatedAt.toString(),
    universe: {
      size: universe.size,
      eligible: universe.candidates.length,
      small: universe.small,
      hash: universe.hash,
      excluded: screen.excluded,
      fundamentals_oldest: universe.fundamentalsAge?.oldest ?? null,
      fundamentals_newest: universe.fundamentalsAge?.newest ?? null,
    },
    profile: screen.user.profile,
    weights: screen.weights,
    relaxed: [...screen.relaxed],
    shortfall: screen.shortfall === null ? null : { ...screen.shortfall, text: shortfallText(screen.shortfall, screen.excluded) },
    stock_picks: picks,
    near_misses: nearMisses(universe, screen, NEAR_MISSES).map((miss) => storedMiss(book, universe.dataDate, miss)),
    changes: earlier === null ? [] : changes.map((change) => storedChange(book, universe.dataDate, change)),
    investment_themes: themes,
    market_analysis: marketText(book, universe, themes),
    facts: [...book.facts.values()],
    citations: [],
    dropped: [],
    model: null,
    provider: null,
    cost_usd: null,
    cost_state: 'none',
    spend_ids: [],
    fallback_reason: input.fallbackReason,
    disclosures_version: DISCLOSURES_VERSION,
  };
}

/** The report as the sample of static mode: labelled, with its own date, never this week's. */
export function asSample(report: Report): Report {
  return { ...report, source: 'sample', fallback_reason: 'sample' };
}

function storedPick(
  book: FactBook,
  scored: Scored,
  rank: number,
  changes: readonly Change[],
  { universe, screen }: ReportInput,
): StoredPick {
  const { candidate, total, coverage } = scored;
  const { symbol, name, sector, sectorKey, measures, riskLevel } = candidate;
  const parts = partsOf(candidate, screen.weights);
  const change = changes.find((one) => one.symbol === symbol)?.change;
  return {
    rank,
    ticker: symbol,
    name,
    sector,
    sector_key: sectorKey,
    price_at: measures.price,
    total: total / 100,
    coverage,
    parts: parts.map(({ factor, score, weight, points }) => ({
      factor,
      score: score === null ? null : score / 100,
      weight,
      points: points / 100,
    })),
    missing: parts.filter(({ score }) => score === null).map(({ factor }) => factor),
    risk_level: riskLevel,
    sigma: measures.sigma,
    drawdown: measures.drawdown,
    reasons: pickReasons(book, scored, universe, screen),
    rationale: null,
    held_pct: (screen.user.held.get(symbol) ?? 0) * 100,
    change: change === 'kept' ? 'kept' : 'new',
  };
}

const whole = (hundredths: number | null): number | null => (hundredths === null ? null : hundredths / 100);

function storedChange(book: FactBook, dataDate: string, change: Change): Report['changes'][number] {
  const { symbol, before, after, moved, reason } = change;
  return {
    ticker: symbol,
    change: change.change,
    before: whole(before),
    after: whole(after),
    factor: change.factor,
    moved: whole(moved),
    reason: reason === null ? null : book.phrase(reason, { symbol, as_of: dataDate }),
  };
}

function storedMiss(
  book: FactBook,
  dataDate: string,
  { symbol, rank, total, sentence, instead }: Explanation,
): Report['near_misses'][number] {
  return { ticker: symbol, rank: rank!, total: total! / 100, reason: book.phrase(sentence, { symbol, as_of: dataDate }), instead };
}

/** The picks of a stored report as the comparison of two weeks takes them. */
function earlierPicks(report: Report): EarlierPick[] {
  return report.stock_picks.map(({ ticker, total, parts }) => ({
    symbol: ticker,
    total: Math.round(total * 100),
    parts: parts.map(({ factor, points }) => ({ factor, points: Math.round(points * 100) })),
  }));
}

function shortfallText({ reason, wanted, found }: Shortfall, excluded: Screen['excluded']): string {
  if (reason === 'too_few_in_interests') return `${found} of the picks are from the sectors of the profile, and ${wanted} should be.`;
  return `${found} of ${wanted} picks: no other symbol passes. Left out: ${countsText(excluded)}.`;
}

/** `12 stale, 3 over_budget`. */
function countsText(excluded: Screen['excluded']): string {
  const counts = Object.entries(excluded).sort(([a, m], [b, n]) => n - m || compareText(a, b));
  return counts.length === 0 ? 'none' : counts.map(([reason, count]) => `${count} ${reason}`).join(', ');
}

function tooFew(universe: ScreenedUniverse, screen: Screen): PermanentError {
  const { length } = screen.picks;
  return new PermanentError(
    'picks.too_few',
    `only ${length} of the ${universe.size} symbols of the universe can be picked for this profile on ${universe.dataDate}, and a report needs ${universe.rules.least_picks}; ` +
      `left out: ${countsText(screen.excluded)}; fetch more symbols with their fundamentals, or widen the profile (monthly_budget, fractional, risk_tolerance)`,
  );
}
