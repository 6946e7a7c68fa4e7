import { beforeEach, expect, test } from 'vitest';
import { adjustPrices, indicatorSeries } from '../../../services/market/indicators/indicators.ts';
import { gatewayMesh } from '../mesh.ts';
import { barsThrough, storeSymbol } from './market-rows.ts';

const mesh = gatewayMesh();
const LAST = '2026-03-03';
const all = barsThrough(LAST, 600);
const AS_OF = new Date('2026-03-03T21:00:00Z');
const get = async (path: string) => {
  const answer = await mesh.operator.get(`/v1/symbols/${path}`);
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return answer.body;
};

beforeEach(() => storeSymbol(mesh.db, 'BRK.B', all, AS_OF));

test('a symbol is told with its source, its moment, and how fresh it is', async () => {
  const body = await get('brk.b');
  expect(body).toMatchObject({
    symbol: 'BRK.B',
    currency: 'USD',
    time_zone: 'America/New_York',
    source: 'yahoo_finance',
    simulated: false,
    as_of: '2026-03-03T21:00:00.000Z',
    bar: { date: LAST, close: Number(all.at(-1)!.close.toFixed(6)) },
    price: { state: expect.stringMatching(/fresh|stale/), reason: expect.any(String) },
    analysis: { date: LAST, signal: expect.stringMatching(/buy|sell|hold/), bars_used: 600 },
    actions: [{ kind: 'split', value: 2, date: all.at(-10)!.date }],
  });
  expect(body.analysis.indicators).toHaveProperty('macd_signal');
});

test('the close of the session before stands beside the newest bar, in the shares of today', async () => {
  const [before, newest] = all.slice(-2);
  expect((await get('BRK.B')).previous_close).toBeCloseTo(before!.close, 6);
  await mesh.db.run('INSERT INTO corporate_actions (symbol, date, kind, value, source, as_of) VALUES (?)', [
    ['BRK.B', newest!.date, 'split', 4, 'yahoo_finance', AS_OF],
  ]);
  expect((await get('BRK.B')).previous_close).toBeCloseTo(before!.close / 4, 6);
});

test('it says whether figures or headlines are stored, so that nobody asks for them in vain', async () => {
  expect((await get('BRK.B')).has_research).toBe(false);
  await mesh.db.run('INSERT INTO news_checks (symbol, checked_at, source) VALUES (?)', [['BRK.B', AS_OF, 'yahoo_finance']]);
  expect((await get('BRK.B')).has_research).toBe(true);
});

test('one that was never fetched is 404 with the request that fetches it', async () => {
  const { status, body } = await mesh.operator.get('/v1/symbols/NOPE');
  expect([status, body.code]).toEqual([404, 'symbol.unknown']);
  expect(body.detail).toContain('{"type": "fetch", "symbol": "NOPE"}');
});

test('a spelling that no symbol has is 400', async () => {
  expect(await mesh.operator.get('/v1/symbols/a%20b')).toMatchObject({ status: 400, body: { errors: [{ in: 'path', field: 'symbol' }] } });
});

test('bars are the newest ones, ascending, as many as asked for', async () => {
  const dates = (bars: { date: string }[]) => bars.map(({ date }) => date);
  for (const spelling of ['BRK.B', 'BRK-B', 'BRK%2FB', 'brk.b'])
    expect(dates((await get(`${spelling}/bars?limit=3`)).bars)).toEqual(dates(all.slice(-3)));
  expect((await get('BRK.B/bars')).bars).toHaveLength(250);
  expect(dates((await get('BRK.B/bars?from=2026-02-02&to=2026-02-06')).bars)).toEqual([
    '2026-02-02',
    '2026-02-03',
    '2026-02-04',
    '2026-02-05',
    '2026-02-06',
  ]);
  expect(dates((await get('BRK.B/bars?to=2026-02-06&limit=2')).bars)).toEqual(['2026-02-05', '2026-02-06']);
  expect((await get('BRK.B/bars?from=2027-01-01')).bars).toEqual([]);
  expect(await mesh.operator.get('/v1/symbols/BRK.B/bars?from=2026-03-01&to=2026-02-01')).toMatchObject({
    status: 400,
    body: { code: 'request.bad_range' },
  });
});

test('bars are as traded, or adjusted for the split between them', async () => {
  const split = all.at(-10)!.date;
  const before = all.at(-11)!;
  const of = async (query: string) =>
    (await get(`BRK.B/bars?limit=20&${query}`)).bars.find(({ date }: { date: string }) => date === before.date);
  expect((await of('')).close).toBeCloseTo(before.close, 5);
  // Two shares for one: half the price.
  expect((await of('adjusted=true')).close).toBeCloseTo(before.close / 2, 5);
  expect((await of('adjusted=true')).high).toBeCloseTo(before.high / 2, 5);
  expect((await get('BRK.B/bars?limit=20')).actions).toEqual([{ date: split, kind: 'split', value: 2 }]);
});

test('indicators of a window are those of the whole history', async () => {
  const { dates, indicators } = await get('BRK.B/indicators?limit=5');
  // Computed from all bars at once: what the window's warm-up must not change.
  const whole = indicatorSeries(adjustPrices(all));
  expect(dates).toEqual(all.slice(-5).map(({ date }) => date));
  expect(Object.keys(indicators)).toContain('bollinger_upper');
  for (const [name, column] of [
    ['sma200', whole.sma200],
    ['ema26', whole.ema26],
    ['rsi14', whole.rsi14],
    ['macd_signal', whole.macdSignal],
  ] as const)
    for (const [index, value] of column.slice(-5).entries()) expect(indicators[name][index], `${name} ${index}`).toBeCloseTo(value!, 4);
});

test('a single day is a range, and of its bars alone the splits are told', async () => {
  const split = all.at(-10)!.date;
  for (const [day, told] of [
    [split, 1],
    [all.at(-11)!.date, 0],
    [all.at(-9)!.date, 0],
  ] as const) {
    const { bars, actions } = await get(`BRK.B/bars?from=${day}&to=${day}`);
    expect([bars.map(({ date }: { date: string }) => date), actions.length]).toEqual([[day], told]);
  }
});

test('all prices of an adjusted bar are, and the volume is as it was traded', async () => {
  const before = all.at(-11)!;
  const { bars } = await get(`BRK.B/bars?from=${before.date}&to=${before.date}&adjusted=true`);
  const [{ open, high, low, close, volume }] = bars;
  // Two shares for one: half of each price.
  for (const [shown, raw] of [
    [open, before.open],
    [high, before.high],
    [low, before.low],
    [close, before.close],
  ])
    expect(shown).toBeCloseTo(raw / 2, 5);
  expect(volume).toBe(1000);
});

test.each([
  ['a range', 300, 310, ''],
  ['the newest of a range', 300, 310, '&limit=4'],
])('indicators of %s in the middle are those of the whole history', async (_, first, last, limit) => {
  const { dates, indicators } = await get(`BRK.B/indicators?from=${all[first]!.date}&to=${all[last]!.date}${limit}`);
  const asked = all.slice(limit === '' ? first : last - 3, last + 1);
  expect(dates).toEqual(asked.map(({ date }) => date));
  // Computed from all bars up to the day: later ones adjust those before them by the same factor.
  const whole = indicatorSeries(adjustPrices(all.slice(0, last + 1)));
  const sma200 = whole.sma200.slice(-asked.length);
  for (const [index, value] of sma200.entries()) expect(indicators.sma200[index]).toBeCloseTo(value!, 4);
});

test('a symbol of which the sources have no bar is known, without one', async () => {
  await mesh.db.run("INSERT INTO symbols (symbol, checked_at, source) VALUES ('EMPTY', NOW(3), 'yahoo_finance')");
  expect(await get('EMPTY')).toMatchObject({ symbol: 'EMPTY', bar: null, as_of: null, actions: [], price: { state: 'missing' } });
  expect(await get('EMPTY/bars')).toMatchObject({ bars: [], actions: [], adjusted: false });
  expect(await get('EMPTY/indicators')).toMatchObject({ dates: [], indicators: {} });
  expect((await get('EMPTY/analysis')).analysis).toMatchObject({ signal: null, reasons: [], bars_used: null });
});

test('indicators of the first bars are null where history is too short', async () => {
  const { dates, indicators } = await get(`BRK.B/indicators?from=${all[0]!.date}&to=${all[24]!.date}`);
  expect(dates).toHaveLength(25);
  expect(indicators.sma20.slice(18, 20)).toEqual([null, expect.any(Number)]);
  expect(indicators.sma200.every((value: unknown) => value === null)).toBe(true);
});

test('the analysis is told with its reasons, which add up to its points', async () => {
  const { analysis, source } = await get('BRK.B/analysis');
  expect(source).toBe('yahoo_finance');
  expect(analysis.reasons.reduce((sum: number, { weight }: { weight: number }) => sum + weight, 0)).toBe(100);
});
