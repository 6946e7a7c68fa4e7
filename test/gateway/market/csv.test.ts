/** Lists as CSV: the same rows as in JSON. The form is that of RFC 4180. */
import { parse } from 'csv-parse/sync';
import { expect, test } from 'vitest';
import { csvText } from '../../../services/platform/text/csv.ts';
import { gatewayMesh } from '../mesh.ts';
import { barsThrough, storeSymbol } from '../routes/market-rows.ts';
import { publishRuns, withoutRankings } from '../routes/ranking-rows.ts';

const mesh = gatewayMesh();
withoutRankings(mesh);
const AS_OF = new Date('2026-03-03T21:00:00Z');
const read = async (path: string, headers: Record<string, string> = {}) => {
  const response = await mesh.operator.get(path, headers);
  return {
    type: response.headers.get('content-type'),
    name: response.headers.get('content-disposition'),
    next: response.headers.get('x-next-cursor'),
    body: response.body,
  };
};
const rowsOf = (text: string): Record<string, string>[] => parse(text, { columns: true });

test('a text that a spreadsheet would run is made harmless, and a number keeps its sign', () => {
  expect(
    csvText(
      ['a', 'b'],
      [
        ['=1+1', -5],
        ['@x', null],
        ['two\nlines, "quoted"', true],
        ['-', new Date(0)],
      ],
    ),
  ).toBe('a,b\r\n\'=1+1,-5\r\n\'@x,\r\n"two\nlines, ""quoted""",true\r\n\'-,1970-01-01T00:00:00.000Z\r\n');
});

test('bars, adjusted or not, and indicators', async () => {
  await storeSymbol(mesh.db, 'AAPL', barsThrough('2026-03-03', 300), AS_OF);
  for (const query of ['limit=20', 'limit=20&adjusted=true']) {
    const json = (await mesh.operator.get(`/v1/symbols/AAPL/bars?${query}`)).body;
    const { type, name, body } = await read(`/v1/symbols/AAPL/bars?${query}&format=csv`);
    expect([type, name]).toEqual(['text/csv; charset=utf-8', 'attachment; filename="AAPL-bars.csv"']);
    expect(rowsOf(body).map(({ date, close }) => [date, Number(close)])).toEqual(
      json.bars.map((bar: { date: string; close: number }) => [bar.date, bar.close]),
    );
  }
  const json = (await mesh.operator.get('/v1/symbols/AAPL/indicators?limit=5')).body;
  const rows = rowsOf((await read('/v1/symbols/AAPL/indicators?limit=5', { accept: 'text/csv' })).body);
  expect(rows.map(({ date, rsi14 }) => [date, Number(rsi14)])).toEqual(
    json.dates.map((date: string, index: number) => [date, json.indicators.rsi14[index]]),
  );
});

test('raw indicators are those of the bars as they were traded', async () => {
  await storeSymbol(mesh.db, 'AAPL', barsThrough('2026-03-03', 300), AS_OF);
  const bars = (await mesh.operator.get('/v1/symbols/AAPL/bars?limit=40')).body.bars;
  const mean = bars.slice(-20).reduce((sum: number, { close }: { close: number }) => sum + close, 0) / 20;
  const raw = (await mesh.operator.get('/v1/symbols/AAPL/indicators?limit=1&adjusted=false')).body;
  const adjusted = (await mesh.operator.get('/v1/symbols/AAPL/indicators?limit=1')).body;
  expect([raw.adjusted, adjusted.adjusted]).toEqual([false, true]);
  expect(raw.indicators.sma20[0]).toBeCloseTo(mean, 6);
  // Before the last ten bars a share was two.
  expect(adjusted.indicators.sma20[0]).toBeLessThan(raw.indicators.sma20[0] - 10);
});

test('signals day by day, newest first, in pages', async () => {
  for (const last of ['2026-02-27', '2026-03-02', '2026-03-03'])
    await storeSymbol(mesh.db, 'AAPL', barsThrough(last, 260), new Date(`${last}T21:00:00Z`));
  const { signals, next } = (await mesh.operator.get('/v1/symbols/AAPL/signals?limit=2')).body;
  expect([signals.map(({ date }: { date: string }) => date), next]).toEqual([['2026-03-03', '2026-03-02'], '2026-03-02']);
  expect(signals[0]).toMatchObject({
    signal: expect.stringMatching(/^(buy|sell|hold)$/),
    close: expect.any(Number),
    reasons: expect.any(Array),
  });
  const rest = (await mesh.operator.get(`/v1/symbols/AAPL/signals?limit=2&before=${next}`)).body;
  expect([rest.signals.map(({ date }: { date: string }) => date), rest.next]).toEqual([['2026-02-27'], null]);
  expect(rowsOf((await read('/v1/symbols/AAPL/signals?format=csv')).body)).toHaveLength(3);
});

test('jobs with the cursor of the next page, a portfolio, positions and ranks', async () => {
  const jobs = ['A', 'B', 'C'].map((symbol) => ({ type: 'fetch', symbol, analyse: false }));
  await mesh.operator.post('/v1/jobs', { jobs });
  const page = await read('/v1/jobs?limit=2&format=csv');
  expect([
    rowsOf(page.body).map(({ symbol }) => symbol),
    rowsOf((await read(`/v1/jobs?limit=2&format=csv&cursor=${page.next}`)).body).length,
  ]).toEqual([['C', 'B'], 1]);
  await mesh.operator.put('/v1/users/alice/portfolio', { positions: [{ symbol: 'AAPL', quantity: -2, cost: 1.5 }] });
  expect(rowsOf((await read('/v1/users/alice/portfolio?format=csv')).body)).toMatchObject([
    { symbol: 'AAPL', quantity: '-2', cost: '1.5', freshness: 'missing' },
  ]);
  expect(rowsOf((await read('/v1/users/alice/positions?format=csv')).body)).toEqual([]);
  await publishRuns(mesh.db, ['entry']);
  const { ranks } = (await mesh.operator.get('/v1/rankings?symbol=ACME&mode=entry&limit=3')).body;
  expect(
    rowsOf((await read('/v1/rankings?symbol=ACME&mode=entry&limit=3&format=csv')).body).map(({ contract, signals }) => [contract, signals]),
  ).toEqual(ranks.map((rank: { contract: string; signals: string[] }) => [rank.contract, rank.signals.join(' ')]));
});

test('an error of a list is a problem, whatever form was asked for', async () => {
  expect((await read('/v1/symbols/NONE/bars?format=csv')).type).toBe('application/problem+json');
});
