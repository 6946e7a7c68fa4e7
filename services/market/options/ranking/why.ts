import { isInverted, type PartName, RANK_COLUMN } from '../scoring/parts.ts';
import type { QuoteMark, Ranked } from './ranked.ts';

/** `score × weight = points`, of a part in a rank or of a component in a part. */
export interface WhyLine {
  column: string;
  /** For people. */
  name: string;
  /** 0-100, 100 minus the column where `inverted`. */
  score: number;
  inverted: boolean;
  /** The weight after renormalisation. */
  weight: number;
  /** Four decimals. The points of a list add up to its total exactly; each may differ by 0.0001 from its own product. */
  points: number;
  /** `100 - IV rank 20.0000 = 80.0000 × 0.6 = 48.0000` */
  text: string;
}

export interface WhyPart extends WhyLine {
  /** The components of the part's mean. */
  components: WhyLine[];
  /** How the mean became the part's score, where it is not the score itself. */
  step: string | null;
}

export interface Explanation {
  column: string;
  name: string;
  /** The mode's own rank: the sum of all points. */
  rank: number;
  band: Ranked['band'];
  parts: WhyPart[];
  missing: string[];
  data_quality: number;
}

/** Explains a contract's rank, from the stored numbers alone. */
export function explain(ranked: Ranked): Explanation {
  const column = RANK_COLUMN[ranked.ranking_mode];
  const parts = pointsOf(ranked, column, ranked.weights[column] ?? {}).map((line): WhyPart => {
    const part = line.column as PartName;
    const source = part === 'protection_score' ? 'profit_protection_score' : part;
    return { ...line, components: pointsOf(ranked, source, ranked.weights[source] ?? {}), step: stepAfter(ranked, part) };
  });
  const rank = ranked[column]!;
  return { column, name: nameOf(column), rank, band: ranked.band, parts, missing: ranked.missing, data_quality: ranked.data_quality };
}

/** The explanation as lines for a terminal. */
export function explainLines(ranked: Ranked): string[] {
  const { name, rank, band, parts, missing, data_quality } = explain(ranked);
  return [
    `${name} ${scoreText(rank)} (${band}) = ${parts.map(({ points }) => scoreText(points)).join(' + ')}`,
    ...parts.flatMap(({ text, components, step }) => [
      `  ${text}`,
      ...components.map((component) => `    ${component.text}`),
      ...(step === null ? [] : [`    ${step}`]),
    ]),
    ...(ranked.iv_source === 'own' ? [] : [`  volatility ${(100 * ranked.iv).toFixed(1)} %: ${IV_FROM[ranked.iv_source]}`]),
    ...ranked.marks.map((mark) => `  doubtful: ${MARKS[mark]}`),
    ...(missing.length === 0 ? [] : [`  not measured: ${missing.map(nameOf).join(', ')}; data quality ${scoreText(data_quality)}`]),
  ];
}

const IV_FROM = {
  partner: 'that of the out-of-the-money contract of its strike and expiration',
  smile: 'that of the fitted smile of its expiration, since its out-of-the-money partner has no quote',
} as const;
const MARKS: Readonly<Record<QuoteMark, string>> = { bid_below_intrinsic: 'its bid is below the value of exercising it now' };

function pointsOf(ranked: Ranked, formula: string, weights: Readonly<Record<string, number>>): WhyLine[] {
  let exact = 0;
  let shown = 0;
  return Object.entries(weights).map(([column, weight]) => {
    const value = ranked[column as keyof Ranked] as number;
    const inverted = isInverted(formula, column);
    const score = inverted ? (1e6 - Math.round(value * 1e4)) / 1e4 : value;
    // In ten-thousandths. Each is a step of the rounded running total, so the shown points add up to the stored total.
    exact += weight * score;
    const total = Math.round(exact * 1e4 + 1e-6);
    const points = (total - shown) / 1e4;
    shown = total;
    const name = nameOf(column);
    const of = inverted ? `100 - ${name} ${scoreText(value)} = ${scoreText(score)}` : `${name} ${scoreText(score)}`;
    return { column, name, score, inverted, weight, points, text: `${of} × ${Number(weight.toFixed(4))} = ${scoreText(points)}` };
  });
}

function stepAfter(ranked: Ranked, part: PartName): string | null {
  const { theta_penalty, liquidity_confidence, profit_protection_score: profit, loss_protection: loss } = ranked;
  if (part === 'momentum_score') return `momentum = 50 + (their sum - 50) × liquidity confidence ${liquidity_confidence}`;
  if (part === 'greeks_score' && theta_penalty !== null)
    return `Greeks = their sum - theta penalty ${scoreText(theta_penalty)}, at least 0`;
  if (part === 'protection_score')
    return `protection = the larger of profit protection ${shown(profit)} and loss protection ${shown(loss)}`;
  return null;
}

const NAMES: Readonly<Record<string, string>> = {
  greeks_score: 'Greeks',
  iv_rank: 'IV rank',
  iv_percentile: 'IV percentile',
  iv_discount_score: 'IV discount',
  iv_expansion_score: 'IV expansion',
  volume_oi_score: 'volume to open interest',
  oi_growth_score: 'open interest growth',
  dte_score: 'days to expiration',
  pnl_score: 'profit and loss',
};

/** A column as text: `price_momentum_score` is price momentum. */
export function nameOf(column: string): string {
  return NAMES[column] ?? column.replace(/_score$/, '').replaceAll('_', ' ');
}

/** A score for people, with the four decimals that are stored. */
export function scoreText(value: number): string {
  return value.toFixed(4);
}

function shown(value: number | null): string {
  return value === null ? 'unknown' : scoreText(value);
}
