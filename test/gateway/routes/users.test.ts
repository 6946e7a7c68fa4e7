import { expect, test } from 'vitest';
import { sourceSet } from '../../../services/market/freshness/freshness.ts';
import { gatewayMesh } from '../mesh.ts';
import { barsThrough, storeSymbol } from './market-rows.ts';

const mesh = gatewayMesh();
const path = '/v1/users/alice/portfolio';

test('a portfolio is replaced as a whole and told with its value and how fresh each holding is', async () => {
  await storeSymbol(mesh.db, 'AAPL', barsThrough('2026-03-03', 60), new Date('2026-03-03T21:00:00Z'));
  await mesh.operator.put(path, { positions: [{ symbol: 'OLD', quantity: 1 }] });
  const put = await mesh.operator.put(path, { positions: [{ symbol: 'aapl', quantity: 12.5, cost: 90.25 }, { symbol: 'MSFT' }] });
  expect(put.body).toEqual({ user: 'alice', held: 1, watched: 1 });
  const { body } = await mesh.operator.get(path);
  expect(body.user).toBe('alice');
  expect(body.positions).toMatchObject([
    {
      symbol: 'AAPL',
      quantity: 12.5,
      cost: 90.25,
      close: 100,
      value: 1250,
      currency: 'USD',
      newest_bar: '2026-03-03',
      price: { state: 'stale' },
    },
    { symbol: 'MSFT', quantity: 0, cost: null, close: null, value: null, price: { state: 'missing' } },
  ]);
  const freshness = await mesh.operator.get(`${path}/freshness`);
  expect(freshness.body).toMatchObject({
    counts: { total: 2, fresh: 0, outdated: 0, stale: 1, missing: 1, simulated: 0 },
    holdings: [{ symbol: 'AAPL' }, { symbol: 'MSFT' }],
  });
});

test('a symbol that no source knows is shown with since when, and when it is asked for again', async () => {
  await mesh.operator.put(path, { positions: [{ symbol: 'FB', quantity: 1 }] });
  const [asked, again] = [new Date(Date.now() - 60_000), new Date(Date.now() + 240_000)];
  await mesh.db.run("INSERT INTO symbols (symbol) VALUES ('FB')");
  await mesh.db.run('INSERT INTO symbol_failures (symbol, what, sources, since, asked_at, again_at, times, code, reason) VALUES (?)', [
    ['FB', 'bars', sourceSet(mesh.config), asked, asked, again, 1, 'source.unknown_symbol', 'no source knows FB'],
  ]);
  const failure = {
    since: asked.toISOString(),
    last_asked: asked.toISOString(),
    asked_again: again.toISOString(),
    times: 1,
    code: 'source.unknown_symbol',
    reason: 'no source knows FB',
  };
  const price = { state: 'missing', failure, reason: expect.stringContaining('unknown since') };
  expect((await mesh.operator.get(`${path}/freshness`)).body.holdings).toMatchObject([{ symbol: 'FB', price }]);
  expect((await mesh.operator.get('/v1/symbols/FB')).body).toMatchObject({ price });
});

test('bars of 2021 that were just checked are outdated and not fresh, and made-up prices are marked', async () => {
  const checked = new Date(Date.now() - 60_000);
  await storeSymbol(mesh.db, 'OLD', barsThrough('2021-03-31', 60), checked);
  await storeSymbol(mesh.db, 'MADE', barsThrough('2021-03-31', 60), checked);
  await mesh.db.run("UPDATE symbols SET source = 'simulated' WHERE symbol = 'MADE'");
  await mesh.operator.put(path, {
    positions: [
      { symbol: 'OLD', quantity: 1 },
      { symbol: 'MADE', quantity: 2 },
    ],
  });
  const { body } = await mesh.operator.get(`${path}/freshness`);
  expect(body.counts).toEqual({ total: 2, fresh: 0, outdated: 2, stale: 0, missing: 0, simulated: 1 });
  expect(body.holdings).toMatchObject([
    {
      symbol: 'MADE',
      simulated: true,
      price: { state: 'outdated', reason: expect.stringMatching(/^newest bar 2021-03-31, [\d,]+ sessions behind, checked 1 min ago$/) },
    },
    { symbol: 'OLD', simulated: false, price: { state: 'outdated' } },
  ]);
  expect(body.holdings[1].price.sessions_behind).toBeGreaterThan(1_200);
  expect((await mesh.operator.get(path)).body.positions).toMatchObject([
    { symbol: 'MADE', simulated: true },
    { symbol: 'OLD', simulated: false },
  ]);
});

test('holdings in other currencies are added up in the base currency, and what is unknown is named', async () => {
  const now = new Date();
  const row = (symbol: string, close: number | null, currency: string | null) => [
    symbol,
    '2026-03-03',
    now,
    now,
    close,
    currency,
    'yahoo_finance',
  ];
  await mesh.db.run('INSERT INTO symbols (symbol, newest_bar, as_of, checked_at, close, currency, source) VALUES ?', [
    [row('BP.L', 400, 'GBp'), row('US', 10, 'USD'), row('NOVO.CO', 700, 'DKK'), row('GBPUSD=X', 1.25, 'USD')],
  ]);
  await mesh.operator.put(path, {
    positions: [
      { symbol: 'BP.L', quantity: 100 },
      { symbol: 'US', quantity: 3 },
      { symbol: 'NOVO.CO', quantity: 1 },
      { symbol: 'NEVER', quantity: 1 },
    ],
  });
  const { body } = await mesh.operator.get(path);
  // 100 × 400 pence are 400 pounds, 500 dollars; with 30 dollars of US 530.
  expect(body.worth).toMatchObject({
    currency: 'USD',
    value: 530,
    simulated: 0,
    rates: [
      { symbol: 'DKKUSD=X', rate: null, state: 'missing' },
      { symbol: 'GBPUSD=X', rate: 1.25, newest_bar: '2026-03-03', simulated: false },
    ],
    unknown: [
      { symbol: 'NEVER', reason: 'no price is stored' },
      { symbol: 'NOVO.CO', reason: 'no rate DKKUSD=X is stored; the next login fetches it' },
    ],
  });
  expect(body.positions.map(({ symbol, value, base_value }: Record<string, unknown>) => [symbol, value, base_value])).toEqual([
    ['BP.L', 40_000, 500],
    ['NEVER', null, null],
    ['NOVO.CO', 700, null],
    ['US', 30, 30],
  ]);
});

test('an empty portfolio takes everything away: the user is unknown then', async () => {
  await mesh.operator.put(path, { positions: [{ symbol: 'AAPL', quantity: 1 }] });
  expect((await mesh.operator.put(path, { positions: [] })).body).toEqual({ user: 'alice', held: 0, watched: 0 });
  expect(await mesh.operator.get(path)).toMatchObject({ status: 404, body: { code: 'user.unknown' } });
});

test('a symbol that stands twice is refused, and what was there stays', async () => {
  await mesh.operator.put(path, { positions: [{ symbol: 'IBM', quantity: 1 }] });
  const answer = await mesh.operator.put(path, {
    positions: [
      { symbol: 'AAPL', quantity: 1 },
      { symbol: 'aapl', quantity: 2 },
    ],
  });
  expect(answer).toMatchObject({ status: 400, body: { code: 'portfolio.duplicate_symbol' } });
  expect((await mesh.operator.get(path)).body.positions).toMatchObject([{ symbol: 'IBM' }]);
});

test('a portfolio of one user does not touch that of another', async () => {
  await mesh.operator.put('/v1/users/bob/portfolio', { positions: [{ symbol: 'IBM', quantity: 1 }] });
  await mesh.operator.put(path, { positions: [] });
  expect((await mesh.operator.get('/v1/users/bob/portfolio')).body.positions).toHaveLength(1);
});

test('what was given costs nothing or was bought for something, never for less; and no number is out of all reason', async () => {
  const put = (position: object) => mesh.operator.put(path, { positions: [{ symbol: 'AAPL', ...position }] });
  for (const position of [{ quantity: 1, cost: 0 }, { quantity: -2.5, cost: 3 }, { quantity: 0.000001 }])
    expect((await put(position)).body, JSON.stringify(position)).toMatchObject({ held: 1, watched: 0 });
  for (const [position, field] of [
    [{ quantity: 1, cost: -0.01 }, 'cost'],
    [{ quantity: 1, cost: 1e12 }, 'cost'],
    [{ quantity: 1e15 }, 'quantity'],
    [{ quantity: -1e15 }, 'quantity'],
  ] as const)
    expect(await put(position), JSON.stringify(position)).toMatchObject({
      status: 400,
      body: { errors: [{ field: `positions.0.${field}` }] },
    });
  expect((await put({})).body).toMatchObject({ held: 0, watched: 1 });
});

test('the newest signal of each holding is shown, with how sure it is', async () => {
  await storeSymbol(mesh.db, 'AAPL', barsThrough('2026-03-03', 60), new Date('2026-03-03T21:00:00Z'));
  await mesh.db.run("UPDATE symbols SET unrestated_split = '2026-02-17' WHERE symbol = 'AAPL'");
  await mesh.operator.put(path, { positions: [{ symbol: 'AAPL', quantity: 1 }, { symbol: 'MSFT' }] });
  const [analysis] = await mesh.db.rows<{ signal: string; confidence: number }>('SELECT * FROM analyses');
  const { body } = await mesh.operator.get(path);
  expect(body.positions).toMatchObject([
    { source: 'yahoo_finance', signal: analysis!.signal, confidence: Number(analysis!.confidence), unrestated_split: '2026-02-17' },
    { source: null, signal: null, confidence: null, unrestated_split: null, base_value: 0 },
  ]);
  expect(Math.abs(Date.parse(body.at) - Date.now())).toBeLessThan(60_000);
});

test('two spellings of a share class are the same position twice', async () => {
  const answer = await mesh.operator.put(path, {
    positions: [
      { symbol: 'BRK-B', quantity: 1 },
      { symbol: 'BRK/B', quantity: 2 },
    ],
  });
  expect(answer).toMatchObject({
    status: 400,
    body: { code: 'portfolio.duplicate_symbol', detail: expect.stringContaining('BRK.B twice') },
  });
});
