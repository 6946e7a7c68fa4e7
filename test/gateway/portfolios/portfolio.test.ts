/** A portfolio in numbers. The bars are two sessions whose closes a person can calculate with; the expected numbers are worked out by hand beside them. */
import { beforeEach, expect, test } from 'vitest';
import { gatewayMesh } from '../mesh.ts';
import { publishRuns, withoutRankings } from '../routes/ranking-rows.ts';

const mesh = gatewayMesh();
withoutRankings(mesh);
const NOW = new Date();

/** Bars of two sessions. */
async function bars(symbol: string, currency: string, closes: readonly [number, number], split?: number): Promise<void> {
  const rows = closes.map((close, index) => [symbol, `2026-03-0${2 + index}`, close, close, close, close, close, 1, 'yahoo_finance', NOW]);
  await mesh.db.run('INSERT INTO bars (symbol, date, open, high, low, close, adjusted_close, volume, source, as_of) VALUES ?', [rows]);
  await mesh.db.run('INSERT INTO symbols (symbol, newest_bar, as_of, checked_at, close, currency, source) VALUES (?)', [
    [symbol, '2026-03-03', NOW, NOW, closes[1], currency, 'yahoo_finance'],
  ]);
  if (split !== undefined)
    await mesh.db.run('INSERT INTO corporate_actions (symbol, date, kind, value, source, as_of) VALUES (?)', [
      [symbol, '2026-03-03', 'split', split, 'yahoo_finance', NOW],
    ]);
}
const hold = (positions: object[], headers?: Record<string, string>) => put('/v1/users/alice/portfolio', { positions }, headers);
const put = async (path: string, body: object, headers: Record<string, string> = {}) => {
  const response = await fetch(`${mesh.gateway.url}${path}`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${mesh.operator.key}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return { status: response.status, etag: response.headers.get('etag') ?? '', body: (await response.json()) as { code?: string } };
};
const read = async () => (await mesh.operator.get('/v1/users/alice/portfolio')).body;

beforeEach(async () => {
  await bars('AAPL', 'USD', [100, 110]);
  await bars('MSFT', 'USD', [200, 150]);
  await bars('SAP.DE', 'EUR', [50, 60]);
  // Two new shares for one old: 300 before are 150 of today.
  await bars('NVDA', 'USD', [300, 165], 2);
});

test('value, change of the day, weight and gain of each holding, and the totals of each currency', async () => {
  await hold([
    { symbol: 'AAPL', quantity: 10, cost: 55 },
    { symbol: 'MSFT', quantity: 6, cost: null },
    { symbol: 'SAP.DE', quantity: 2, cost: 80 },
    { symbol: 'NVDA', quantity: 0 },
  ]);
  const { positions, totals } = await read();
  const of = (symbol: string) => positions.find((one: { symbol: string }) => one.symbol === symbol);
  // 10 × 110 = 1,100 of 2,000; it was 1,000, and cost 550.
  expect(of('AAPL')).toMatchObject({
    value: 1100,
    previous_close: 100,
    day_change: 100,
    day_change_pct: 10,
    weight_pct: 55,
    profit: 550,
    profit_pct: 100,
  });
  // 6 × 150 = 900; it was 1,200; its cost is not known.
  expect(of('MSFT')).toMatchObject({ value: 900, day_change: -300, day_change_pct: -25, weight_pct: 45, profit: null, profit_pct: null });
  expect(of('SAP.DE')).toMatchObject({ value: 120, day_change: 20, day_change_pct: 20, weight_pct: 100, profit: -40, profit_pct: -25 });
  // Watched: the price alone, against 300 ÷ 2.
  expect(of('NVDA')).toMatchObject({ previous_close: 150, day_change: null, day_change_pct: 10, weight_pct: null, profit: null });
  expect(totals).toEqual([
    {
      currency: 'USD',
      holdings: 2,
      value: 2000,
      simulated: 0,
      day_change: -200,
      day_change_pct: -9.0909,
      cost: 550,
      profit: 550,
      profit_pct: 100,
    },
    { currency: 'EUR', holdings: 1, value: 120, simulated: 0, day_change: 20, day_change_pct: 20, cost: 160, profit: -40, profit_pct: -25 },
  ]);
});

test('a short position gains when its price falls', async () => {
  await hold([{ symbol: 'MSFT', quantity: -2, cost: 180 }]);
  const [one] = (await read()).positions;
  // Sold at 180 and worth 150 now; 200 the day before.
  expect(one).toMatchObject({ value: -300, day_change: 100, day_change_pct: 25, profit: 60, profit_pct: 16.6667, weight_pct: null });
});

test('a holding without a price has no value, and no part in a total', async () => {
  await hold([{ symbol: 'NEVER', quantity: 3, cost: 10 }]);
  const { positions, totals } = await read();
  expect(positions[0]).toMatchObject({ value: null, day_change: null, weight_pct: null, profit: null });
  expect(totals).toEqual([]);
});

test('who changes a portfolio from an earlier version hears of it, and changes nothing', async () => {
  const { etag: first } = await hold([{ symbol: 'AAPL', quantity: 1 }]);
  const seen = (await mesh.operator.get('/v1/users/alice/portfolio')).headers.get('etag');
  expect([seen, first]).toEqual([first, expect.stringMatching(/^"[0-9a-f]{16}"$/)]);
  const { etag: second, status } = await hold([{ symbol: 'AAPL', quantity: 2 }], { 'if-match': first });
  expect([status, second]).toEqual([200, expect.not.stringContaining(first)]);
  const late = await hold([{ symbol: 'AAPL', quantity: 3 }], { 'if-match': first });
  expect([late.status, late.body.code]).toEqual([412, 'portfolio.changed']);
  expect((await read()).positions[0].quantity).toBe(2);
  for (const version of [second, '*', `"x", ${second}`])
    expect((await hold([{ symbol: 'AAPL', quantity: 2 }], { 'if-match': version })).status).toBe(200);
});

test('of two who change it at once from one version, one does', async () => {
  const { etag } = await hold([{ symbol: 'AAPL', quantity: 1 }]);
  const waiting = async (): Promise<number> => {
    const [row] = await mesh.db.rows<{ Value: string }>("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'");
    return Number(row?.Value);
  };
  // Both have come before either can go on.
  const both = await mesh.db.transaction(async (tx) => {
    await tx.rows("SELECT symbol FROM holdings WHERE user_id = 'alice' FOR UPDATE");
    const asked = [2, 3].map((quantity) => hold([{ symbol: 'AAPL', quantity }], { 'if-match': etag }));
    await expect.poll(waiting, { interval: 5, timeout: 10_000 }).toBeGreaterThanOrEqual(2);
    return asked;
  });
  expect((await Promise.all(both)).map(({ status }) => status).toSorted()).toEqual([200, 412]);
});

test('option positions have a version too', async () => {
  const position = { contract: 'AAPL450317C00200000', quantity: 1, entry_price: 4.5 };
  const { etag } = await put('/v1/users/alice/positions', { positions: [position] });
  expect((await mesh.operator.get('/v1/users/alice/positions')).headers.get('etag')).toBe(etag);
  await put('/v1/users/alice/positions', { positions: [position, position] });
  const late = await put('/v1/users/alice/positions', { positions: [] }, { 'if-match': etag });
  expect([late.status, late.body.code]).toEqual([412, 'portfolio.changed']);
  expect((await mesh.operator.get('/v1/users/alice/positions')).body.positions).toHaveLength(2);
});

test('an option position is worth the mid of its newest ranking × 100 shares × contracts', async () => {
  await publishRuns(mesh.db, ['entry']);
  const [rank] = await mesh.db.rows<{ contract: string; mid: number }>('SELECT contract, mid FROM options_ranks ORDER BY place LIMIT 1');
  const positions = [
    { contract: rank!.contract, quantity: 3, entry_price: 2 },
    { contract: 'AAPL450317C00200000', quantity: 1, entry_price: 4.5 },
  ];
  await mesh.db.run('INSERT INTO option_positions (user_id, contract, underlying, quantity, entry_price, opened_at) VALUES ?', [
    positions.map((one) => ['alice', one.contract, one.contract.slice(0, -15), one.quantity, one.entry_price, NOW]),
  ]);
  const { body } = await mesh.operator.get('/v1/users/alice/positions');
  const mid = rank!.mid;
  expect(body.positions[0]).toMatchObject({ mid, simulated: false, quoted_at: expect.stringMatching(/^\d{4}-/) });
  expect(body.positions[0].value).toBeCloseTo(mid * 300, 3);
  expect(body.positions[0].profit).toBeCloseTo((mid - 2) * 300, 3);
  expect(body.positions[0].profit_pct).toBeCloseTo(50 * (mid - 2), 3);
  expect(body.positions[1]).toMatchObject({ mid: null, value: null, profit: null });
});
