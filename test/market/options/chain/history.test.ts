import { expect, test } from 'vitest';
import type { Chain } from '../../../../services/market/options/chain/chain.ts';
import {
  type ChainDay,
  chainDay,
  contractHistory,
  contractKeys,
  decodeChainDay,
  encodeChainDay,
  sessionBefore,
} from '../../../../services/market/options/chain/history.ts';
import { AT, type Invented, invent } from './invented-chain.ts';

/** A Monday. The sessions before it: 27, 26, 25, 24, 23 February. */
const TODAY = '2026-03-02';

const chainOf = (...contracts: Partial<Invented>[]): Chain => invent(contracts).chain;
const dayOf = (date: string, ...contracts: Partial<Invented>[]): ChainDay => {
  const chain = chainOf(...contracts);
  return chainDay(chain, chain.iv, date);
};
/** The days of the last `count` sessions, oldest first. */
const past = (count: number, make: (age: number) => Partial<Invented>): ChainDay[] =>
  Array.from({ length: count }, (_, i) => dayOf(sessionBefore(TODAY, count - i), make(count - i)));

test('a day comes back as it was put away, with what is unknown unknown', () => {
  const day = dayOf(
    '2026-02-27',
    { strike: 100.125, bid: 1.01, ask: 1.04, volume: Number.NaN },
    { strike: 90, isPut: true, bid: 0 },
    { dte: 700 },
  );
  expect(decodeChainDay('2026-02-27', encodeChainDay(day))).toEqual(day);
  expect([...day.mid]).toEqual([1.025, Number.NaN, 4]);
});

test('an empty day too', () => {
  const day = dayOf('2026-02-27');
  expect(decodeChainDay('2026-02-27', encodeChainDay(day))).toEqual(day);
});

test('prices and open interest are those of 3 and 5 sessions ago, over a weekend and a holiday', () => {
  // Presidents' Day is 16 February 2026.
  expect([1, 3, 5, 10].map((sessions) => sessionBefore(TODAY, sessions))).toEqual(['2026-02-27', '2026-02-25', '2026-02-23', '2026-02-13']);
  const days = past(8, (age) => ({ bid: age, ask: age, openInterest: 100 * age }));
  const { mid3, mid5, oi5 } = contractHistory(chainOf({}), days, TODAY);
  expect([mid3[0], mid5[0], oi5[0]]).toEqual([3, 5, 500]);
});

test('a day that is missing is unknown; none of its neighbours stands in', () => {
  const days = past(8, (age) => ({ bid: age, ask: age })).filter(({ date }) => date !== '2026-02-25' && date !== '2026-02-23');
  const { mid3, mid5, oi5 } = contractHistory(chainOf({}), days, TODAY);
  expect([mid3[0], mid5[0], oi5[0]]).toEqual([Number.NaN, Number.NaN, Number.NaN]);
});

test('means are of the last twenty sessions, of the days that know the number', () => {
  const days = past(25, (age) => ({ iv: age / 100, volume: age === 2 ? Number.NaN : age }));
  const { meanIv20, meanVolume20 } = contractHistory(chainOf({}), days, TODAY);
  expect(meanIv20[0]).toBeCloseTo(0.105, 12);
  expect(meanVolume20[0]).toBeCloseTo((210 - 2) / 19, 12);
});

test('a mean of fewer than five days is none', () => {
  expect(
    [4, 5].map(
      (count) =>
        contractHistory(
          chainOf({}),
          past(count, () => ({ volume: 7 })),
          TODAY,
        ).meanVolume20[0],
    ),
  ).toEqual([Number.NaN, 7]);
});

test('each contract has its own past, whatever the order of the chain, and a new one has none', () => {
  const contracts = [{ strike: 110 }, { strike: 90, isPut: true }, { strike: 90 }, { strike: 90, dte: 60 }];
  const days = past(5, () => ({})).map(({ date }) => dayOf(date, ...contracts.slice(1).map((one, i) => ({ ...one, volume: i + 1 }))));
  const { meanVolume20 } = contractHistory(chainOf(...contracts), days, TODAY);
  expect([...meanVolume20]).toEqual([Number.NaN, 1, 2, 3]);
});

test('a root and the same root with one more letter are two contracts; any other has no past', () => {
  const chain = chainOf({}, {}, {});
  const tail = chain.contracts[0]!.slice(-15);
  const keys = contractKeys({ ...chain, contracts: [`ACME${tail}`, `ACMEW${tail}`, `OTHER${tail}`] });
  expect(keys[1]).toBeGreaterThan(keys[0]!);
  expect(keys[2]).toBeNaN();
  expect(Number.isSafeInteger(keys[1])).toBe(true);
});

test('the number of a contract is the one that stored days have', () => {
  // 2026-04-01 is 9,587 days after 2000-01-01: 26 × 365, 7 leap days and 90 days of the year. ((root · 36,525 + days) · 2 + put) · 10^8 + thousandths of the strike.
  const chain = chainOf({ strike: 100.5, isPut: true });
  const tail = chain.contracts[0]!.slice(-15);
  const numbers = ['ACME', 'ACMEA', 'ACMEZ', 'ACME9'].map((root) => contractKeys({ ...chain, contracts: [root + tail] })[0]);
  const of = (root: number) => ((root * 36_525 + 9587) * 2 + 1) * 1e8 + 100_500;
  expect(numbers).toEqual([of(0), of(1), of(26), of(36)]);
});

test('a day that an earlier version stored is read', () => {
  // Made with Python: zlib.compressobj(4, zlib.DEFLATED, -15) of struct.pack('<10d', …): steps of the numbers, mids, volatilities, volumes, open interest.
  const data = Buffer.from('Y3D4OcPuebUTAwhkcTimgcEHezCf4Uc9hL5gbwwGl6HiGg4QGgoKlkP5P+oB', 'base64');
  expect(decodeChainDay('2026-02-27', data)).toEqual({
    date: '2026-02-27',
    key: Float64Array.of(1_917_500_100_500, 1_917_500_300_500),
    mid: Float64Array.of(1.025, Number.NaN),
    iv: Float64Array.of(0.25, 0.3),
    volume: Float64Array.of(12, 0),
    openInterest: Float64Array.of(3000, Number.NaN),
  });
});

test('a contract without a number stands in no day, and the others do', () => {
  const chain = chainOf({ strike: 100, volume: 1 }, { strike: 101, volume: 2 });
  const [other, own] = chain.contracts as [string, string];
  const day = chainDay({ ...chain, contracts: [other.replace('ACME', 'OTHER'), own] }, chain.iv, '2026-02-27');
  expect([[...day.volume], day.key.length]).toEqual([[2], 1]);
});

test('a quote whose sides are equal has that price', () => {
  expect([...dayOf('2026-02-27', { bid: 4, ask: 4 }, { strike: 101, bid: 4.02, ask: 4 }).mid]).toEqual([4, Number.NaN]);
});

test.each([
  ['newest first', [2, 3]],
  ['with a day twice', [2, 2]],
  ['with the day that is ranked', [0]],
])('days %s are refused', (_, ages) => {
  const days = ages.map((age) => dayOf(age === 0 ? TODAY : sessionBefore(TODAY, age), {}));
  expect(() => contractHistory(chainOf({}), days, TODAY)).toThrow(expect.objectContaining({ code: 'options.chain_history' }));
});

test('the invented chains are of the day that is ranked here', () => {
  expect(AT.toZonedDateTimeISO('America/New_York').toPlainDate().toString()).toBe(TODAY);
});
