/** History of the simulated market. */
import { join } from 'node:path';
import type { Bar } from '../../../market/bars/bars.ts';
import { usCalendar } from '../../../market/calendar/calendar.ts';
import { simulatedOptions } from '../../../market/options/sources/simulated.ts';
import { simulatedSource } from '../../../market/sources/simulated.ts';
import type { Clock } from '../../../platform/clock.ts';
import { INTERVALS, type ObjectSpec } from '../../dataset.ts';
import { sessionsOf } from '../../sessions.ts';
import { simulatedLacks } from '../has.ts';
import type { HistorySource } from '../source.ts';
import { spool } from '../spool.ts';
import { earningsRows } from './earnings.ts';
import { intraday } from './intraday.ts';
import { simulatedLayout } from './layouts.ts';
import { optionRows } from './options.ts';
import { stampsOf, stockRows } from './rows.ts';

/** About this many contracts a day, and the rate and yield of their prices: those of the simulated chains. */
interface SimulatedMarket {
  seed: string | number;
  clock: Clock;
  contracts: number;
  rate: number;
  dividendYield: number;
}

/**
 * Every dataset, of the same market as the simulated bars and chains, and of the seed, the root and the day alone: quotes at each interval of the regular session, bars that add
 * up to the day's bar, quotes at the end of the day that are those of the simulated chain at the close, outwards to whole cents. Contracts and stocks have a bar only where
 * something was traded. Companies report once a quarter. Errors: `source.unknown_symbol` for symbols that begin with XX.
 */
export function simulatedHistory(market: SimulatedMarket): HistorySource {
  const { seed, clock } = market;
  const stocks = simulatedSource({ seed, clock, isTradingDay: (date) => usCalendar.isTradingDay(date) });
  return {
    name: 'simulated',
    refuses: simulatedLacks,
    calls: () => 1,
    async fetch(object, days, folder, signal) {
      signal.throwIfAborted();
      const path = join(folder, 'rows.csv');
      const { bars } = await stocks.bars(object.root, { from: days[0]!, to: days.at(-1)! }, signal);
      const wanted = new Set(days);
      const own = bars.filter(({ date }) => wanted.has(date));
      const rows = object.schema === 'earnings' ? earningsRows(object, days, `${seed}`) : rowsOf(object, own, market);
      const written = await spool(path, rows, signal);
      return {
        files: written === 0 ? [] : [{ path, layout: simulatedLayout(object, object.root) }],
        requests: [{ url: `simulated:${object.asset}/${object.schema}/${object.root}`, status: 200, bytes: written }],
        version: `simulated, seed ${seed}`,
      };
    },
  };
}

function* rowsOf(object: ObjectSpec, bars: readonly Bar[], { seed, contracts, rate, dividendYield }: SimulatedMarket): Generator<string> {
  const { root, asset, interval } = object;
  const options = simulatedOptions({ seed, symbol: root, contracts, rate, dividendYield });
  const length = interval === '1d' ? 1 : INTERVALS[interval] / 60_000;
  for (const bar of bars) {
    const session = sessionsOf(root, 'stock', bar.date);
    const sessions = sessionsOf(root, asset, bar.date);
    // Simulated bars and sessions come from one calendar.
    if (session === undefined || sessions === undefined) continue;
    const course = intraday(bar, { ...session, seed: `${seed}/${root}` });
    const stamps = stampsOf(bar.date, (sessions.close - sessions.open) / 60_000, length);
    if (asset === 'stock') yield stockRows(object, bar, { course, stamps, seed: String(seed) });
    else yield* optionRows(object, { options, course, sessions, stamps });
  }
}
