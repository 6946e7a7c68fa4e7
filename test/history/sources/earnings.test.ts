import { describe, expect, test } from 'vitest';
import { daysOf } from '../../../services/history/plan.ts';
import { simulatedHistory } from '../../../services/history/sources/simulated/simulated.ts';
import { NotEntitledError } from '../../../services/history/sources/source.ts';
import { yahooHistory } from '../../../services/history/sources/yahoo/yahoo.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { dataset, fetched, objectsOf } from './objects.ts';
import { rowsOf } from './rows.ts';

const EARNINGS = dataset('stock', 'earnings', '1d');
const month = (day: string, root = 'AAPL') => objectsOf(EARNINGS, root, day)[0]!;
const seconds = (text: string) => Date.parse(text) / 1000;

test('a month of earnings is an object, in a tree of its own', () => {
  expect(objectsOf(EARNINGS, 'BRK.B', '2024-01-20', '2024-03-01').map(({ key }) => key)).toEqual([
    'historical-stock/earnings/root=BRK.B/month=2024-01/data.parquet',
    'historical-stock/earnings/root=BRK.B/month=2024-02/data.parquet',
    'historical-stock/earnings/root=BRK.B/month=2024-03/data.parquet',
  ]);
});

describe('Yahoo', () => {
  // Apple reported on 2024-10-31, 2024-08-01, 2024-05-02 and 2024-02-01 after the close (its investor relations), and expected 2025-01-30. In the shape of yahoo-finance2's types.
  const quarterly = [
    { date: '4Q2023', actual: 2.18, estimate: 2.1, reportedDate: seconds('2024-02-01T21:30:00Z') },
    { date: '1Q2024', actual: 1.53, estimate: 1.5, reportedDate: seconds('2024-05-02T20:30:00Z') },
    { date: '2Q2024', actual: 1.4, estimate: 1.35, reportedDate: seconds('2024-08-01T00:00:00Z') },
    { date: '3Q2024', actual: 1.64, estimate: 1.6, reportedDate: seconds('2024-10-31T12:00:00Z') },
  ];
  const summary = (
    next: object = { earningsDate: [seconds('2025-01-30T21:00:00Z')], isEarningsDateEstimate: false, earningsAverage: 2.34 },
  ) => ({
    earnings: { maxAge: 1, earningsChart: { quarterly } },
    calendarEvents: { maxAge: 1, earnings: { earningsCallDate: [], ...next } },
  });
  function answering(respond: () => Response) {
    let asked = 0;
    const source = yahooHistory({
      clock: new ManualClock('2025-01-15T12:00:00Z'),
      timeoutMs: 10_000,
      budget: async () => {},
      fetch: async (url) => {
        const { pathname } = new URL(String(url));
        if (pathname === '/v1/test/getcrumb') return new Response('crumb');
        if (!pathname.startsWith('/v10/finance/quoteSummary/'))
          return new Response('<html>', { headers: { 'set-cookie': 'A3=x; Max-Age=31557600; Domain=.yahoo.com; Path=/; Secure' } });
        asked++;
        return respond();
      },
    });
    return { source, asked: () => asked };
  }
  const answer = (result: unknown) => Response.json({ quoteSummary: { result: [result], error: null } });
  const rows = async (source: ReturnType<typeof answering>['source'], day: string) =>
    (await rowsOf((await fetched(source, month(day))).files)).map(({ earnings_date, ...row }) => [String(earnings_date).slice(0, 10), row]);

  test('the reports of a month, with the session by the time in New York; all months take one request', async () => {
    const { source, asked } = answering(() => answer(summary()));
    const of = (session: string, eps_estimate: number, eps_actual: number | null) => ({
      symbol: 'AAPL',
      session,
      eps_estimate,
      eps_actual,
      source: 'yahoo',
    });
    expect(await rows(source, '2024-02-15')).toEqual([['2024-02-01', of('after', 2.1, 2.18)]]);
    expect(await rows(source, '2024-05-15')).toEqual([['2024-05-02', of('after', 1.5, 1.53)]]);
    expect(await rows(source, '2024-08-15')).toEqual([['2024-08-01', of('unknown', 1.35, 1.4)]]);
    expect(await rows(source, '2024-10-15')).toEqual([['2024-10-31', of('before', 1.6, 1.64)]]);
    expect(await rows(source, '2025-01-15')).toEqual([['2025-01-30', of('after', 2.34, null)]]);
    expect(asked()).toBe(1);
  });

  test('a month without a report is no data', async () => {
    const { source } = answering(() => answer(summary()));
    expect(await fetched(source, month('2024-03-15'))).toMatchObject({ files: [], requests: [{ status: 200 }] });
  });

  test('a month before the first that Yahoo has is refused and not empty', async () => {
    const { source } = answering(() => answer(summary()));
    const refused = fetched(source, month('2024-01-16'));
    await expect(refused).rejects.toThrow(NotEntitledError);
    await expect(refused).rejects.toThrow('Yahoo has the last four reports and the next one only; the first that it has is of 2024-02-01');
  });

  test('a symbol without any, such as a fund, is refused too', async () => {
    const { source } = answering(() => answer({}));
    await expect(fetched(source, month('2024-10-15'))).rejects.toThrow('it has none of this symbol');
  });

  test('a guessed date says so, until the report was made', async () => {
    const range = { earningsDate: [seconds('2025-01-28T11:00:00Z'), seconds('2025-02-03T12:00:00Z')], isEarningsDateEstimate: true };
    const { source } = answering(() => answer(summary(range)));
    expect((await fetched(source, month('2025-01-15'))).degraded).toBe("2025-01-28 is Yahoo's guess; the company has not confirmed it");
    expect((await fetched(source, month('2024-10-15'))).degraded).toBeUndefined();
  });

  test.each([
    [
      'an unknown symbol',
      () =>
        Response.json({ quoteSummary: { result: null, error: { code: 'Not Found', description: 'Quote not found' } } }, { status: 404 }),
      'source.unknown_symbol',
    ],
    ['another shape', () => answer({ earnings: { earningsChart: {} } }), 'source.malformed'],
    [
      'a crumb that has run out',
      () => Response.json({ finance: { result: null, error: { code: 'Unauthorized', description: 'Invalid Crumb' } } }, { status: 401 }),
      'source.blocked',
    ],
  ])('%s is an error, and the next request asks again', async (_, respond, code) => {
    let broken = true;
    const { source } = answering(() => (broken ? respond() : answer(summary())));
    await expect(fetched(source, month('2024-10-15'))).rejects.toMatchObject({ code });
    broken = false;
    expect(await rows(source, '2024-10-15')).toHaveLength(1);
  });
});

describe('the simulated market', () => {
  const source = simulatedHistory({ seed: 1, clock: new ManualClock('2026-11-20T22:00:00Z'), contracts: 10, rate: 0, dividendYield: 0 });
  const year = (root: string) => objectsOf(EARNINGS, root, '2025-01-01', '2025-12-31');

  test('a company reports once a quarter, on a session, always at the same time of the day', async () => {
    const reports = [];
    for (const object of year('AAPL')) {
      const rows = await rowsOf((await fetched(source, object)).files);
      for (const row of rows) {
        expect(daysOf(object)).toContain(String(row.earnings_date).slice(0, 10));
        reports.push(row);
      }
    }
    expect(reports).toHaveLength(4);
    expect(new Set(reports.map(({ session }) => session)).size).toBe(1);
    expect(reports.every(({ eps_estimate, eps_actual }) => Number(eps_estimate) > 0 && Number(eps_actual) > 0)).toBe(true);
  });

  test('a report on a day that is not over has no result', async () => {
    for (const object of year('AAPL')) {
      const [row] = await rowsOf((await fetched(source, object)).files);
      if (row === undefined) continue;
      const before = daysOf(object).filter((day) => day < String(row.earnings_date).slice(0, 10));
      if (before.length === 0) continue;
      expect(await rowsOf((await fetched(source, object, { days: before })).files)).toEqual([{ ...row, eps_actual: null }]);
      return;
    }
    throw new Error('no report after the first session of its month');
  });

  test('options and indexes have none', async () => {
    expect(source.refuses(dataset('option', 'earnings', '1d'))).toBe('options have no earnings');
    for (const object of year('^SPX')) expect((await fetched(source, object)).files).toEqual([]);
  });
});
