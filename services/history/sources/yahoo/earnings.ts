/** Earnings dates of Yahoo Finance. */
import { join } from 'node:path';
import { z } from 'zod';
import { usCalendar } from '../../../market/calendar/calendar.ts';
import { coalesced } from '../../../market/options/sources/coalesce.ts';
import type { Fetch } from '../../../market/sources/http.ts';
import {
  askedAs,
  EpochSeconds,
  forgetCrumb,
  isQuestion,
  malformed,
  yahooClient,
  yahooFetch,
} from '../../../market/sources/yahoo-client.ts';
import { messageOf, StockmeshError, TransientError } from '../../../platform/errors.ts';
import type { ObjectSpec } from '../../dataset.ts';
import { type Fetched, NotEntitledError } from '../source.ts';
import { spool, sqlText } from '../spool.ts';
import { recorded } from './recorded.ts';
import type { YahooHistory } from './yahoo.ts';

const MODULES = ['earnings', 'calendarEvents'] as const;
const Eps = z.number().nullish();

/** The fields that are read of `quoteSummary`, after the types of yahoo-finance2 4: `earnings.earningsChart` has the last four reports, `calendarEvents` the next one. */
const Summary = z.object({
  earnings: z
    .object({
      earningsChart: z.object({ quarterly: z.array(z.object({ reportedDate: EpochSeconds.nullish(), estimate: Eps, actual: Eps })) }),
    })
    .nullish(),
  calendarEvents: z
    .object({
      earnings: z.object({ earningsDate: z.array(EpochSeconds), isEarningsDateEstimate: z.boolean().nullish(), earningsAverage: Eps }),
    })
    .nullish(),
});
type Summary = z.output<typeof Summary>;

interface Report {
  date: string;
  session: 'before' | 'after' | 'unknown';
  estimate: number | null;
  actual: number | null;
}

interface Answer {
  reports: readonly Report[];
  /** Of the next report, where Yahoo only guesses it. */
  guessed: string | undefined;
  requests: Fetched['requests'];
}

/** Milliseconds for which the answer of a symbol serves its other months. */
const REUSED_MS = 300_000;

/**
 * Yahoo has the last four reports and the next one, in one answer. Months before the first of these are refused as a whole, since Yahoo does not know whether there was one.
 * Errors: `NotEntitledError` for these; those of `yahooFetch` and of the budget; `TransientError` `source.blocked`, `source.malformed`.
 */
export function yahooEarnings({ clock, budget, timeoutMs, fetch, spell }: Required<YahooHistory>) {
  const yahoo = yahooClient();
  let last: { symbol: string; at: number; answer: Answer } | undefined;

  async function ask(symbol: string, signal: AbortSignal): Promise<Answer> {
    const record = recorded(fetch);
    let isStale = false;
    let asked = false;
    const guarded = yahooFetch({ fetch: record.fetch, clock, timeoutMs, budget }, askedAs(symbol, spell(symbol)), signal, ({ code }) => {
      isStale ||= code === 'Unauthorized';
    });
    const asking: Fetch = (url, init) => {
      asked ||= isQuestion(url);
      return guarded(url, init);
    };
    let raw: unknown;
    try {
      raw = await yahoo.quoteSummary(spell(symbol), { modules: [...MODULES] }, { validateResult: false, fetch: asking });
    } catch (error) {
      if (isStale) forgetCrumb(yahoo);
      signal.throwIfAborted();
      if (error instanceof StockmeshError) throw error;
      if (!asked)
        throw new TransientError('source.blocked', `yahoo_finance: gives no cookie and crumb: ${messageOf(error)}`, { cause: error });
      throw malformed(symbol, 'a summary with earnings', messageOf(error), error);
    }
    const parsed = Summary.safeParse(raw);
    if (!parsed.success) throw malformed(symbol, 'a summary with earnings', z.prettifyError(parsed.error), parsed.error);
    return { ...reportsOf(parsed.data), requests: record.requests.filter(({ url }) => isQuestion(url)) };
  }

  /** The months of a symbol are asked for at the same time, or one after the other. */
  const load = coalesced(ask);
  async function answerOf(symbol: string, signal: AbortSignal): Promise<Answer> {
    const now = clock.now().epochMilliseconds;
    if (last?.symbol === symbol && now - last.at < REUSED_MS) return last.answer;
    const answer = await load(symbol, signal);
    last = { symbol, at: now, answer };
    return answer;
  }

  return {
    async fetch(object: ObjectSpec, folder: string, signal: AbortSignal): Promise<Fetched> {
      const { reports, guessed, requests } = await answerOf(object.root, signal);
      const { from, to } = object.period;
      const [first] = reports;
      if (first === undefined || first.date > to) {
        const since = first === undefined ? 'it has none of this symbol' : `the first that it has is of ${first.date}`;
        throw new NotEntitledError('yahoo.no_older_earnings', `Yahoo has the last four reports and the next one only; ${since}`);
      }
      const rows = reports.filter(({ date }) => from <= date && date <= to);
      const path = join(folder, 'earnings.csv');
      const lines = rows.map(({ date, session, estimate, actual }) => `${date},${session},${estimate ?? ''},${actual ?? ''},yahoo\n`);
      const written = await spool(path, lines, signal);
      return {
        files: written === 0 ? [] : [{ path, layout: layoutOf(object) }],
        requests,
        version: 'yahoo quoteSummary v10',
        degraded: rows.some(({ date }) => date === guessed) ? `${guessed} is Yahoo's guess; the company has not confirmed it` : undefined,
      };
    },
  };
}

function layoutOf({ root }: ObjectSpec) {
  const columns = { earnings_date: 'DATE', session: 'VARCHAR', eps_estimate: 'DOUBLE', eps_actual: 'DOUBLE', source: 'VARCHAR' };
  const select = Object.fromEntries(Object.keys(columns).map((name) => [name, `"${name}"`]));
  return { name: 'yahoo earnings', header: false, columns, select: { symbol: sqlText(root), ...select } };
}

/** Ascending, one a day. Of a range of days for the next report there is the first. */
function reportsOf({ earnings, calendarEvents }: Summary): Pick<Answer, 'reports' | 'guessed'> {
  const reports = new Map<string, Report>();
  const next = calendarEvents?.earnings;
  const [nextAt] = next?.earningsDate.toSorted((a, b) => a - b) ?? [];
  const isGuess = next?.isEarningsDateEstimate === true || (next?.earningsDate.length ?? 0) > 1;
  const add = (seconds: number, more: Pick<Report, 'estimate' | 'actual'>): string => {
    const { date, session } = momentOf(seconds);
    reports.set(date, { date, session, ...more });
    return date;
  };
  const nextDay = nextAt === undefined ? undefined : add(nextAt, { estimate: next?.earningsAverage ?? null, actual: null });
  // A report that was made replaces the one that was expected on its day.
  for (const { reportedDate, estimate = null, actual = null } of earnings?.earningsChart.quarterly ?? [])
    if (reportedDate != null) add(reportedDate, { estimate, actual });
  const isMade = nextDay !== undefined && reports.get(nextDay)?.actual !== null;
  return { reports: [...reports.values()].sort((a, b) => (a.date < b.date ? -1 : 1)), guessed: isGuess && !isMade ? nextDay : undefined };
}

/** Midnight in UTC is a day without a time. */
function momentOf(seconds: number): Pick<Report, 'date' | 'session'> {
  const at = Temporal.Instant.fromEpochMilliseconds(seconds * 1000);
  if (seconds % 86_400 === 0) return { date: at.toString().slice(0, 10), session: 'unknown' };
  const there = at.toZonedDateTimeISO(usCalendar.timeZone);
  const minutes = there.hour * 60 + there.minute;
  return { date: there.toPlainDate().toString(), session: minutes < 570 ? 'before' : minutes >= 960 ? 'after' : 'unknown' };
}
