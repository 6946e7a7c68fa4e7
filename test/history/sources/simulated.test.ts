import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import type { Dataset } from '../../../services/history/dataset.ts';
import { simulatedHistory } from '../../../services/history/sources/simulated/simulated.ts';
import { simulatedChains } from '../../../services/market/options/sources/simulated.ts';
import { simulatedSource } from '../../../services/market/sources/simulated.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { dataset, fetched, objectsOf } from './objects.ts';
import { type Row, rowsOf } from './rows.ts';

const clock = new ManualClock('2026-11-20T22:00:00Z');
const never = new AbortController().signal;
const source = (seed: number | string = 1, contracts = 60) => simulatedHistory({ seed, clock, contracts, rate: 0.04, dividendYield: 0 });
const ask = async (data: Dataset, root: string, day: string, from = source()) =>
  rowsOf((await fetched(from, objectsOf(data, root, day)[0]!, { days: [day] })).files);
const stamp = (row: Row | undefined) => String(row?.timestamp).slice(11, 16);
const dayBar = async (root: string, day: string) =>
  (await simulatedSource({ seed: 1, clock }).bars(root, { from: day, to: day }, never)).bars[0]!;

const WEDNESDAY = '2026-11-11';
/** Thanksgiving's Friday, which ends at 13:00. */
const SHORT = '2025-11-28';

/** What rows of bars add up to. */
function sum(rows: readonly Row[]) {
  const sorted = rows.toSorted((a, b) => (String(a.timestamp) < String(b.timestamp) ? -1 : 1));
  return {
    open: sorted[0]?.open ?? null,
    high: sorted.length === 0 ? null : Math.max(...sorted.map(({ high }) => Number(high))),
    low: sorted.length === 0 ? null : Math.min(...sorted.map(({ low }) => Number(low))),
    close: sorted.at(-1)?.close ?? null,
    volume: sorted.reduce((all, { volume }) => all + Number(volume), 0),
    count: sorted.reduce((all, { count }) => all + Number(count), 0),
  };
}

describe('a stock', () => {
  test.each([
    ['1m', WEDNESDAY, 390, '20:59'],
    ['15m', WEDNESDAY, 26, '20:45'],
    ['1h', WEDNESDAY, 7, '20:30'],
    ['5m', SHORT, 42, '17:55'],
  ] as const)('bars of %s on %s add up to the day’s bar', async (interval, day, rows, last) => {
    const bars = await ask(dataset('stock', 'ohlc', interval), 'AAPL', day);
    expect([bars.length, stamp(bars[0]), stamp(bars.at(-1))]).toEqual([rows, '14:30', last]);
    const { open, high, low, close, volume } = await dayBar('AAPL', day);
    expect(sum(bars)).toMatchObject({ open, high, low, close, volume });
    expect(
      bars.filter(({ vwap, low: least, high: most }) => !(Number(vwap) >= Number(least) - 0.005 && Number(vwap) <= Number(most) + 0.005)),
    ).toEqual([]);
  });

  test('quotes stand at each interval from the opening to the close, around the price', async () => {
    const quotes = await ask(dataset('stock', 'quote', '30m'), 'AAPL', SHORT);
    expect(quotes.map(stamp)).toEqual(['14:30', '15:00', '15:30', '16:00', '16:30', '17:00', '17:30', '18:00']);
    expect(quotes.filter(({ bid, ask: offer }) => !(Number(bid) < Number(offer)))).toEqual([]);
    const { close } = await dayBar('AAPL', SHORT);
    expect(Number(quotes.at(-1)?.bid)).toBeLessThan(close);
    expect(Number(quotes.at(-1)?.ask)).toBeGreaterThan(close);
  });

  test('a year at the end of the day has the market’s own bars', async () => {
    const [object] = objectsOf(dataset('stock', 'eod'), 'MSFT', '2025-06-02');
    const rows = await rowsOf((await fetched(source(), object!)).files, ['trade_date']);
    const { bars } = await simulatedSource({ seed: 1, clock }).bars('MSFT', { from: '2025-01-01', to: '2025-12-31' }, never);
    // 250 sessions in 2025; weekdays that are holidays have none.
    expect(rows).toHaveLength(250);
    const days = new Map(bars.map((bar) => [bar.date, bar]));
    for (const { trade_date, open, high, low, close, volume } of rows) {
      const { date, adjustedClose, ...bar } = days.get(String(trade_date).slice(0, 10))!;
      expect({ open, high, low, close, volume }).toEqual(bar);
    }
  });
});

describe('options', () => {
  test('at the end of the day they are those of the simulated chain at the close', async () => {
    const chain = await simulatedChains({ seed: 1, clock: new ManualClock(`${WEDNESDAY}T21:00:00Z`), contracts: 60 }).chain('AAPL', never);
    const rows = await ask(dataset('option', 'eod'), 'AAPL', WEDNESDAY);
    const found = new Map(rows.map((row) => [`${String(row.expiration).slice(0, 10)} ${row.strike} ${row.right}`, row]));
    expect(found.size).toBe(chain.contracts.length);
    for (let i = 0; i < chain.contracts.length; i++) {
      const row = found.get(`${chain.expirations[chain.expiry[i]!]} ${chain.strike[i]} ${chain.isPut[i] === 1 ? 'P' : 'C'}`)!;
      expect(row).toMatchObject({ volume: chain.volume[i], open_interest: chain.openInterest[i] });
      // Outwards to whole cents.
      expect(chain.bid[i]! - Number(row.bid)).toBeGreaterThanOrEqual(-1e-9);
      expect(chain.bid[i]! - Number(row.bid)).toBeLessThan(0.01);
      expect(Number(row.ask) - chain.ask[i]!).toBeGreaterThanOrEqual(-1e-9);
      expect(Number(row.ask) - chain.ask[i]!).toBeLessThanOrEqual(0.01 + 1e-9);
    }
  });

  test('a contract has a quote at every minute, and never a crossed one', async () => {
    const rows = await ask(dataset('option', 'quote'), 'AAPL', WEDNESDAY);
    const contracts = Map.groupBy(rows, ({ expiration, strike, right }) => `${expiration} ${strike} ${right}`);
    expect(new Set([...contracts.values()].map((each) => `${each.length} ${stamp(each[0])} ${stamp(each.at(-1))}`))).toEqual(
      new Set(['391 14:30 21:00']),
    );
    expect(rows.filter(({ bid, ask: offer }) => !(Number(bid) < Number(offer)))).toEqual([]);
    expect(rows.filter(({ bid, bid_size }) => (Number(bid) === 0) !== (bid_size === 0))).toEqual([]);
  });

  test('on a short day the last quotes are of 13:00, those of index options of 13:15, and expiring ones have no time left', async () => {
    const rows = await ask(dataset('option', 'quote', '15m'), 'AAPL', SHORT);
    expect(new Set(rows.map(stamp)).size).toBe(15);
    expect(rows.map(stamp).sort().at(-1)).toBe('18:00');
    const expiring = rows.filter((row) => String(row.expiration).startsWith(SHORT) && stamp(row) === '18:00');
    const { close } = await dayBar('AAPL', SHORT);
    expect(expiring.length).toBeGreaterThan(0);
    for (const { strike, right, bid, ask: offer } of expiring) {
      const intrinsic = Math.max(0, right === 'C' ? close - Number(strike) : Number(strike) - close);
      expect(Number(bid)).toBeLessThanOrEqual(intrinsic + 1e-9);
      expect(Number(offer)).toBeGreaterThanOrEqual(intrinsic - 1e-9);
    }
    const index = await ask(dataset('option', 'quote', '15m'), 'SPXW', SHORT);
    expect(index.map(stamp).sort().at(-1)).toBe('18:15');
    expect(
      index
        .filter((row) => String(row.expiration).startsWith(SHORT))
        .map(stamp)
        .sort()
        .at(-1),
    ).toBe('18:00');
  });

  test('the bars of each contract add up to its end of the day', async () => {
    const [bars, days] = [
      await ask(dataset('option', 'ohlc', '10m'), 'AAPL', WEDNESDAY),
      await ask(dataset('option', 'eod'), 'AAPL', WEDNESDAY),
    ];
    const contract = ({ expiration, strike, right }: Row) => `${expiration} ${strike} ${right}`;
    const traded = Map.groupBy(bars, contract);
    expect(traded.size).toBeGreaterThan(20);
    for (const day of days) {
      const { open, high, low, close, volume, count } = day;
      expect(sum(traded.get(contract(day)) ?? [])).toEqual({ open, high, low, close, volume, count });
    }
  });
});

describe('the same market every time', () => {
  const text = async (data: Dataset, from = source(), days?: readonly string[]) => {
    const { files } = await fetched(from, objectsOf(data, 'KO', WEDNESDAY)[0]!, days === undefined ? {} : { days });
    return readFile(files[0]!.path, 'utf8');
  };

  test.each([dataset('option', 'quote', '1h'), dataset('option', 'ohlc', '1h'), dataset('stock', 'quote'), dataset('stock', 'ohlc')])(
    'the same seed gives the same bytes, another one others: $asset $schema',
    async (data) => {
      const first = await text(data);
      expect(await text(data)).toBe(first);
      expect(await text(data, source(2))).not.toBe(first);
    },
  );

  test('a day does not depend on the days that it is downloaded with', async () => {
    const month = await text(dataset('option', 'eod'));
    const day = await text(dataset('option', 'eod'), source(), [WEDNESDAY]);
    expect(month).toContain(day);
  });
});

test('it says that it is simulated, and knows no symbol that begins with XX', async () => {
  const [object] = objectsOf(dataset('stock', 'ohlc'), 'AAPL', WEDNESDAY);
  expect(await fetched(source(), object!)).toMatchObject({ version: 'simulated, seed 1' });
  await expect(fetched(source(), objectsOf(dataset('option', 'eod'), 'XXNO', WEDNESDAY)[0]!)).rejects.toMatchObject({
    code: 'source.unknown_symbol',
  });
});
