import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Chain } from '../../../../services/market/options/chain/chain.ts';
import { valueOption } from '../../../../services/market/options/pricing/pricing.ts';
import { configuredChains } from '../../../../services/market/options/sources/configured.ts';
import { leanChains } from '../../../../services/market/options/sources/lean.ts';
import { readUniverse } from '../../../../services/market/options/sources/lean-rows.ts';
import { systemClock } from '../../../../services/platform/clock.ts';
import { silent } from '../../../broker/peers.ts';
import { describeWithData, sharedData } from '../../../support/shared-data.ts';
import { configWith } from '../../../worker/workshop.ts';
import { zipOf } from '../../sources/zip.ts';
import { DAY, leanFolder } from './lean-folder.ts';

const real = sharedData('lean');
const signal = new AbortController().signal;
const count = (column: Float64Array, holds: (value: number) => boolean) => column.filter(holds).length;

function quoteOf(chain: Chain, contract: string) {
  const i = chain.contracts.indexOf(contract);
  const { bid, ask, volume, openInterest, iv, delta, theta, vega, quotedAt } = chain;
  return {
    bid: bid[i],
    ask: ask[i],
    volume: volume[i],
    openInterest: openInterest[i],
    iv: iv[i],
    delta: delta[i],
    theta: theta[i],
    vega: vega[i],
    quotedAt: quotedAt[i],
  };
}

describeWithData('lean', 'AAPL in June 2014', () => {
  const chains = leanChains(real);
  const read = new Map<string, Promise<Chain>>();
  /** Reading a day takes half a second. */
  const chainOf = (day: string): Promise<Chain> => read.getOrInsertComputed(day, () => chains.chain('AAPL', signal, day));

  // Counted in the files with Python: universe rows with a price, of strikes of the day's shares; bids above 0 in the quotes' day file; closes in the equity's day file.
  test.each([
    ['2014-06-02', 628.65, 2146, 0, 1244],
    ['2014-06-03', 637.54, 2146, 0, 1169],
    ['2014-06-04', 644.82, 2146, 0, 1211],
    ['2014-06-05', 647.35, 2322, 0, 1227],
    ['2014-06-06', 645.57, 2352, 2195, 1184],
    ['2014-06-09', 93.7, 2180, 1982, 1138],
    ['2014-06-10', 94.25, 2180, 0, 1153],
    ['2014-06-11', 93.86, 2180, 0, 1088],
    ['2014-06-12', 92.26, 2180, 0, 1102],
    ['2014-06-13', 91.28, 2026, 0, 1018],
    ['2014-06-16', 92.2, 2026, 0, 934],
  ])('%s: spot %d, %i contracts, %i with a bid, %i traded', async (day, spot, contracts, bids, traded) => {
    const chain = await chainOf(day);
    expect({
      asOf: chain.asOf.toString(),
      spot: chain.spot,
      contracts: chain.contracts.length,
      bids: count(chain.bid, (bid) => bid > 0),
      traded: count(chain.volume, (volume) => volume > 0),
    }).toEqual({ asOf: `${day}T20:00:00Z`, spot, contracts, bids, traded });
  });

  test('has eleven days, and gives the newest that has quotes when none is named', async () => {
    expect(chains.days('aapl')).toHaveLength(11);
    expect((await chains.chain('aapl', signal)).asOf.toString()).toBe('2014-06-09T20:00:00Z');
  });

  test('bid and ask are the closes of the quotes’ day file, volume and open interest those of theirs', async () => {
    // aapl_quote_american_call_4800000_20141018.csv: 20140606 00:00,1704000,1706500,1646500,1654500,16,1722000,1722000,1670500,1672500,23; open interest 20140606 00:00,100.
    expect(quoteOf(await chainOf('2014-06-06'), 'AAPL141018C00480000')).toMatchObject({
      bid: 165.45,
      ask: 167.25,
      openInterest: 100,
      quotedAt: Date.parse('2014-06-06T20:00:00Z'),
    });
  });

  test('an untraded contract has volume 0 where the trades’ day file covers the day', async () => {
    const { volume } = await chainOf('2014-06-06');
    expect([count(volume, (value) => value === 0), count(volume, Number.isNaN)]).toEqual([1168, 0]);
  });

  test('open interest is that of the evening before: 2014-06-10 has what the universe file of 2014-06-09 says', async () => {
    // 20140609.csv: 20140613,70.71,C,…,0,14,…; aapl_openinterest_american_call_914300_20140621.csv: 20140610 00:00,67184.
    const chain = await chainOf('2014-06-10');
    expect(quoteOf(chain, 'AAPL140613C00070710').openInterest).toBe(14);
    expect(quoteOf(chain, 'AAPL140621C00091430').openInterest).toBe(67_184);
  });

  test('on the first day after the split the contracts of before it are gone, and counted', async () => {
    const { strike, gaps } = await chainOf('2014-06-09');
    // Apple's split was 7:1: the highest strike of before, 1000, has become 142.86.
    expect(Math.max(...strike)).toBeLessThanOrEqual(195);
    expect(gaps).toContainEqual({ contracts: 2180, reason: 'the contract is from before a split' });
  });

  test('IVs that give many times the file’s own prices back are left out with their Greeks, and that is said', async () => {
    const { iv, delta, gaps } = await chainOf('2014-06-03');
    expect([count(iv, (value) => value > 0), count(delta, (value) => !Number.isNaN(value))]).toEqual([0, 0]);
    expect(gaps).toEqual([{ reason: expect.stringMatching(/^IV and Greeks are left out: the file's IVs give 11 times its own prices$/) }]);
  });

  test('theta is dollars a calendar day and vega dollars a volatility point: Black-Scholes-Merton from the rows’ own IV', async () => {
    const spot = 637.54;
    const universe = await readUniverse(join(real, 'option/usa/universes/aapl/20140603.csv'), 'AAPL', () => expect.unreachable());
    const rows = new Map(universe?.rows.map((row) => [row.symbol, row]));
    let seen = 0;
    for (const call of ['AAPL140613C00655000', 'AAPL140621C00665000', 'AAPL140627C00590000', 'AAPL140703C00585000']) {
      const { contract, greeks } = rows.get(call)!;
      const put = rows.get(call.replace('C00', 'P00'))!.greeks;
      const years = (Temporal.PlainDate.from('2014-06-03').until(contract.expiry).days - 1) / 365;
      // The yield and the rate that the file was computed with: delta of call − put = e^(−qT); theta of call − put = q S e^(−qT) − r K e^(−rT).
      const q = -Math.log(greeks.delta! - put.delta!) / years;
      const r = (q * spot * Math.exp(-q * years) - 365 * (greeks.theta! - put.theta!)) / contract.strike;
      const value = valueOption(spot, contract.strike, years, r, q, greeks.iv!, false);
      expect(value.vega / greeks.vega! - 1).toBeCloseTo(0, 3);
      expect(value.theta / greeks.theta! - 1).toBeCloseTo(0, 3);
      seen++;
    }
    expect(seen).toBe(4);
  });
});

describe('a Lean folder', () => {
  const HEADER = '#expiry,strike,right,open,high,low,close,volume,open_interest,implied_volatility,delta,gamma,vega,theta,rho';
  const folder = leanFolder(HEADER, ',,,1,1,1,99,5,,,,,,,');
  const { universe, equity, chain, write } = folder;
  const daily = (kind: string, name: string, ...lines: string[]) => folder.daily(2020, kind, name, ...lines);
  /** A row whose IV of 20 % gives its own price back, with the Greeks of Black-Scholes-Merton. */
  const row = (strike: number, side: 'C' | 'P', volume = 3, openInterest = 40, iv = 0.2) => {
    const { price, delta, gamma, vega, theta } = valueOption(100, strike, 31 / 365, 0, 0, 0.2, side === 'P');
    return `20200207,${strike},${side},1,1,1,${price},${volume},${openInterest},${iv},${delta},${gamma},${vega},${theta},0`;
  };

  test('a universe file alone is a chain without bids, with its own IV and Greeks', async () => {
    universe(DAY, row(100, 'C'), row(100, 'P'), row(105, 'C'));
    const found = await chain();
    expect(found).toMatchObject({ underlying: 'ABC', source: 'lean', spot: 100, expirations: ['2020-02-07'] });
    expect(found.gaps).toBeUndefined();
    const value = valueOption(100, 105, 31 / 365, 0, 0, 0.2, false);
    expect(quoteOf(found, 'ABC200207C00105000')).toEqual({
      bid: Number.NaN,
      ask: Number.NaN,
      volume: 3,
      openInterest: Number.NaN,
      iv: 0.2,
      delta: value.delta,
      theta: value.theta,
      vega: value.vega,
      quotedAt: Date.parse('2020-01-07T21:00:00Z'),
    });
  });

  test('IV 0 is none, and the Greeks that come from it are none', async () => {
    universe(DAY, row(100, 'C', 3, 40, 0), row(105, 'C'));
    expect(quoteOf(await chain(), 'ABC200207C00100000')).toMatchObject({ iv: Number.NaN, delta: Number.NaN, theta: Number.NaN });
  });

  test('quotes of the day are joined; a contract that only has a quote is in the chain too', async () => {
    universe(DAY, row(105, 'C'));
    daily(
      'quote',
      'put_950000_20200207',
      '20200106 00:00,1,1,1,1,1,1,1,1,1,1',
      '20200107 00:00,9000,9000,7000,8000,5,9500,9500,7500,8500,6',
    );
    const found = await chain();
    expect(found.contracts.toSorted()).toEqual(['ABC200207C00105000', 'ABC200207P00095000']);
    expect(quoteOf(found, 'ABC200207P00095000')).toMatchObject({ bid: 0.8, ask: 0.85, iv: Number.NaN });
  });

  test('a side without a quote is missing, not 0', async () => {
    universe(DAY, row(105, 'C'));
    daily('quote', 'call_1050000_20200207', '20200107 00:00,,,,,0,9500,9500,7500,8500,6');
    expect(quoteOf(await chain(), 'ABC200207C00105000')).toMatchObject({ bid: Number.NaN, ask: 0.85 });
  });

  test('the open interest of the session before stands for the evening before, a hole in the days has none', async () => {
    universe('2020-01-06', row(105, 'C', 3, 33));
    universe(DAY, row(105, 'C', 3, 44));
    universe('2020-01-09', row(105, 'C', 3, 55));
    equity([DAY, 100], ['2020-01-09', 100]);
    expect(quoteOf(await chain(DAY), 'ABC200207C00105000').openInterest).toBe(33);
    expect(quoteOf(await chain('2020-01-09'), 'ABC200207C00105000').openInterest).toBeNaN();
  });

  test('a split leaves out what is priced in old shares, and a strike that both have stays', async () => {
    // Two new shares for one on 2020-01-07.
    write('equity/usa/factor_files/abc.csv', '20200106,1,0.5,200\n20501231,1,1,0\n');
    equity(['2020-01-06', 200], [DAY, 100]);
    const old = (strike: number, side: string, close: number) => `20200207,${strike},${side},1,1,1,${close},0,10,0,0,0,0,0,0`;
    universe(DAY, row(100, 'C'), row(100, 'P'), old(200, 'C', 9), old(200, 'P', 8.8));
    const found = await chain();
    expect(found.contracts).toEqual(['ABC200207C00100000', 'ABC200207P00100000']);
    expect(found.gaps).toEqual([{ contracts: 2, reason: 'the contract is from before a split' }]);
  });

  test.each([
    ['a stock dividend of 1.0027', 0.997307],
    ['one of a tenth', 1 / 1.1],
  ])('%s leaves every contract in: old prices scatter more than that', async (_, factor) => {
    write('equity/usa/factor_files/abc.csv', `20200106,1,${factor},100\n20501231,1,1,0\n`);
    equity(['2020-01-06', 100 / factor], [DAY, 100]);
    const strikes = Array.from({ length: 21 }, (_, i) => 90 + i);
    // Every fourth call was last traded when the share cost 6 dollars more.
    const stale = (line: string) =>
      line
        .split(',')
        .with(6, String(Number(line.split(',')[6]) + 6))
        .join(',');
    universe(DAY, ...strikes.flatMap((strike) => [strike % 4 === 0 ? stale(row(strike, 'C')) : row(strike, 'C'), row(strike, 'P')]));
    const found = await chain();
    expect(found.contracts).toHaveLength(42);
    expect(found.gaps).toBeUndefined();
  });

  test('after a split a contract of which one side was never traded is not taken for an old one', async () => {
    // Two for one; the strike of 200 is far out of the money, and its put has no price.
    write('equity/usa/factor_files/abc.csv', '20200106,1,0.5,200\n20501231,1,1,0\n');
    equity(['2020-01-06', 200], [DAY, 100]);
    universe(DAY, row(100, 'C'), row(100, 'P'), '20200207,200,C,1,1,1,0.01,5,10,0,0,0,0,0,0', '20200207,200,P,0,0,0,0,0,10,0,0,0,0,0,0');
    const found = await chain();
    expect(found.contracts).toHaveLength(4);
    expect(found.gaps).toBeUndefined();
  });

  test('after two splits the contracts from before each of them are left out', async () => {
    // Two for one on 2020-01-06, and a reverse split of one for two on the day: both together are no change of the price.
    write('equity/usa/factor_files/abc.csv', '20200103,1,1,100\n20200106,1,2,50\n20501231,1,1,0\n');
    equity(['2020-01-03', 100], ['2020-01-06', 50], [DAY, 100]);
    const between = (side: string, close: number) => `20200207,50,${side},1,1,1,${close},0,10,0,0,0,0,0,0`;
    universe(DAY, row(100, 'C'), row(100, 'P'), between('C', 3), between('P', 2.9));
    expect((await chain()).contracts).toEqual(['ABC200207C00100000', 'ABC200207P00100000']);
  });

  test('without an equity file the price is that of the universe file, and the chain says so', async () => {
    rmSync(join(folder.path, 'equity/usa/daily/abc.zip'));
    universe(DAY, row(100, 'C'), row(100, 'P'));
    const found = await chain();
    expect(found).toMatchObject({ spot: 99, contracts: ['ABC200207C00100000', 'ABC200207P00100000'] });
    expect(found.gaps).toEqual([
      { reason: expect.stringMatching(/no close of ABC on 2020-01-07 .* universe file's, of the evening before/) },
    ]);
  });

  test('a row that cannot be read costs itself alone', async () => {
    universe(DAY, row(105, 'C'), '20200207,abc,C,1,1,1,1,1,1,0,0,0,0,0,0', '20200231,100,C,1,1,1,1,1,1,0,0,0,0,0,0', 'hello');
    const found = await chain();
    expect(found.contracts).toEqual(['ABC200207C00105000']);
    expect(found.gaps?.map(({ contracts }) => contracts).reduce((sum, n) => sum! + n!, 0)).toBe(3);
  });

  test('the underlying’s row stands in where the equity has no bar of the day', async () => {
    equity(['2020-01-06', 98]);
    universe(DAY, row(105, 'C'));
    expect((await chain()).spot).toBe(99);
  });

  test('rows without a price, a trade and open interest alone are no chain', async () => {
    universe(DAY, '20200207,100,C,0,0,0,0,0,,0,0,0,0,0,0');
    await expect(chain()).rejects.toMatchObject({ name: 'PermanentError', code: 'chain.empty', message: expect.stringContaining('ABC') });
  });

  test('a day that is not there is permanent and names the days that are', async () => {
    universe(DAY, row(105, 'C'));
    await expect(chain('2020-01-08')).rejects.toMatchObject({
      name: 'PermanentError',
      code: 'chain.no_day',
      message: expect.stringContaining('2020-01-07'),
    });
  });

  test('the day that the configuration names is the one asked for, without one the newest', async () => {
    universe('2020-01-06', row(105, 'C'));
    universe(DAY, row(105, 'C'));
    const daysOf = async (day: string | null) => {
      const config = configWith({
        'ranking.chains.sources': ['lean'],
        'ranking.chains.lean_day': day,
        'stock_jobs.data_fetch.lean.path': folder.path,
      });
      // The database has the budget of sources with a rate limit, which this one is not.
      const { real: chains } = await configuredChains({ config, clock: systemClock, log: silent, db: undefined as never });
      return (await chains.chain('ABC', signal)).chain.asOf.toString().slice(0, 10);
    };
    expect(await daysOf('2020-01-06')).toBe('2020-01-06');
    expect(await daysOf(null)).toBe(DAY);
  });

  test('an unknown symbol is permanent and has no days', async () => {
    expect(leanChains(folder.path).days('NOSUCH')).toEqual([]);
    for (const day of [undefined, DAY])
      await expect(leanChains(folder.path).chain('NOSUCH', signal, day)).rejects.toMatchObject({
        name: 'PermanentError',
        code: 'source.unknown_symbol',
      });
  });

  test('a file of other columns is malformed, by file and line', async () => {
    write('option/usa/universes/abc/20200107.csv', '#expiry,strike\n20200207,100\n');
    await expect(chain()).rejects.toMatchObject({
      name: 'TransientError',
      code: 'source.malformed',
      message: expect.stringContaining('20200107.csv:1: expected the columns'),
    });
  });

  test.each([
    ['no zip', Buffer.from('hello')],
    ['damaged', zipOf('abc_quote_american_call_1050000_20200207.csv', '20200107 00:00,9').fill(0x39, 75, 80)],
  ])('a day file that is %s is malformed and named', async (_, content) => {
    universe(DAY, row(105, 'C'));
    write('option/usa/daily/abc_2020_quote_american.zip', content);
    await expect(chain()).rejects.toMatchObject({
      code: 'source.malformed',
      message: expect.stringContaining('abc_2020_quote_american.zip'),
    });
  });

  test("an abort rejects with the caller's reason", async () => {
    universe(DAY, row(105, 'C'));
    const controller = new AbortController();
    controller.abort(new Error('cancelled by hand'));
    await expect(leanChains(folder.path).chain('ABC', controller.signal)).rejects.toThrow('cancelled by hand');
  });
});
