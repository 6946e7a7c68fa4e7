import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Bar, BarsAnswer } from '../../../services/market/bars/bars.ts';
import { hashed, simulatedSource, smoothNoise } from '../../../services/market/sources/simulated.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import fc from '../../support/fast-check.ts';

const signal = new AbortController().signal;
// A Friday afternoon in New York.
const NOW = '2024-05-10T19:00:00Z';

function simulated({
  seed = 1,
  now = NOW,
  isTradingDay,
}: {
  seed?: string | number;
  now?: string;
  isTradingDay?: (date: string) => boolean;
} = {}) {
  return simulatedSource({ seed, clock: new ManualClock(now), ...(isTradingDay && { isTradingDay }) });
}

const ask = (symbol: string, from: string, to?: string, options = {}): Promise<BarsAnswer> =>
  simulated(options).bars(symbol, { from, to }, signal);

describe('the same question has the same answer', () => {
  test('a day is the same bar whatever range it is asked in', async () => {
    const { bars: all } = await ask('AAPL', '1990-01-01');
    await fc.assert(
      fc.asyncProperty(fc.nat(all.length - 1), fc.nat(20), async (start, length) => {
        const slice = all.slice(start, start + length + 1);
        const { bars } = await ask('AAPL', slice[0]?.date ?? '', slice.at(-1)?.date);
        expect(bars).toEqual(slice);
      }),
      { numRuns: 60 },
    );
  });

  test('another seed or another symbol is another market', async () => {
    const close = async (symbol: string, seed: number) => (await ask(symbol, '2024-05-09', '2024-05-09', { seed })).bars[0]?.close;
    expect(new Set([await close('AAPL', 1), await close('AAPL', 2), await close('MSFT', 1)]).size).toBe(3);
  });

  test('what was traded does not change as time goes by; only the adjusted close learns of later splits and dividends', async () => {
    const raw = ({ bars }: BarsAnswer) => bars.map(({ adjustedClose: _, ...rest }) => rest);
    const early = await ask('T', '2010-01-01', '2012-12-31', { now: '2013-01-02T19:00:00Z' });
    const late = await ask('T', '2010-01-01', '2012-12-31');
    expect(raw(late)).toEqual(raw(early));
    expect(late.bars[0]?.adjustedClose).not.toBe(early.bars[0]?.adjustedClose);
  });
});

describe('a sane market', () => {
  test('low ≤ open, close ≤ high, all positive, whole shares, for twenty symbols over 34 years', async () => {
    const broken: [string, Bar][] = [];
    for (let index = 0; index < 20; index++) {
      const { bars } = await ask(`S${index}`, '1990-01-01');
      for (const bar of bars) {
        const ordered = bar.low > 0 && bar.low <= Math.min(bar.open, bar.close) && Math.max(bar.open, bar.close) <= bar.high;
        const sane = ordered && bar.adjustedClose > 0 && bar.volume > 0 && Number.isInteger(bar.volume);
        if (!sane) broken.push([`S${index}`, bar]);
      }
    }
    expect(broken).toEqual([]);
  });

  test('the adjusted close follows every split and dividend, by the formula of CRSP', async () => {
    // Total return of a day: adjusted(t) ÷ adjusted(t-1) = (close(t) · split) ÷ (close(t-1) − dividend · split).
    let seen = { split: 0, dividend: 0 };
    for (const symbol of ['MSFT', 'BRK.B', 'A', 'T']) {
      const { bars, actions } = await ask(symbol, '1990-01-01');
      for (const [index, bar] of bars.entries()) {
        const before = bars[index - 1];
        if (before === undefined) continue;
        const value = (kind: 'split' | 'dividend') => actions.find((action) => action.kind === kind && action.date === bar.date)?.value;
        const split = value('split') ?? 1;
        const dividend = value('dividend') ?? 0;
        seen = { split: seen.split + Number(split !== 1), dividend: seen.dividend + Number(dividend > 0) };
        const expected = (bar.close * split) / (before.close - dividend * split);
        expect(Math.abs(bar.adjustedClose / before.adjustedClose / expected - 1)).toBeLessThan(1e-12);
      }
      expect(bars.at(-1)?.adjustedClose).toBe(bars.at(-1)?.close);
    }
    expect(seen.split).toBeGreaterThan(5);
    expect(seen.dividend).toBeGreaterThan(300);
  });

  test('actions lie within the range, on days with a bar', async () => {
    const { bars, actions } = await ask('MSFT', '2001-01-01', '2020-12-31');
    const days = new Set(bars.map(({ date }) => date));
    expect(actions.length).toBeGreaterThan(70);
    expect(actions.filter(({ date }) => !days.has(date))).toEqual([]);
  });

  test('it is always marked', async () => {
    expect(await ask('AAPL', '2024-05-09')).toMatchObject({
      symbol: 'AAPL',
      source: 'simulated',
      currency: 'USD',
      timeZone: 'America/New_York',
    });
  });
});

describe('days', () => {
  const dates = async (...question: Parameters<typeof ask>) => (await ask(...question)).bars.map(({ date }) => date);

  test('weekends have no bars', async () => {
    expect(await dates('AAPL', '2024-05-02', '2024-05-07')).toEqual(['2024-05-02', '2024-05-03', '2024-05-06', '2024-05-07']);
  });

  test('nor have the days that the calendar closes', async () => {
    const isTradingDay = (date: string) => date !== '2024-05-03';
    expect(await dates('AAPL', '2024-05-02', '2024-05-06', { isTradingDay })).toEqual(['2024-05-02', '2024-05-06']);
  });

  test('today has a bar from half past nine in New York on, tomorrow has none', async () => {
    expect(await dates('AAPL', '2024-05-09', '2024-05-20', { now: '2024-05-10T13:29:59Z' })).toEqual(['2024-05-09']);
    expect(await dates('AAPL', '2024-05-09', '2024-05-20', { now: '2024-05-10T13:30:00Z' })).toEqual(['2024-05-09', '2024-05-10']);
  });

  test('a range in the future is an answer without bars', async () => {
    expect(await ask('AAPL', '2030-01-01')).toMatchObject({ bars: [], actions: [] });
  });
});

describe('the market of a seed is the same in every version: what was stored yesterday goes on today', () => {
  // As version 0.1.0 made them. Raw values are cents and whole shares, so the digest is the same on every machine.
  test.each([
    ['AAPL', 2, 'e87abae8c6500aa0', { open: 90.66, high: 91.17, low: 89.26, close: 89.64, volume: 1_623_932 }],
    ['MSFT', 139, '4636a3b96aa7e346', { open: 43.3, high: 43.97, low: 42.88, close: 43.76, volume: 1_421_888 }],
    ['BRK.B', 140, 'f0e8d4009734a043', { open: 38.93, high: 39.17, low: 38.58, close: 38.77, volume: 262_977 }],
  ])('%s since 1990', async (symbol, events, digest, last) => {
    const { bars, actions } = await ask(symbol, '1990-01-01');
    expect(bars.at(-1)).toMatchObject({ date: '2024-05-10', ...last });
    expect([bars.length, actions.length]).toEqual([8964, events]);
    const raw = JSON.stringify([bars.map(({ adjustedClose: _, ...rest }) => rest), actions]);
    expect(createHash('sha256').update(raw).digest('hex').slice(0, 16)).toBe(digest);
  });

  test('its splits and dividends, on their days', async () => {
    expect((await ask('AAPL', '1990-01-01')).actions).toEqual([
      { date: '1993-09-29', kind: 'split', value: 4 },
      { date: '2014-09-08', kind: 'split', value: 3 },
    ]);
    expect((await ask('MSFT', '2024-01-01')).actions).toEqual([{ date: '2024-03-22', kind: 'dividend', value: 0.2 }]);
  });
});

test('a calendar without sessions has no bars, and ends', async () => {
  expect(await ask('MSFT', '2024-05-01', '2024-05-10', { isTradingDay: () => false })).toMatchObject({ bars: [] });
});

test('noise is smooth between whole numbers, and random at them', () => {
  const random = hashed('text');
  const values = Array.from({ length: 1_000 }, (_, index) => random(1, index));
  expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...values)).toBeLessThan(1);
  expect(values.reduce((sum, value) => sum + value, 0) / values.length).toBeCloseTo(0.5, 1);
  expect(smoothNoise(random, 1, 7)).toBe(random(1, 7));
  // Halfway between two values, and level at both.
  expect(smoothNoise(random, 1, 7.5)).toBeCloseTo((random(1, 7) + random(1, 8)) / 2, 12);
  expect(smoothNoise(random, 1, 7.001)).toBeCloseTo(random(1, 7), 4);
  expect(smoothNoise(random, 1, -0.5)).toBeCloseTo((random(1, -1) + random(1, 0)) / 2, 12);
  expect(hashed('other')(1, 0)).not.toBe(random(1, 0));
});

test('symbols that begin with XX are unknown', async () => {
  await expect(ask('XXNO', '2024-05-09')).rejects.toMatchObject({
    name: 'PermanentError',
    code: 'source.unknown_symbol',
    message: expect.stringContaining('XXNO'),
  });
});

test('one day costs a small part of what twenty years cost', async () => {
  const source = simulated();
  const best = async (from: string): Promise<number> => {
    const rounds: number[] = [];
    for (let round = 0; round < 5; round++) {
      const started = performance.now();
      for (let index = 0; index < 20; index++) await source.bars(`S${index}`, { from, to: '2024-05-10' }, signal);
      rounds.push(performance.now() - started);
    }
    return Math.min(...rounds);
  };
  // In one run: how fast the machine is at the moment does not count.
  const [day, years] = [await best('2024-05-10'), await best('2004-05-10')];
  console.log(`20 symbols: one day ${day.toFixed(2)} ms, twenty years ${years.toFixed(1)} ms`);
  expect(day).toBeLessThan(years / 10);
});
