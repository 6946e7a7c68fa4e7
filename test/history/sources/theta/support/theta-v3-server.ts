/** Speaks as a Theta Terminal of version 3. Source: the vendor's OpenAPI document of v3. */
import { usCalendar } from '../../../../../services/market/calendar/calendar.ts';
import { TIERS } from '../../../../../services/platform/config/sections/history.ts';
import type { TestChain, VendorRow } from './chain.ts';
import { type Fault, type Reply, startServer, type TestServer } from './server.ts';

export interface ThetaServerOptions {
  chain: TestChain;
  tier?: keyof typeof TIERS;
  faults?: readonly Fault[];
  port?: number;
  /** What it says of its connection to ThetaData. */
  state?: string;
  /** Days before are answered with 471. */
  entitledFrom?: string;
  /** More rows at once are answered with 570. */
  mostRows?: number;
  /** Milliseconds that each answer takes. */
  answerMs?: number;
  /** Requests that wait when the account has its most under way; 16 by default. */
  queue?: number;
}

const QUOTE = ['bid_size', 'bid_exchange', 'bid', 'bid_condition', 'ask_size', 'ask_exchange', 'ask', 'ask_condition'];
const BAR = ['open', 'high', 'low', 'close', 'volume', 'count'];
const VALUES = { quote: QUOTE, ohlc: [...BAR, 'vwap'], eod: [...BAR, ...QUOTE] } as const;
const CONTRACT = ['symbol', 'expiration', 'strike', 'right'];
const INTERVAL_MS: Record<string, number> = {
  '1m': 60_000,
  '5m': 300_000,
  '10m': 600_000,
  '15m': 900_000,
  '30m': 1_800_000,
  '1h': 3_600_000,
};

export function startThetaV3(options: ThetaServerOptions): Promise<TestServer> {
  const { tier = 'value', port, state, faults, answerMs, queue } = options;
  return startServer({
    ...{ version: 'v3', statusPath: '/v3/terminal/mdds/status', limit: TIERS[tier], chunked: true, port, state, faults, answerMs, queue },
    reply: (url) => replyOf(options, url),
  });
}

function replyOf(options: ThetaServerOptions, url: URL): Reply {
  const { chain, entitledFrom = '', mostRows = Number.POSITIVE_INFINITY } = options;
  const query = Object.fromEntries(url.searchParams);
  const path = url.pathname.replace('/v3/', '');
  if (query.symbol !== chain.root) return { status: 472, body: 'No data found for your request' };
  if (path === 'option/list/contracts/quote') return contractsOf(chain, query);
  const [, asset, schema] = /^(option|stock)\/history\/(quote|ohlc|eod)$/.exec(path) ?? [];
  if (asset === undefined) return { status: 404, body: 'Not found' };
  const fault = faultOf(asset as 'option', schema as 'quote', query);
  if (fault !== undefined) return { status: 473, body: fault };
  if ((query.date ?? query.start_date!) < entitledFrom) return { status: 471, body: 'Your subscription does not include this request' };
  const rows = rowsOf(chain, asset as 'option', schema as 'quote', query);
  if (rows.length === 0) return { status: 472, body: 'No data found for your request' };
  if (rows.length > mostRows) return { status: 570, body: 'The request was too large' };
  const times = schema === 'eod' ? ['created', 'last_trade'] : ['timestamp'];
  const header = [...(asset === 'option' ? CONTRACT : []), ...times, ...VALUES[schema as 'quote']].join(',');
  return { status: 200, body: `${header}\r\n${rows.map((row) => `${lineOf(chain.root, schema as 'quote', row)}\r\n`).join('')}` };
}

function contractsOf(chain: TestChain, { date, max_dte }: Record<string, string>): Reply {
  const last =
    max_dte === undefined
      ? '9999'
      : Temporal.PlainDate.from(date!)
          .add({ days: Number(max_dte) })
          .toString();
  const contracts = chain.contracts(date!).filter(({ expiration }) => expiration <= last);
  if (contracts.length === 0) return { status: 472, body: 'No data found for your request' };
  const line = ({ expiration, strike, right }: (typeof contracts)[number]) =>
    `${chain.root},${expiration},${(strike / 1000).toFixed(3)},${right === 'C' ? 'CALL' : 'PUT'}\r\n`;
  return { status: 200, body: `symbol,expiration,strike,right\r\n${contracts.map(line).join('')}` };
}

/** What the vendor's document does not allow. */
function faultOf(asset: 'option' | 'stock', schema: 'quote' | 'ohlc' | 'eod', query: Record<string, string>): string | undefined {
  const { expiration, interval, date, start_date, end_date, format } = query;
  if (format !== 'csv') return 'the test reads CSV only';
  if (asset === 'option' && expiration === undefined) return 'expiration is required';
  if (schema === 'ohlc' && expiration === '*') return 'wildcard expirations are not supported';
  if (schema === 'eod') {
    if (start_date === undefined || end_date === undefined) return 'start_date and end_date are required';
    return Temporal.PlainDate.from(start_date).until(end_date).days > 31 ? 'at most a month' : undefined;
  }
  if (date === undefined) return 'date is required';
  if (interval === undefined || INTERVAL_MS[interval] === undefined) return `interval ${interval} is not one of the options`;
  return undefined;
}

function rowsOf(chain: TestChain, asset: 'option' | 'stock', schema: 'quote' | 'ohlc' | 'eod', query: Record<string, string>): VendorRow[] {
  const { expiration = '*', right = 'both', interval, start_time = '09:30:00', end_time = '16:00:00', max_dte } = query;
  const rows = daysOf(query).flatMap((day) => {
    const wanted = {
      schema,
      day,
      intervalMs: INTERVAL_MS[interval ?? ''] ?? 0,
      fromMs: millisecondsOf(start_time),
      toMs: millisecondsOf(end_time),
    };
    if (asset === 'stock') return chain.stock(wanted);
    const last =
      max_dte === undefined
        ? '9999'
        : Temporal.PlainDate.from(day)
            .add({ days: Number(max_dte) })
            .toString();
    return chain.options(wanted).filter(({ contract }) => contract!.expiration <= last);
  });
  return rows.filter(
    ({ contract }) =>
      contract === undefined ||
      ((expiration === '*' || expiration === contract.expiration) && (right === 'both' || right[0]!.toUpperCase() === contract.right)),
  );
}

function daysOf({ date, start_date, end_date }: Record<string, string>): string[] {
  if (date !== undefined) return [date];
  return usCalendar.tradingDays(start_date!, end_date!);
}

const millisecondsOf = (time: string): number => Temporal.PlainTime.from('00:00').until(time).total('milliseconds');

function lineOf(root: string, schema: 'quote' | 'ohlc' | 'eod', { contract, day, ms, lastTradeMs = 0, values }: VendorRow): string {
  const at = (milliseconds: number): string => `${day}T${shortTime(milliseconds)}`;
  const right = contract?.right === 'C' ? 'CALL' : 'PUT';
  // The terminal writes texts in quotes.
  const key = contract === undefined ? [] : [`"${root}"`, `"${contract.expiration}"`, (contract.strike / 1000).toFixed(3), `"${right}"`];
  const times = schema === 'eod' ? [at(ms), at(lastTradeMs)] : [at(ms)];
  return [...key, ...times, ...VALUES[schema].map((name) => values[name])].join(',');
}

/** `09:30:00`, `17:17:06.02`: the fraction without zeros at its end. */
function shortTime(ms: number): string {
  return new Date(ms)
    .toISOString()
    .slice(11, 23)
    .replace(/\.?0*$/, '');
}
