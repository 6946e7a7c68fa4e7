/** What the rows of simulated stocks and options have in common, and those of stocks. */
import type { Bar } from '../../../market/bars/bars.ts';
import { hashed } from '../../../market/sources/simulated.ts';
import type { ObjectSpec } from '../../dataset.ts';
import { cents, type Intraday, type Trades, tradesBetween } from './intraday.ts';

interface Stamp {
  /** After the opening. */
  minute: number;
  /** The wall time of New York. */
  text: string;
}

/** The times of a day's rows. */
export interface Stamps {
  /** Minutes of an interval. */
  length: number;
  /** At the opening, and at the end of each interval up to the close. */
  quotes: readonly Stamp[];
  /** The beginnings of the intervals. */
  bars: readonly Stamp[];
}

const OPENING_MINUTE = 9 * 60 + 30;

/** `minutes`: of the session. */
export function stampsOf(day: string, minutes: number, length: number): Stamps {
  const stamps: Stamp[] = [];
  for (let minute = 0; minute <= minutes; minute += length) {
    const clock = OPENING_MINUTE + minute;
    stamps.push({ minute, text: `${day} ${String(Math.floor(clock / 60)).padStart(2, '0')}:${String(clock % 60).padStart(2, '0')}:00` });
  }
  return { length, quotes: stamps, bars: stamps.filter(({ minute }) => minute < minutes) };
}

/** `open,high,low,close,volume,count`; without trades no price and a volume of 0. */
export function barText(trades: Trades | undefined): string {
  if (trades === undefined) return ',,,,0,0';
  const { open, high, low, close, volume, count } = trades;
  return `${open},${high},${low},${close},${volume},${count}`;
}

/** The rows of one day of a stock. Whole-day bars are the market's own. */
export function stockRows(
  { root, schema }: ObjectSpec,
  bar: Bar,
  { course, stamps, seed }: { course: Intraday; stamps: Stamps; seed: string },
): string {
  const random = hashed(`${seed}/${root}/quotes/${bar.date}`);
  const quote = (minute: number) => {
    const price = course.edges[minute]!;
    const half = Math.max(0.01, cents(price * HALF_SPREAD));
    const [bidSize, askSize] = [random(1, minute), random(2, minute)];
    return `${1 + Math.floor(bidSize * 40)},${cents(Math.max(0.01, price - half))},${1 + Math.floor(askSize * 40)},${cents(price + half)}`;
  };
  const trades = (from: number, to: number) =>
    tradesBetween(course, {
      from,
      to: Math.min(to, course.minutes),
      volume: bar.volume,
      phase: 0,
      price: (minute) => course.edges[minute]!,
    });
  if (schema === 'quote') return stamps.quotes.map(({ minute, text }) => `${text},${quote(minute)}\n`).join('');
  if (schema === 'eod') {
    const count = trades(0, course.minutes)?.count ?? 0;
    return `${bar.date},${bar.open},${bar.high},${bar.low},${bar.close},${bar.volume},${count},${quote(course.minutes)}\n`;
  }
  return stamps.bars
    .map(({ minute, text }) => {
      const bars = trades(minute, minute + stamps.length);
      return bars === undefined ? '' : `${text},${barText(bars)},${cents(bars.turnover / bars.volume)}\n`;
    })
    .join('');
}

/** Of the price: one basis point to each side. */
const HALF_SPREAD = 0.0001;
