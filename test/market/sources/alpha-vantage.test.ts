import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { alphaVantageSource } from '../../../services/market/sources/alpha-vantage.ts';
import { ManualClock } from '../../../services/platform/clock.ts';

const KEY = 'SECRET+KEY/1';
const NOW = '2024-05-10T12:00:00Z';
const signal = new AbortController().signal;

let server: Server;
let baseUrl: string;
let asked: URL[];
let respond: (response: ServerResponse, request: IncomingMessage) => void;

beforeEach(async () => {
  asked = [];
  server = createServer((request, response) => {
    asked.push(new URL(request.url ?? '', baseUrl));
    respond(response, request);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const source = (options: { apiKey?: string | undefined; timeoutMs?: number } = {}) =>
  alphaVantageSource({ apiKey: KEY, baseUrl, clock: new ManualClock(NOW), ...options });

const says = (body: unknown) => {
  respond = (response) =>
    response.setHeader('content-type', 'application/json').end(typeof body === 'string' ? body : JSON.stringify(body));
};

const day = (
  open: string,
  high: string,
  low: string,
  close: string,
  adjusted: string,
  volume: string,
  dividend = '0.0000',
  split = '1.0',
) => ({
  '1. open': open,
  '2. high': high,
  '3. low': low,
  '4. close': close,
  '5. adjusted close': adjusted,
  '6. volume': volume,
  '7. dividend amount': dividend,
  '8. split coefficient': split,
});

// The form of a real answer (newest first), with AAPL's days round its split of 2020-08-31 and dividend of 2020-11-06.
const series = (lastRefreshed = '2020-11-06') => ({
  'Meta Data': {
    '1. Information': 'Daily Time Series with Splits and Dividend Events',
    '2. Symbol': 'AAPL',
    '3. Last Refreshed': lastRefreshed,
    '4. Output Size': 'Compact',
    '5. Time Zone': 'US/Eastern',
  },
  'Time Series (Daily)': {
    '2020-11-06': day('118.32', '119.2', '116.13', '118.69', '115.93', '114457922', '0.2050'),
    '2020-08-31': day('127.58', '131.0', '126.0', '129.04', '125.83', '225702700', '0.0000', '4.0'),
    '2020-08-28': day('504.05', '505.77', '498.31', '499.23', '121.70', '46907479'),
  },
});

describe('answers', () => {
  test('raw bars ascending, with splits and dividends on their days', async () => {
    says(series());
    const answer = await source().bars('aapl', { from: '2020-01-01' }, signal);
    expect(answer).toEqual({
      symbol: 'AAPL',
      source: 'alpha_vantage',
      asOf: Temporal.Instant.from(NOW),
      timeZone: 'US/Eastern',
      bars: [
        { date: '2020-08-28', open: 504.05, high: 505.77, low: 498.31, close: 499.23, adjustedClose: 121.7, volume: 46_907_479 },
        { date: '2020-08-31', open: 127.58, high: 131, low: 126, close: 129.04, adjustedClose: 125.83, volume: 225_702_700 },
        { date: '2020-11-06', open: 118.32, high: 119.2, low: 116.13, close: 118.69, adjustedClose: 115.93, volume: 114_457_922 },
      ],
      actions: [
        { date: '2020-08-31', kind: 'split', value: 4 },
        { date: '2020-11-06', kind: 'dividend', value: 0.205 },
      ],
    });
  });

  test('both ends of the range are inclusive', async () => {
    says(series());
    const { bars } = await source().bars('AAPL', { from: '2020-08-31', to: '2020-11-06' }, signal);
    expect(bars.map(({ date }) => date)).toEqual(['2020-08-31', '2020-11-06']);
  });

  test('a refresh with a time of day is the moment of the data, in the zone it names', async () => {
    says(series('2024-05-09 16:00:01'));
    expect((await source().bars('AAPL', { from: '2020-01-01' }, signal)).asOf.toString()).toBe('2024-05-09T20:00:01Z');
  });

  test.each([
    ['2024-01-02', 'compact'],
    ['2023-12-01', 'full'],
  ])('from %s the answer needed is %s', async (from, size) => {
    says(series());
    await source().bars('BRK.B', { from }, signal);
    expect(Object.fromEntries(asked[0]?.searchParams ?? [])).toEqual({
      function: 'TIME_SERIES_DAILY_ADJUSTED',
      symbol: 'BRK-B',
      outputsize: size,
      apikey: KEY,
    });
  });
});

describe('errors', () => {
  const asking = (options = {}) => source(options).bars('AAPL', { from: '2024-05-01' }, signal);

  test.each([undefined, ''])('without a key (%j) nothing is asked', async (apiKey) => {
    await expect(asking({ apiKey })).rejects.toMatchObject({
      name: 'PermanentError',
      code: 'source.no_key',
      message: expect.stringContaining('ALPHA_VANTAGE_API_KEY'),
    });
    expect(asked).toEqual([]);
  });

  // Their texts, as they are sent with HTTP 200.
  test.each<[string, Record<string, string>, string, string]>([
    [
      'an unknown symbol',
      {
        'Error Message':
          'Invalid API call. Please retry or visit the documentation (https://www.alphavantage.co/documentation/) for TIME_SERIES_DAILY_ADJUSTED.',
      },
      'PermanentError',
      'source.unknown_symbol',
    ],
    [
      'the limit a minute',
      {
        Note: 'Thank you for using Alpha Vantage! Our standard API call frequency is 5 calls per minute and 500 calls per day. Please visit https://www.alphavantage.co/premium/',
      },
      'TransientError',
      'source.rate_limited',
    ],
    [
      'the limit a day, which advertises premium plans and quotes the key',
      {
        Information: `We have detected your API key as ${KEY} and our standard API rate limit is 25 requests per day. Please subscribe to any of the premium plans.`,
      },
      'TransientError',
      'source.rate_limited',
    ],
    [
      'the limit a second',
      { Information: 'Please consider spreading out your free API requests more sparingly (1 request per second).' },
      'TransientError',
      'source.rate_limited',
    ],
    [
      'a premium endpoint',
      { Information: 'Thank you for using Alpha Vantage! This is a premium endpoint. You may subscribe to any of the premium plans.' },
      'PermanentError',
      'source.denied',
    ],
    [
      'a wrong key',
      {
        'Error Message':
          'the parameter apikey is invalid or missing. Please claim your free API key on (https://www.alphavantage.co/support/#api-key).',
      },
      'PermanentError',
      'source.denied',
    ],
    ['the demo key', { Information: 'The **demo** API key is for demo purposes only.' }, 'PermanentError', 'source.denied'],
  ])('%s', async (_, body, name, code) => {
    says(body);
    const error = await asking().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name, code });
    expect(String(error)).not.toContain(KEY);
  });

  test('429 is transient, with the wait that the server names', async () => {
    respond = (response) => response.writeHead(429, { 'retry-after': '30' }).end();
    await expect(asking()).rejects.toMatchObject({ name: 'TransientError', code: 'source.rate_limited', retryAfterMs: 30_000 });
  });

  test.each([500, 503, 404])('HTTP %i is transient and named', async (status) => {
    respond = (response) => response.writeHead(status).end(`no luck with ${KEY}`);
    await expect(asking()).rejects.toMatchObject({
      name: 'TransientError',
      code: 'source.unavailable',
      message: `alpha_vantage: HTTP ${status}`,
    });
  });

  test.each<[string, unknown]>([
    ['text', `<html>${KEY}</html>`],
    ['text with the key at its beginning', KEY],
    ['an empty object', {}],
    ['a list', []],
    ['a number that is none', { ...series(), 'Time Series (Daily)': { '2024-05-09': day('1', '1', '1', 'None', '1', '1') } }],
    ['a date that is none', { ...series(), 'Time Series (Daily)': { yesterday: day('1', '1', '1', '1', '1', '1') } }],
    [
      'a zone that is none',
      { ...series('2024-05-09 16:00:00'), 'Meta Data': { ...series('2024-05-09 16:00:00')['Meta Data'], '5. Time Zone': 'Mars' } },
    ],
  ])('%s instead of a series is malformed, without the key', async (_, body) => {
    says(body);
    const error = await asking().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'TransientError', code: 'source.malformed' });
    expect(String(error)).not.toContain(KEY.slice(0, 4));
  });

  test('a connection that breaks off is transient', async () => {
    respond = (response) => response.destroy();
    await expect(asking()).rejects.toMatchObject({ name: 'TransientError', code: 'source.network' });
  });

  test('no answer within the time-out is source.timeout', async () => {
    respond = () => {};
    await expect(asking({ timeoutMs: 50 })).rejects.toMatchObject({ name: 'TransientError', code: 'source.timeout' });
  });

  test('a body that never ends is stopped by the time-out too', async () => {
    respond = (response) => response.write('{');
    await expect(asking({ timeoutMs: 50 })).rejects.toMatchObject({ code: 'source.timeout' });
  });

  test("an abort closes the connection and rejects with the caller's reason", async () => {
    const closed = vi.fn();
    respond = (_, request) => request.socket.on('close', closed);
    const controller = new AbortController();
    const answered = source().bars('AAPL', { from: '2024-05-01' }, controller.signal);
    await expect.poll(() => asked).toHaveLength(1);
    controller.abort(new Error('cancelled by hand'));
    await expect(answered).rejects.toThrow('cancelled by hand');
    await expect.poll(() => closed).toHaveBeenCalled();
  });
});
