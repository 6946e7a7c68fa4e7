/** The rows of simulated options. */
import { DAYS_PER_YEAR } from '../../../market/options/chain/time.ts';
import { dayNumber, type SimulatedContract, type SimulatedOptions } from '../../../market/options/sources/simulated.ts';
import type { ObjectSpec } from '../../dataset.ts';
import type { DaySessions } from '../../sessions.ts';
import { cents, type Intraday, tradesBetween } from './intraday.ts';
import { barText, type Stamps } from './rows.ts';

const PURPOSE = { size: 20, phase: 21 } as const;
const MINUTE_MS = 60_000;
const YEAR_MS = DAYS_PER_YEAR * 24 * 60 * MINUTE_MS;

/** One day of an underlying: its course, and the options on it. */
export interface OptionsDay {
  options: SimulatedOptions;
  course: Intraday;
  sessions: DaySessions;
  /** The times of the rows, in minutes after the opening. */
  stamps: Stamps;
}

/** The rows of each contract, a contract at a time: those that the simulated chain lists at the close, and those that expired on the day. */
export function* optionRows({ schema }: ObjectSpec, day: OptionsDay): Generator<string> {
  const { options, course, sessions } = day;
  const spot = course.edges[course.minutes]!;
  const rows = { quote: quoteRows, ohlc: barRows, eod: endOfDayRow }[schema];
  for (const at of [sessions.close, sessions.open]) {
    for (const contract of options.listed(Temporal.Instant.fromEpochMilliseconds(at), spot)) {
      if (at === sessions.open && contract.expiry !== sessions.day) continue;
      const { expiry, strike, isPut } = contract;
      yield rows(`${expiry},${strike},${isPut ? 'P' : 'C'}`, pricesOf(contract, at, day), day);
    }
  }
}

/** A contract through the day. A minute counts from the opening. */
interface Prices {
  /** The minute after which it is not traded any more. */
  lastMinute: number;
  /** `bid_size,bid,ask_size,ask`. */
  quote(minute: number): string;
  /** Between bid and ask, at least a cent. */
  price(minute: number): number;
  volume: number;
  openInterest: number;
  phase: number;
}

/** `listedAt`: the moment that the contract's time left is of. */
function pricesOf(contract: SimulatedContract, listedAt: number, { options, course, sessions }: OptionsDay): Prices {
  const day = dayNumber(sessions.day);
  const { random } = contract;
  const expiresToday = contract.expiry === sessions.day;
  const lastMinute = ((expiresToday ? sessions.expiringClose : sessions.close) - sessions.open) / MINUTE_MS;
  const at = (minute: number) => {
    const years = contract.years + (listedAt - sessions.open - minute * MINUTE_MS) / YEAR_MS;
    return options.quote(contract, day, spotAt(course, minute), years < LEAST_YEARS ? 0 : years);
  };
  return {
    lastMinute,
    quote(minute) {
      const { bid, ask } = at(minute);
      const [bidSize, askSize] = [random(PURPOSE.size, 2 * (day * 1000 + minute)), random(PURPOSE.size, 2 * (day * 1000 + minute) + 1)];
      // Outwards to whole cents, so that bid and ask never cross. 1e-9: a whole cent stays one.
      const [lower, upper] = [Math.floor(bid * 100 + 1e-9) / 100, Math.max(0.01, Math.ceil(ask * 100 - 1e-9) / 100)];
      return `${lower > 0 ? 1 + Math.floor(bidSize * 60) : 0},${Math.max(0, lower)},${1 + Math.floor(askSize * 60)},${upper}`;
    },
    price: (minute) => Math.max(0.01, cents(at(minute).value.price)),
    ...options.activity(contract, day, course.edges[course.minutes]!),
    phase: random(PURPOSE.phase, day),
  };
}

/** A second: rounding of years must not leave time after the last moment. */
const LEAST_YEARS = 1000 / YEAR_MS;

/** After the stock's close its price stays. */
const spotAt = ({ edges, minutes }: Intraday, minute: number): number => edges[Math.min(minute, minutes)]!;

function quoteRows(contract: string, prices: Prices, { stamps }: OptionsDay): string {
  let rows = '';
  for (const { minute, text } of stamps.quotes) if (minute <= prices.lastMinute) rows += `${contract},${text},${prices.quote(minute)}\n`;
  return rows;
}

function barRows(contract: string, prices: Prices, { course, stamps }: OptionsDay): string {
  let rows = '';
  for (const { minute, text } of stamps.bars) {
    const trades = tradesBetween(course, { from: minute, to: Math.min(minute + stamps.length, course.minutes), ...prices });
    if (trades !== undefined) rows += `${contract},${text},${barText(trades)},${cents(trades.turnover / trades.volume)}\n`;
  }
  return rows;
}

function endOfDayRow(contract: string, prices: Prices, { course, sessions }: OptionsDay): string {
  const trades = tradesBetween(course, { from: 0, to: course.minutes, ...prices });
  return `${contract},${sessions.day},${barText(trades)},${prices.quote(prices.lastMinute)},${prices.openInterest}\n`;
}
