/** What schedules ask for, by the clock or by hand. */
import type { JobRequest } from '../ledger/enqueue/enqueue.ts';
import { type Ledger, nowOf } from '../ledger/job.ts';
import { usCalendar } from '../market/calendar/calendar.ts';
import { readPaused } from '../market/freshness/failures.ts';
import { sourceSet } from '../market/freshness/freshness.ts';
import { rateSymbols } from '../market/portfolios/base-currency.ts';
import { parseSymbol } from '../market/symbol.ts';
import type { Config } from '../platform/config/load.ts';
import { portfolioBatches } from './batch-fetch/request.ts';
import { weeklyRun } from './picks/weekly.ts';
import { universeRequests } from './picks-universe/request.ts';
import { rankingRequests } from './rank/request.ts';
import type { Origin } from './request.ts';

type ScheduledJob = Config['scheduler']['schedules'][number]['job'];

export function scheduledRequests(job: ScheduledJob, ledger: Ledger, config: Config): Promise<JobRequest[]> {
  return JOBS[job](ledger, config);
}

/** Why a run that is due at this moment is skipped: the exchange has no session on that day of the schedule's zone. Undefined: it is not. */
export function holidaySkip({ skip_holidays, time_zone }: { skip_holidays: boolean; time_zone: string }, at: Date): string | undefined {
  const day = Temporal.Instant.fromEpochMilliseconds(at.getTime()).toZonedDateTimeISO(time_zone).toPlainDate().toString();
  return skip_holidays && !usCalendar.isTradingDay(day) ? `the exchange has no session on ${day}` : undefined;
}

/** Why every run is skipped while automatic fetching is off. */
export const switchedOff = (by: string | null): string => `automatic fetching is switched off (by ${by})`;

const originOf = ({ jobs }: Config): Origin => ({ cause: 'scheduled_update', rules: jobs.priority_rules });

/** What each job of a schedule asks for. */
const JOBS: Record<ScheduledJob, (ledger: Ledger, config: Config) => Promise<JobRequest[]>> = {
  /** All symbols that anybody holds or watches, by a walk of ix_symbol from symbol to symbol, and the rates of their currencies; without those that the sources had no answer for lately. */
  async fetch_portfolios(ledger, config) {
    const rows = await ledger.db.rows<{ symbol: string; currency: string | null }>(
      'SELECT h.symbol, s.currency FROM (SELECT symbol FROM holdings GROUP BY symbol) h LEFT JOIN symbols s ON s.symbol = h.symbol',
    );
    const paused = await readPaused(ledger.db, sourceSet(config), nowOf(ledger));
    return portfolioBatches(
      [...rows.map(({ symbol }) => symbol), ...rateSymbols(rows, config.portfolio.base_currency)].filter((symbol) => !paused.has(symbol)),
      config.stock_jobs.data_fetch.batch_size,
      originOf(config),
    );
  },
  /** The options of the watchlist's symbols, in each of its modes. */
  rank_watchlist({ clock, db }, config) {
    const { watchlist, watchlist_modes } = config.ranking;
    return rankingRequests(watchlist.map(parseSymbol), watchlist_modes, { config, clock, db, origin: originOf(config) });
  },
  /** A report of the present week for each user who has none, after the stale symbols were fetched. */
  weekly_picks(ledger, config) {
    return weeklyRun(ledger, config, originOf(config));
  },
  /** The stale symbols of the universe, and the track record of earlier picks. */
  picks_universe({ clock, db }, config) {
    return universeRequests({ db, clock, config }, { always: true });
  },
};
