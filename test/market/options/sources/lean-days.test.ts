/** Which days, rows and numbers of a Lean folder are believed. */
import { describe, expect, test } from 'vitest';
import { valueOption } from '../../../../services/market/options/pricing/pricing.ts';
import { leanChains } from '../../../../services/market/options/sources/lean.ts';
import { DAY, leanFolder, plain } from './lean-folder.ts';

const HEADER = '#expiry,strike,right,close,volume,open_interest,implied_volatility,delta,gamma,vega,theta';
const folder = leanFolder(HEADER, ',,,99,5,,,,,,');
const { universe, daily, equity, chain, write } = folder;

interface Row {
  expiry?: string;
  close?: number;
  volume?: number;
  openInterest?: number;
  iv?: number;
}
/** A row of a contract whose price is that of 20 % unless it says otherwise. */
function row(strike: number, side: string, { expiry = '2020-02-07', close, volume = 3, openInterest = 40, iv = 0.2 }: Row = {}): string {
  const years = Temporal.PlainDate.from(DAY).until(expiry).days / 365;
  const { price } = valueOption(100, strike, years, 0, 0, 0.2, side.toUpperCase() === 'P');
  const delta = side.toUpperCase() === 'P' ? -0.5 : 0.5;
  return [plain(expiry), strike, side, close ?? price, volume, openInterest, iv, delta, 0.01, 0.1, -0.02].join(',');
}

describe('a row of the universe file', () => {
  test('counts for its price, its volume or its open interest alone, and not for none of them', async () => {
    const none = { close: 0, volume: 0, openInterest: 0 };
    universe(
      DAY,
      row(95, 'C', { ...none, close: 0.5 }),
      row(100, 'C', { ...none, volume: 1 }),
      row(105, 'C', { ...none, openInterest: 1 }),
      row(110, 'C', none),
    );
    const { strike, volume } = await chain();
    expect([[...strike], [...volume]]).toEqual([
      [95, 100, 105],
      [0, 1, 0],
    ]);
  });

  test('has the Greeks of its side: a put’s delta and every theta are below 0', async () => {
    universe(DAY, row(100, 'C'), row(100, 'P'));
    const { delta, gamma, vega, theta, isPut } = await chain();
    expect([[...isPut], [...delta], [...gamma], [...vega], [...theta]]).toEqual([
      [0, 1],
      [0.5, -0.5],
      [0.01, 0.01],
      [0.1, 0.1],
      [-0.02, -0.02],
    ]);
  });

  test('of a put may be written p, and the underlying’s row has to have a price', async () => {
    universe(DAY, row(100, 'p'), row(100, 'c'));
    expect((await chain()).contracts).toEqual(['ABC200207P00100000', 'ABC200207C00100000']);
    write(`option/usa/universes/abc/${plain(DAY)}.csv`, [HEADER, ',,,0,5,,,,,,', row(100, 'C'), ''].join('\n'));
    expect((await chain()).gaps).toEqual([{ contracts: 1, reason: 'a row of the universe file cannot be read' }]);
  });
});

describe('IV and Greeks of the file', () => {
  const believed = async (...rows: string[]) => {
    universe(DAY, ...rows);
    const { iv, gaps } = await chain();
    const left = gaps?.some(({ reason }) => reason.startsWith('IV and Greeks are left out')) ?? false;
    expect(iv.every(Number.isNaN)).toBe(left);
    return !left;
  };
  /** At the money the price goes with the volatility: an IV of `factor` times the true one gives that many times the price. */
  const off = (factor: number) => [row(100, 'C', { iv: 0.2 * factor }), row(100, 'P', { iv: 0.2 * factor })];

  test.each([
    [1.45, true],
    [1.55, false],
    [1 / 1.45, true],
    [1 / 1.55, false],
  ])('that give %d times its prices are believed: %s', async (factor, expected) => expect(await believed(...off(factor))).toBe(expected));

  test('are judged by the prices out of the money by a tenth at most, of a week to four months', async () => {
    const good = off(1);
    const absurd = (strike: number, side: string, expiry?: string) => row(strike, side, { iv: 2, ...(expiry !== undefined && { expiry }) });
    // 15 % out of the money or 15 % in it, 6 days, 121 days, and without a price: none of them counts.
    const beside = [
      ...[absurd(115, 'C'), absurd(85, 'C'), absurd(85, 'P'), absurd(115, 'P')],
      ...[absurd(100, 'C', '2020-01-13'), absurd(100, 'C', '2020-05-07'), row(104, 'C', { iv: 2, close: 0 })],
    ];
    expect(await believed(...good, ...beside)).toBe(true);
    for (const one of [absurd(110, 'C'), absurd(91, 'P'), absurd(100, 'C', '2020-01-14'), absurd(100, 'P', '2020-05-06')])
      expect(await believed(one, ...beside), one).toBe(false);
  });

  test('are judged by their median: a few rows without sense cost nothing', async () => {
    const strikes = [96, 97, 98, 99];
    const most = strikes.map((strike) => row(strike, 'P'));
    expect(await believed(...most, row(101, 'C', { iv: 3 }), row(102, 'C', { iv: 3 }), row(103, 'C', { iv: 3 }))).toBe(true);
    expect(await believed(...most.slice(1), ...[101, 102, 103, 104].map((strike) => row(strike, 'C', { iv: 3 })))).toBe(false);
  });
});

describe('after a split', () => {
  const old = (strike: number, side: string, close: number) => row(strike, side, { close, iv: 0 });
  const split = (factor: number, before: number) => {
    write('equity/usa/factor_files/abc.csv', `20200106,1,${factor},${before}\n20501231,1,1,0\n`);
    equity(['2020-01-06', before], [DAY, 100]);
  };

  test('of 6:5 the contracts of before it are left out', async () => {
    split(0.83333, 120);
    universe(DAY, row(100, 'C'), row(100, 'P'), old(120, 'C', 5), old(120, 'P', 4.8));
    expect((await chain()).contracts).toEqual(['ABC200207C00100000', 'ABC200207P00100000']);
  });

  test('a call whose put is not listed says nothing of its share, and stays', async () => {
    split(0.5, 200);
    universe(DAY, row(100, 'C'), row(100, 'P'), old(200, 'C', 0.01));
    const { contracts, gaps } = await chain();
    expect([contracts.length, gaps]).toEqual([3, undefined]);
  });

  test('an old contract that is quoted on the day stays', async () => {
    split(0.5, 200);
    universe(DAY, row(100, 'C'), row(100, 'P'), old(200, 'C', 9), old(200, 'P', 8.8));
    daily(2020, 'quote', 'call_2000000_20200207', '20200107 00:00,9000,9000,7000,8000,5,9500,9500,7500,8500,6');
    const { contracts, gaps } = await chain();
    expect(contracts.toSorted()).toEqual(['ABC200207C00100000', 'ABC200207C00200000', 'ABC200207P00100000']);
    expect(gaps).toEqual([{ contracts: 1, reason: 'the contract is from before a split' }]);
  });
});

describe('the day', () => {
  const quoted = (year: number, ...days: string[]) =>
    daily(year, 'quote', 'call_1000000_20200207', ...days.map((day) => `${plain(day)} 00:00,1,1,1,10000,1,1,1,1,11000,1`));
  const asOf = async () => (await chain()).asOf.toString().slice(0, 10);

  test('without a name is the newest with quotes, of this year or the one before', async () => {
    for (const day of ['2019-12-30', '2019-12-31', '2020-01-06', DAY]) universe(day, row(100, 'C'));
    expect(await asOf()).toBe(DAY);
    quoted(2019, '2019-12-30', '2019-12-31');
    expect(await asOf()).toBe('2019-12-31');
    // Quotes of a day without a universe file are no chain.
    quoted(2020, '2020-01-03', '2020-01-06', '2020-01-08');
    expect(await asOf()).toBe('2020-01-06');
  });

  test('that is no session is quoted at the close of the one before', async () => {
    universe('2020-01-04', row(100, 'C'));
    expect((await chain('2020-01-04')).asOf.toString()).toBe('2020-01-03T21:00:00Z');
  });

  test('that is not there is named with how many there are, from the first to the last', async () => {
    for (const day of ['2020-01-06', DAY, '2020-01-03']) universe(day, row(100, 'C'));
    expect(leanChains(folder.path).days('abc')).toEqual(['2020-01-03', '2020-01-06', DAY]);
    await expect(chain('2020-01-08')).rejects.toThrow(
      'no option chain of ABC on 2020-01-08; there are 3 days from 2020-01-03 to 2020-01-07',
    );
  });

  test('has the volume of the trades’ day file where there is one, else that of the universe file', async () => {
    universe(DAY, row(100, 'C'), row(105, 'C'));
    expect([...(await chain()).volume]).toEqual([3, 3]);
    daily(2020, 'trade', 'call_1050000_20200207', '20200106 00:00,1,1,1,1,77', '20200107 00:00,1,1,1,1,8');
    expect([...(await chain()).volume]).toEqual([0, 8]);
    daily(2020, 'openinterest', 'call_1000000_20200207', '20200107 00:00,55');
    expect([...(await chain()).openInterest]).toEqual([55, Number.NaN]);
  });
});
