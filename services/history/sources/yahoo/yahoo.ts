/** History from Yahoo Finance. */
import { join } from 'node:path';
import type { BarsAnswer } from '../../../market/bars/bars.ts';
import { usCalendar } from '../../../market/calendar/calendar.ts';
import type { Budget } from '../../../market/sources/failover-source.ts';
import type { Fetch } from '../../../market/sources/http.ts';
import { yahooSource } from '../../../market/sources/yahoo.ts';
import { spellingsOf } from '../../../market/symbol.ts';
import type { Clock } from '../../../platform/clock.ts';
import { yahooLacks } from '../has.ts';
import type { HistorySource } from '../source.ts';
import { spool, stockDays } from '../spool.ts';
import { yahooEarnings } from './earnings.ts';
import { recorded } from './recorded.ts';

export interface YahooHistory {
  clock: Clock;
  /** Shared by all workers. One token a request. */
  budget: Budget;
  timeoutMs: number;
  fetch?: Fetch;
  spell?: (symbol: string) => string;
}

/**
 * Stocks at the end of the day, a request a year, and earnings (`yahooEarnings`). Yahoo scales prices for all splits up to today; stored is what was traded on the day, computed back from the splits that Yahoo
 * names (`yahooSource`). Dividends are not taken off. Bars that cannot be true and days that are no trading days of New York are left out, and named.
 * Errors: those of `yahooSource` and of the budget.
 */
export function yahooHistory({
  clock,
  budget,
  timeoutMs,
  fetch = globalThis.fetch,
  spell = spellingsOf('yahoo_finance'),
}: YahooHistory): HistorySource {
  const earnings = yahooEarnings({ clock, budget, timeoutMs, fetch, spell });
  return {
    name: 'yahoo',
    refuses: yahooLacks,
    calls: () => 1,
    async fetch(object, days, folder, signal) {
      signal.throwIfAborted();
      if (object.schema === 'earnings') return earnings.fetch(object, folder, signal);
      const record = recorded(fetch);
      const source = yahooSource({ clock, timeoutMs, spell, fetch: record.fetch });
      await budget('yahoo_finance', signal);
      const answer = await source.bars(object.root, { from: days[0]!, to: days.at(-1)! }, signal);
      const wanted = new Set(days);
      const rows = answer.bars.filter(({ date }) => wanted.has(date));
      const path = join(folder, 'days.csv');
      const lines = rows.map(({ date, open, high, low, close, volume }) => `${date},${open},${high},${low},${close},${volume}\n`);
      const written = await spool(path, lines, signal);
      return {
        files: written === 0 ? [] : [{ path, layout: stockDays('yahoo', object.root) }],
        requests: record.requests,
        version: `yahoo chart v8, prices as traded (splits undone) in ${answer.currency ?? 'USD'}`,
        degraded: faultsOf(answer),
      };
    },
  };
}

function faultsOf({ bars, leftOut = [] }: BarsAnswer): string | undefined {
  const otherDays = bars.filter(({ date }) => !usCalendar.isTradingDay(date)).length;
  const faults = [
    ...(otherDays === 0 ? [] : [`${otherDays} bars of days without a session in New York are left out`]),
    ...leftOut
      .slice(0, FAULTS_NAMED)
      .map(({ date, kind, reason }) => `the ${kind} of ${date === '' ? 'no date' : date} is left out: ${reason}`),
    ...(leftOut.length > FAULTS_NAMED ? [`${leftOut.length - FAULTS_NAMED} more rows are left out`] : []),
  ];
  return faults.length === 0 ? undefined : faults.join('; ');
}

const FAULTS_NAMED = 3;
