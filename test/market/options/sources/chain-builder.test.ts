import { describe, expect, test } from 'vitest';
import { optionRoot } from '../../../../services/market/options/chain/roots.ts';
import { chainBuilder } from '../../../../services/market/options/sources/chain-builder.ts';

const at = { asOf: Temporal.Instant.from('2014-06-06T20:00:00Z'), spot: 645.57 };
const builder = (underlying = 'AAPL') => chainBuilder({ underlying, source: 'file' });

test('rows become columns, whose expirations are sorted and pointed into', () => {
  const rows = builder();
  rows.add('AAPL140719P00650000', { bid: 17.1, ask: 17.25, openInterest: 12 });
  rows.add('AAPL140621C00645000', { bid: 9.8, ask: 9.95, volume: 0, iv: 0.22 });
  const chain = rows.build(at);
  expect(chain).toMatchObject({
    underlying: 'AAPL',
    source: 'file',
    spot: 645.57,
    contracts: ['AAPL140719P00650000', 'AAPL140621C00645000'],
    expirations: ['2014-06-21', '2014-07-19'],
    expiry: new Uint16Array([1, 0]),
    isPut: new Uint8Array([1, 0]),
    strike: new Float64Array([650, 645]),
    bid: new Float64Array([17.1, 9.8]),
    volume: new Float64Array([Number.NaN, 0]),
    openInterest: new Float64Array([12, Number.NaN]),
    iv: new Float64Array([Number.NaN, 0.22]),
  });
  expect(chain.gaps).toBeUndefined();
});

test('a contract that comes twice is kept once, as it came first, also in its padded spelling', () => {
  const rows = builder();
  rows.add('AAPL140621C00645000', { bid: 1 });
  rows.add('AAPL  140621C00645000', { bid: 2 });
  const { contracts, bid } = rows.build(at);
  expect([contracts, [...bid]]).toEqual([['AAPL140621C00645000'], [1]]);
});

test('impossible numbers are missing; a theta may be negative', () => {
  const rows = builder();
  rows.add('AAPL140621C00645000', { bid: -1, ask: Number.POSITIVE_INFINITY, volume: -5, iv: -0.2, theta: -0.4, delta: null });
  const { bid, ask, volume, iv, theta, delta } = rows.build(at);
  expect([bid, ask, volume, iv, delta].map(([value]) => value)).toEqual(Array(5).fill(Number.NaN));
  expect(theta[0]).toBe(-0.4);
});

test('nothing is a number: no bid, no volume and a delta of 0 are 0', () => {
  const rows = builder();
  rows.add('AAPL140621C00645000', {
    bid: 0,
    ask: 0,
    volume: 0,
    openInterest: 0,
    iv: 0,
    delta: 0,
    gamma: 0,
    vega: 0,
    theta: 0,
    quotedAt: 0,
  });
  const { bid, ask, volume, openInterest, iv, delta, gamma, vega, theta, quotedAt } = rows.build(at);
  expect([bid, ask, volume, openInterest, iv, delta, gamma, vega, theta, quotedAt].map(([value]) => value)).toEqual(Array(10).fill(0));
});

test('a delta below 0 is that of a put', () => {
  const rows = builder();
  rows.add('AAPL140621P00645000', { delta: -0.4, gamma: -0.1, vega: -0.1, ask: -1, openInterest: -1 });
  const { delta, gamma, vega, ask, openInterest } = rows.build(at);
  expect(delta[0]).toBe(-0.4);
  expect([gamma, vega, ask, openInterest].map(([value]) => value)).toEqual(Array(4).fill(Number.NaN));
});

test('two roots of one day are two expirations, in the order of their names', () => {
  const rows = builder('^SPX');
  rows.add('SPXW240119C04800000', {});
  rows.add('SPX240119C04800000', {});
  rows.add('SPX240216C04800000', {});
  const { expirations, roots, expiry } = rows.build(at);
  expect([expirations, roots, [...expiry]]).toEqual([
    ['2024-01-19', '2024-01-19', '2024-02-16'],
    ['SPX', 'SPXW', 'SPX'],
    [1, 0, 2],
  ]);
});

describe('what cannot be read', () => {
  test('a broken symbol, a day that is none and a strike of 0 cost their rows alone, counted by reason', () => {
    const rows = builder();
    rows.add('AAPL140621C00645000', {});
    rows.add('AAPL140631C00645000', {});
    rows.add('AAPL140621C00000000', {});
    rows.add('hello', {});
    rows.drop('of no interest');
    const { contracts, gaps } = rows.build(at);
    expect(contracts).toEqual(['AAPL140621C00645000']);
    expect(gaps).toEqual([
      { contracts: 3, reason: 'the contract cannot be read: its root, date, side or strike is invalid' },
      { contracts: 1, reason: 'of no interest' },
    ]);
  });

  test('an adjusted contract is dropped, a weekly one of an index with its own root is not', () => {
    const rows = builder('^SPX');
    rows.add('SPXW240119C04800000', {});
    rows.add('SPX1240119C04800000', {});
    const { contracts, gaps } = rows.build(at);
    expect(contracts).toEqual(['SPXW240119C04800000']);
    expect(gaps).toEqual([{ contracts: 1, reason: expect.stringContaining('adjusted') }]);
  });

  test('no row at all is permanent and names the symbol', () => {
    expect(() => builder().build(at)).toThrow(
      expect.objectContaining({ name: 'PermanentError', code: 'chain.empty', message: 'file: AAPL has no option contracts' }),
    );
  });

  test('what is missing of an empty chain is said with it', () => {
    const rows = builder();
    rows.miss('2014-06-21', 'listed without contracts');
    rows.miss(undefined, 'no close of the day');
    expect(() => rows.build(at)).toThrow(
      expect.objectContaining({
        code: 'chain.empty',
        message: 'file: AAPL has no option contracts (2014-06-21: listed without contracts; all rows: no close of the day)',
      }),
    );
  });

  test('an expiration, a field of all contracts and counted rows stand in the gaps, in this order', () => {
    const rows = builder();
    rows.add('AAPL140621C00645000', {});
    rows.drop('broken');
    rows.miss('2014-07-19', 'listed without contracts');
    rows.miss(undefined, 'no Greeks');
    expect(rows.build(at).gaps).toEqual([
      { expiry: '2014-07-19', reason: 'listed without contracts' },
      { reason: 'no Greeks' },
      { contracts: 1, reason: 'broken' },
    ]);
  });

  test('rows of which none can be read are transient: the source talks nonsense, the symbol may have options', () => {
    const rows = builder();
    rows.add('hello', {});
    expect(() => rows.build(at)).toThrow(
      expect.objectContaining({
        name: 'TransientError',
        code: 'source.malformed',
        message: expect.stringContaining('1 rows: the contract cannot be read'),
      }),
    );
  });

  test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])('an underlying that costs %s is malformed', (spot) => {
    const rows = builder();
    rows.add('AAPL140621C00645000', {});
    expect(() => rows.build({ ...at, spot })).toThrow(expect.objectContaining({ code: 'source.malformed' }));
  });
});

test.each([
  ['BRK.B', 'BRKB'],
  ['BRK-B', 'BRKB'],
  ['^SPX', 'SPX'],
  ['AAPL', 'AAPL'],
])('the option root of %s is %s', (symbol, root) => {
  expect(optionRoot(symbol)).toBe(root);
});
