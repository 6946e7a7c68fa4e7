/** Speaks as a Theta Terminal of version 2. Source: the vendor's pages of v2. */
import { usCalendar } from '../../../../../services/market/calendar/calendar.ts';
import { TIERS } from '../../../../../services/platform/config/sections/history.ts';
import type { VendorRow } from './chain.ts';
import { type Reply, startServer, type TestServer } from './server.ts';
import type { ThetaServerOptions } from './theta-v3-server.ts';

const QUOTE = ['bid_size', 'bid_exchange', 'bid', 'bid_condition', 'ask_size', 'ask_exchange', 'ask', 'ask_condition'];
const BAR = ['open', 'high', 'low', 'close', 'volume', 'count'];
const VALUES = { quote: QUOTE, ohlc: BAR, eod: [...BAR, ...QUOTE] } as const;
const CONTRACT = ['root', 'expiration', 'strike', 'right'];

interface Answer {
  header: string;
  lines: string[];
}

export function startThetaV2(options: ThetaServerOptions & { rowsPerPage?: number }): Promise<TestServer> {
  const { tier = 'value', port, state, faults, answerMs, queue, rowsPerPage = 500 } = options;
  const pages = new Map<string, { answer: Answer; from: number }>();
  let made = 0;

  /** A page, and the address of the next one, which is that of the terminal as it sees itself. A page is given once. */
  function pageOf(answer: Answer, from: number, path: string, page: 'repeats' | 'same' | undefined): Reply {
    const to = from + rowsPerPage;
    const body = `${answer.header}\n${answer.lines
      .slice(from, to)
      .map((line) => `${line}\n`)
      .join('')}`;
    let next = 'null';
    if (page === 'repeats') next = `http://127.0.0.1:25510${path}`;
    else if (to < answer.lines.length) {
      next = `http://127.0.0.1:25510/v2/page/${++made}`;
      pages.set(`/v2/page/${made}`, { answer, from: page === 'same' ? from : to });
    }
    return { status: 200, body, headers: { 'Next-Page': next } };
  }

  return startServer({
    ...{
      version: 'v2',
      statusPath: '/v2/system/mdds/status',
      limit: Math.max(1, TIERS[tier] / 2),
      chunked: false,
      port,
      state,
      faults,
      answerMs,
      queue,
    },
    reply(url, page) {
      if (url.pathname.startsWith('/v2/page/')) {
        const known = pages.get(url.pathname);
        if (known === undefined) return { status: 477, body: 'The page has expired' };
        if (page !== 'repeats') pages.delete(url.pathname);
        return pageOf(known.answer, known.from, url.pathname, page);
      }
      const found = answerOf(options, url);
      return 'status' in found ? found : pageOf(found, 0, url.pathname + url.search, page);
    },
  });
}

function answerOf(options: ThetaServerOptions, url: URL): Answer | Reply {
  const { chain, entitledFrom = '', mostRows = Number.POSITIVE_INFINITY } = options;
  const query = Object.fromEntries(url.searchParams);
  const [, bulk, stock] = /^\/v2\/(?:bulk_hist\/option\/(quote|ohlc|eod)|hist\/stock\/(quote|ohlc|eod))$/.exec(url.pathname) ?? [];
  const schema = (bulk ?? stock) as 'quote' | 'ohlc' | 'eod' | undefined;
  if (schema === undefined) return { status: 404, body: 'Not found' };
  const noData = { status: 472, body: 'No data for the specified timeframe & contract' };
  if (query.root !== chain.root) return noData;
  const isOption = bulk !== undefined;
  const fault = faultOf(isOption, schema, query);
  if (fault !== undefined) return { status: 473, body: fault };
  if (dayOf(query.start_date!) < entitledFrom) return { status: 471, body: 'PERMISSION' };
  const rows = daysOf(query).flatMap((day) => {
    const isAll = query.rth === 'false';
    const fromMs = Number(query.start_time ?? (isAll ? 0 : 34_200_000));
    const toMs = Number(query.end_time ?? (isAll ? 86_399_999 : 57_600_000));
    const wanted = { schema, day, intervalMs: Number(query.ivl ?? 0), fromMs, toMs };
    return isOption ? chain.options(wanted) : chain.stock(wanted);
  });
  if (rows.length === 0) return noData;
  if (rows.length > mostRows) return { status: 570, body: 'LARGE_REQUEST' };
  const times = schema === 'eod' ? ['ms_of_day', 'ms_of_day2'] : ['ms_of_day'];
  const header = [...(isOption ? CONTRACT : []), ...times, ...VALUES[schema], 'date'].join(',');
  return { header, lines: rows.map((row) => lineOf(chain.root, schema, row)) };
}

/** What the vendor's pages do not allow. */
function faultOf(isOption: boolean, schema: string, query: Record<string, string>): string | undefined {
  const { use_csv, exp, start_date, end_date, ivl } = query;
  if (use_csv !== 'true') return 'the test reads CSV only';
  if (isOption && exp !== '0') return 'the test has all expirations only';
  if (isOption && start_date !== end_date) return 'exp=0 must be requested day by day';
  if (isOption && schema === 'quote' && ivl !== '60000') return 'exp=0 is supported for 1 minute intervals only';
  if (schema !== 'eod' && ivl === undefined) return 'ticks are too many';
  return undefined;
}

const dayOf = (compact: string): string => `${compact.slice(0, 4)}-${compact.slice(4, 6)}-${compact.slice(6)}`;

function daysOf({ start_date, end_date }: Record<string, string>): string[] {
  return usCalendar.tradingDays(dayOf(start_date!), dayOf(end_date!));
}

function lineOf(root: string, schema: 'quote' | 'ohlc' | 'eod', { contract, day, ms, lastTradeMs = 0, values }: VendorRow): string {
  const key = contract === undefined ? [] : [root, contract.expiration.replaceAll('-', ''), contract.strike, contract.right];
  const times = schema === 'eod' ? [ms, lastTradeMs] : [ms];
  return [...key, ...times, ...VALUES[schema].map((name) => values[name]), day.replaceAll('-', '')].join(',');
}
