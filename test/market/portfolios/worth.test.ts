/** What a portfolio is worth in the base currency. Expected sums are by hand. */
import { beforeEach, describe, expect, test } from 'vitest';
import { storeChecks } from '../../../services/market/bars/store.ts';
import { judgeSymbols } from '../../../services/market/freshness/symbol-judgement.ts';
import { addHoldings, clearHoldings, type Holding, holdingsOf, readHoldings } from '../../../services/market/portfolios/holdings.ts';
import { readWorth, worthJson } from '../../../services/market/portfolios/worth.ts';
import { databaseOfFile } from '../../support/database.ts';

const NOW = Temporal.Instant.from('2026-11-23T15:30:00Z');
const AS_OF = new Date('2026-11-23T15:29:00Z');
const rules = { thresholds: { market_open: 5, market_closed: 60, weekend: 720, default: 30 }, analysisTtlHours: 6 };

const { db } = await databaseOfFile();
beforeEach(async () => {
  for (const table of ['symbols', 'holdings']) await db.run(`DELETE FROM ${table}`);
});

type Check = Parameters<typeof storeChecks>[1][number];
const check = (symbol: string, close: number | null, currency: string | null, source: Check['source'] = 'yahoo_finance'): Check => ({
  ...{ symbol, newestBar: '2026-11-23', asOf: AS_OF, checkedAt: AS_OF, close, currency, timeZone: null, source },
});
const holding = (symbol: string, quantity: number): Holding => ({ symbol, quantity, cost: null });

async function worthOf(holdings: Holding[], checks: Check[], base = 'USD') {
  await db.transaction((tx) => storeChecks(tx, checks));
  const judged = await judgeSymbols(
    db,
    holdings.map(({ symbol }) => symbol),
    NOW,
    rules,
  );
  return readWorth(db, holdings, judged, { base, now: NOW, rules });
}

describe('the sum', () => {
  test('adds shares, debts of shares and other currencies at their rates; a watched symbol is worth nothing', async () => {
    const worth = await worthOf(
      [holding('AAPL', 10), holding('SHORT', -2), holding('BP.L', 100), holding('WATCHED', 0)],
      [
        check('AAPL', 20, 'USD'),
        check('SHORT', 5, 'USD'),
        check('BP.L', 400, 'GBp'),
        check('WATCHED', 99, 'USD'),
        check('GBPUSD=X', 1.25, 'USD'),
      ],
    );
    // 10 × 20 − 2 × 5 + 100 × 4 pounds × 1.25.
    expect(worth).toMatchObject({ currency: 'USD', value: 690, simulated: 0, unknown: [] });
    expect(Object.fromEntries(worth.values)).toEqual({ AAPL: 200, SHORT: -10, 'BP.L': 500, WATCHED: 0 });
    expect(worth.rates).toMatchObject([
      { symbol: 'GBPUSD=X', rate: 1.25, newestBar: '2026-11-23', simulated: false, price: { state: 'fresh' } },
    ]);
  });

  test('has six decimals and not the noise of doubles', async () => {
    // 0.1 + 0.2 is 0.30000000000000004 in doubles.
    const worth = await worthOf([holding('A', 1), holding('B', 1)], [check('A', 0.1, 'USD'), check('B', 0.2, 'USD')]);
    expect(worth.value).toBe(0.3);
  });

  test('says what is not in it, and why', async () => {
    const worth = await worthOf(
      [holding('NONE', 1), holding('VOD.L', 1), holding('NOVO-B.CO', 1), holding('ODD.L', 1)],
      [check('NONE', null, 'USD'), check('VOD.L', 70, null), check('NOVO-B.CO', 500, 'DKK'), check('ODD.L', 5, 'usd?')],
    );
    expect(worth.unknown).toEqual([
      { symbol: 'NONE', reason: 'no price is stored' },
      { symbol: 'VOD.L', reason: 'the currency of its price is not known' },
      { symbol: 'NOVO-B.CO', reason: 'no rate DKKUSD=X is stored; the next login fetches it' },
      { symbol: 'ODD.L', reason: 'its currency "usd?" has no rate' },
    ]);
    expect(worth.value).toBe(0);
    expect(worth.values.get('NONE')).toBeNull();
    expect(worth.rates).toMatchObject([{ symbol: 'DKKUSD=X', rate: null, newestBar: null }]);
  });

  test('says how much of it is of made-up prices or rates', async () => {
    const worth = await worthOf(
      [holding('REAL', 1), holding('MADE', 2), holding('SAP.DE', 3)],
      [
        check('REAL', 10, 'USD'),
        check('MADE', 10, 'USD', 'simulated'),
        check('SAP.DE', 10, 'EUR'),
        check('EURUSD=X', 2, 'USD', 'simulated'),
      ],
    );
    expect(worth).toMatchObject({ value: 90, simulated: 80, rates: [{ symbol: 'EURUSD=X', simulated: true }] });
  });

  test('reads the rates of what is held only', async () => {
    const worth = await worthOf([holding('SAP.DE', 0)], [check('SAP.DE', 10, 'EUR'), check('EURUSD=X', 2, 'USD')]);
    expect(worth.rates).toEqual([]);
  });

  test('as JSON has the state and reason of each rate', async () => {
    const worth = await worthOf([holding('SAP.DE', 1)], [check('SAP.DE', 10, 'EUR'), check('EURUSD=X', 2, 'USD')]);
    expect(worthJson(worth)).toEqual({
      ...{ currency: 'USD', value: 20, simulated: 0, unknown: [] },
      rates: [
        {
          ...{ symbol: 'EURUSD=X', rate: 2, newest_bar: '2026-11-23', state: 'fresh', simulated: false },
          reason: 'bar of 2026-11-23 1 min old, threshold 30 min (no calendar)',
        },
      ],
    });
  });
});

describe('holdings', () => {
  const add = (...positions: Parameters<typeof addHoldings>[1]) => db.transaction((tx) => addHoldings(tx, positions, AS_OF));

  test('of several users come apart, each sorted by symbol; money that is written as text is not rounded', async () => {
    await add(
      { user: 'b', symbol: 'ZZZ', quantity: 1, cost: null },
      { user: 'a', symbol: 'MMM', quantity: '0.12345678', cost: '41.234567' },
      { user: 'b', symbol: 'AAA', quantity: -3, cost: 2 },
      { user: 'c', symbol: 'CCC', quantity: 1, cost: 1 },
    );
    expect(Object.fromEntries(await readHoldings(db, ['b', 'a', 'nobody']))).toEqual({
      a: [{ symbol: 'MMM', quantity: 0.12345678, cost: 41.234567 }],
      b: [
        { symbol: 'AAA', quantity: -3, cost: 2 },
        { symbol: 'ZZZ', quantity: 1, cost: null },
      ],
    });
    expect(await readHoldings(db, [])).toEqual(new Map());
    expect(await db.rows('SELECT DISTINCT imported_at FROM holdings')).toEqual([{ imported_at: AS_OF }]);
  });

  test('of one user are deleted without those of another', async () => {
    await add({ user: 'a', symbol: 'AAA', quantity: 1, cost: null }, { user: 'b', symbol: 'AAA', quantity: 1, cost: null });
    await db.transaction((tx) => clearHoldings(tx, []));
    await db.transaction((tx) => clearHoldings(tx, ['a']));
    expect(await db.rows('SELECT user_id FROM holdings')).toEqual([{ user_id: 'b' }]);
  });

  test('of a user without any are refused with the way to add some', async () => {
    await expect(holdingsOf(db, 'nina "n"')).rejects.toMatchObject({
      name: 'InputError',
      code: 'user.unknown',
      message: 'user "nina \\"n\\"" has no holdings; add some with "npx stockmesh portfolio import <csv>" or PUT /v1/users/{id}/portfolio',
    });
    await add({ user: 'a', symbol: 'AAA', quantity: 1, cost: null });
    expect(await holdingsOf(db, 'a')).toEqual([{ symbol: 'AAA', quantity: 1, cost: null }]);
  });
});
