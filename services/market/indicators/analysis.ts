import { PermanentError } from '../../platform/errors.ts';
import { priceText } from '../bars/price-text.ts';
import { compareNumbers, computeIndicators, type Indicators, type PriceColumns } from './indicators.ts';

/**
 * A technical signal with its reasons. Eight rules check the last bar; each gives between -weight and +weight points, weights add up to 100:
 *
 * | rule | weight | + | - | 0 |
 * |---|---|---|---|---|
 * | trend | 20 | SMA 50 above SMA 200 | below | equal |
 * | long-term price | 15 | close above SMA 200 | below | equal |
 * | medium-term price | 10 | close above SMA 50 | below | equal |
 * | short-term price | 10 | close above SMA 20 | below | equal |
 * | MACD histogram | 15 | MACD above its signal line | below | equal |
 * | MACD | 5 | above zero | below | zero |
 * | RSI 14 | 15 | 30 or less: oversold | 70 or more: overbought | between |
 * | Bollinger bands | 10 | close below the lower band | above the upper band | inside |
 *
 * Numbers within 1e-12 of the price are equal: a mean of 200 equal closes is a few of the last digits beside them, and that is neither above nor below.
 *
 * score = Σ points / Σ weights of the rules that could be measured. At +0.3 or more: buy; at -0.3 or less: sell; else hold.
 * confidence = strength × (Σ measured weights / 100), where strength is |score| for buy and sell, and 1 - |score| / 0.3 for hold: the distance from buy and sell.
 * Where the bars cannot be trusted (`doubt`) no rule is asked, and the signal is hold with confidence 0.
 * With less than half of the weight measurable (fewer than 34 bars) the signal is hold with confidence 0.
 */
export interface Analysis {
  symbol: string;
  /** Of the last bar. */
  date: string;
  signal: 'buy' | 'sell' | 'hold';
  /** 0 to 1, four decimals. */
  confidence: number;
  /** -1 (all rules for sell) to 1 (all rules for buy), four decimals. */
  score: number;
  /** One line per rule, in the order of the table. When the history is too short, a line before them says so. With a doubt that is the only line. */
  reasons: Reason[];
  values: Indicators & { close: number };
}

export interface Reason {
  indicator: string;
  /** The finding with its numbers. */
  observation: string;
  points: number;
  /** The most points this rule could give; 0 where it could not be measured. */
  weight: number;
}

const SIGNAL_SCORE = 0.3;
const LEAST_COVERAGE = 0.5;
const RSI_OVERSOLD = 30;
const RSI_OVERBOUGHT = 70;

/** A rule's finding: direction 1, 0 or -1 and its text; null where an indicator is missing. */
type Finding = { direction: number; observation: string } | null;

interface Rule {
  indicator: string;
  weight: number;
  /** Bars needed, for the explanation of a rule that could not be measured. */
  bars: number;
  observe(values: Analysis['values']): Finding;
}

const RULES: readonly Rule[] = [
  { indicator: 'trend', weight: 20, bars: 200, observe: (v) => compare('SMA 50', v.sma50, 'SMA 200', v.sma200) },
  { indicator: 'long-term price', weight: 15, bars: 200, observe: (v) => compare('close', v.close, 'SMA 200', v.sma200) },
  { indicator: 'medium-term price', weight: 10, bars: 50, observe: (v) => compare('close', v.close, 'SMA 50', v.sma50) },
  { indicator: 'short-term price', weight: 10, bars: 20, observe: (v) => compare('close', v.close, 'SMA 20', v.sma20) },
  { indicator: 'MACD histogram', weight: 15, bars: 34, observe: (v) => compare('MACD', v.macd, 'its signal line', v.macdSignal, v.close) },
  { indicator: 'MACD', weight: 5, bars: 26, observe: (v) => compare('MACD', v.macd, 'zero', 0, v.close) },
  { indicator: 'RSI 14', weight: 15, bars: 15, observe: rsi },
  { indicator: 'Bollinger bands', weight: 10, bars: 20, observe: bollinger },
];
const TOTAL_WEIGHT = RULES.reduce((sum, rule) => sum + rule.weight, 0);

/**
 * The signal of the last bar. The same bars always give the same answer. `doubt`: why no signal can be given from them.
 * @throws PermanentError `analysis.no_bars`
 */
export function analyse(
  symbol: string,
  columns: PriceColumns,
  indicators: Indicators = computeIndicators(columns),
  doubt?: string,
): Analysis {
  const bars = columns.date.length;
  const date = columns.date[bars - 1];
  if (date === undefined) throw new PermanentError('analysis.no_bars', `${symbol} has no bars to analyse; fetch it first`);
  const values = { ...indicators, close: columns.close[bars - 1]! };
  if (doubt !== undefined) {
    const reasons = [{ indicator: 'history', observation: doubt, points: 0, weight: 0 }];
    return { symbol, date, signal: 'hold', confidence: 0, score: 0, reasons, values };
  }

  const reasons = RULES.map((rule) => reasonOf(rule, rule.observe(values), bars));
  const points = reasons.reduce((sum, reason) => sum + reason.points, 0);
  const measured = reasons.reduce((sum, reason) => sum + reason.weight, 0);
  const coverage = measured / TOTAL_WEIGHT;
  const score = measured === 0 ? 0 : points / measured;
  if (coverage < LEAST_COVERAGE) {
    const observation = `too little history: ${bars} bars measure ${measured} of ${TOTAL_WEIGHT} points of the rules, ${LEAST_COVERAGE * TOTAL_WEIGHT} are needed`;
    return {
      symbol,
      date,
      signal: 'hold',
      confidence: 0,
      score: rounded(score),
      reasons: [{ indicator: 'history', observation, points: 0, weight: 0 }, ...reasons],
      values,
    };
  }
  const signal = compareNumbers(score, SIGNAL_SCORE) >= 0 ? 'buy' : compareNumbers(score, -SIGNAL_SCORE) <= 0 ? 'sell' : 'hold';
  const strength = signal === 'hold' ? 1 - Math.abs(score) / SIGNAL_SCORE : Math.abs(score);
  return { symbol, date, signal, confidence: rounded(strength * coverage), score: rounded(score), reasons, values };
}

function reasonOf({ indicator, weight, bars: needed }: Rule, finding: Finding, bars: number): Reason {
  if (finding !== null) return { indicator, observation: finding.observation, points: finding.direction * weight, weight };
  const observation = bars < needed ? `not measured: needs ${needed} bars, has ${bars}` : 'not measured: the price has never moved';
  return { indicator, observation, points: 0, weight: 0 };
}

/** `scale`: what the two are computed from, where they are differences of it. */
function compare(name: string, value: number | null, otherName: string, other: number | null, scale = 0): Finding {
  if (value === null || other === null) return null;
  const direction = compareNumbers(value, other, scale);
  const relation = direction > 0 ? 'above' : direction < 0 ? 'below' : 'equal to';
  // A rest of rounding is shown as the zero that it counts as.
  const shown = (number: number) => priceText(compareNumbers(number, 0, scale) === 0 ? 0 : number);
  const otherText = other === 0 ? otherName : `${otherName} ${shown(other)}`;
  return { direction, observation: `${name} ${shown(value)} is ${relation} ${otherText}` };
}

function rsi({ rsi14 }: Indicators): Finding {
  if (rsi14 === null) return null;
  const value = rsi14.toFixed(1);
  if (compareNumbers(rsi14, RSI_OVERSOLD) <= 0)
    return { direction: 1, observation: `RSI ${value} is at or below ${RSI_OVERSOLD}: oversold` };
  if (compareNumbers(rsi14, RSI_OVERBOUGHT) >= 0)
    return { direction: -1, observation: `RSI ${value} is at or above ${RSI_OVERBOUGHT}: overbought` };
  return { direction: 0, observation: `RSI ${value} is between ${RSI_OVERSOLD} and ${RSI_OVERBOUGHT}: neutral` };
}

function bollinger({ close, bollingerLower: lower, bollingerUpper: upper }: Analysis['values']): Finding {
  if (lower === null || upper === null) return null;
  const text = priceText(close);
  if (compareNumbers(close, lower) < 0) return { direction: 1, observation: `close ${text} is below the lower band ${priceText(lower)}` };
  if (compareNumbers(close, upper) > 0) return { direction: -1, observation: `close ${text} is above the upper band ${priceText(upper)}` };
  return { direction: 0, observation: `close ${text} is inside the bands ${priceText(lower)} to ${priceText(upper)}` };
}

/** Four decimals. */
function rounded(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
