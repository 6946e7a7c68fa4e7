/** Which of two writes of the same rows stands, column by column, and what a replacement takes with it. */
import { describe, expect, test } from 'vitest';
import { readActions, readBars, readSymbols } from '../../../services/market/bars/read.ts';
import {
  type BarsPlan,
  beginBars,
  storeActions,
  storeAnalyses,
  storeBars,
  storeChecks,
  storeRefresh,
} from '../../../services/market/bars/store.ts';
import { action, bar, check, EVER, emptyBars, MORNING, NOON } from './rows.ts';

const { db, write } = await emptyBars();
const state = async (symbol = 'AAA') => (await readSymbols(db, [symbol])).get(symbol);

describe('data of the same moment replaces what is stored', () => {
  test('in every column of a bar', async () => {
    await write((tx) => storeBars(tx, [bar()]));
    const other = bar({ open: 20, high: 22, low: 19, close: 21, adjustedClose: 20.5, volume: 200, source: 'lean' });
    await write((tx) => storeBars(tx, [other]));
    expect(
      await db.rows('SELECT open, high, low, close, adjusted_close AS adjustedClose, volume, source, as_of AS asOf FROM bars'),
    ).toEqual([{ open: 20, high: 22, low: 19, close: 21, adjustedClose: 20.5, volume: 200, source: 'lean', asOf: MORNING }]);
  });

  test('in a split or dividend, with its source', async () => {
    await write((tx) => storeActions(tx, [action()]));
    await write((tx) => storeActions(tx, [action({ value: 3, source: 'lean' })]));
    expect(await db.rows('SELECT value, source FROM corporate_actions')).toEqual([{ value: 3, source: 'lean' }]);
  });

  test('in the row of a symbol', async () => {
    await write((tx) => storeChecks(tx, [check()]));
    await write((tx) => storeChecks(tx, [check({ close: 12, source: 'lean' })]));
    expect(await state()).toMatchObject({ close: 12, source: 'lean' });
  });
});

test('older data of a split leaves value, source and moment as they are', async () => {
  await write((tx) => storeActions(tx, [action({ asOf: NOON })]));
  await write((tx) => storeActions(tx, [action({ value: 3, source: 'lean', asOf: MORNING })]));
  expect(await db.rows('SELECT value, source, as_of FROM corporate_actions')).toEqual([{ value: 2, source: 'yahoo_finance', as_of: NOON }]);
});

test('more splits and dividends than one statement holds are all written', async () => {
  const many = Array.from({ length: 1001 }, (_, day) =>
    action({ date: Temporal.PlainDate.from('2020-01-01').add({ days: day }).toString(), kind: 'dividend', value: day + 1 }),
  );
  await write((tx) => storeActions(tx, many));
  expect((await readActions(db, 'AAA', EVER)).map(({ value }) => value)).toEqual(many.map(({ value }) => value));
});

test('splits and dividends of a range are those from its first to its last day', async () => {
  await write((tx) =>
    storeActions(
      tx,
      ['2026-03-05', '2026-03-06', '2026-03-09', '2026-03-10'].map((date) => action({ date })),
    ),
  );
  await write((tx) => storeActions(tx, [action({ symbol: 'BBB', date: '2026-03-06' })]));
  const dates = async (from: string, to?: string) => (await readActions(db, 'AAA', { from, to })).map(({ date }) => date);
  expect(await dates('2026-03-06', '2026-03-09')).toEqual(['2026-03-06', '2026-03-09']);
  expect(await dates('2026-03-09')).toEqual(['2026-03-09', '2026-03-10']);
});

describe('a check', () => {
  const FLAG = '2026-03-02';

  test('that compared all bars sets and ends the flag of a split that is not restated', async () => {
    await write((tx) => storeChecks(tx, [check({ historyCheckedAt: MORNING, unrestatedSplit: FLAG })]));
    expect(await state()).toMatchObject({ unrestatedSplit: FLAG, historyCheckedAt: MORNING });
    await write((tx) => storeChecks(tx, [check({ historyCheckedAt: NOON })]));
    expect(await state()).toMatchObject({ unrestatedSplit: null, historyCheckedAt: NOON });
  });

  test('of the last days leaves the flag and the moment of the last comparison, and may set a flag', async () => {
    await write((tx) => storeChecks(tx, [check({ historyCheckedAt: MORNING, unrestatedSplit: FLAG })]));
    await write((tx) => storeChecks(tx, [check({ asOf: NOON })]));
    expect(await state()).toMatchObject({ unrestatedSplit: FLAG, historyCheckedAt: MORNING });
    await write((tx) => storeChecks(tx, [check({ asOf: NOON, unrestatedSplit: '2026-03-09' })]));
    expect(await state()).toMatchObject({ unrestatedSplit: '2026-03-09' });
  });

  test('that is older than the last one does not set its moment back', async () => {
    await write((tx) => storeChecks(tx, [check({ checkedAt: NOON })]));
    await write((tx) => storeChecks(tx, [check({ checkedAt: MORNING })]));
    expect(await state()).toMatchObject({ checkedAt: NOON });
  });

  test('with a newer bar takes its moment, even where that is earlier', async () => {
    await write((tx) => storeChecks(tx, [check({ newestBar: '2026-03-09', asOf: NOON, close: 10 })]));
    await write((tx) => storeChecks(tx, [check({ asOf: MORNING })]));
    expect(await state()).toMatchObject({ newestBar: '2026-03-10', asOf: MORNING, close: 11 });
  });
});

describe('a replacement', () => {
  const plan = (symbol: string, simulated: boolean | undefined, replaces = false): BarsPlan => ({ symbol, simulated, replaces });
  const analysis = (symbol: string) => ({
    ...{
      symbol,
      date: '2026-03-10',
      signal: 'buy' as const,
      confidence: 1,
      score: 1,
      reasons: [],
      computedAt: MORNING,
      barsUsed: 1,
      asOf: MORNING,
    },
    values: { volatility20: 0.3 } as Parameters<typeof storeAnalyses>[1][number]['values'],
  });
  const stored = (source: 'simulated' | 'yahoo_finance', ...symbols: string[]) =>
    write(async (tx) => {
      await storeBars(
        tx,
        symbols.map((symbol) => bar({ symbol, source })),
      );
      await storeActions(
        tx,
        symbols.map((symbol) => action({ symbol, source })),
      );
      await storeChecks(
        tx,
        symbols.map((symbol) => check({ symbol, source })),
      );
      await storeAnalyses(tx, symbols.map(analysis));
    });
  const counts = async (symbol: string) => ({
    bars: (await readBars(db, symbol, EVER)).length,
    actions: (await readActions(db, symbol, EVER)).length,
    analyses: (await db.rows('SELECT 1 FROM analyses WHERE symbol = ?', [symbol])).length,
  });

  test('takes the bars of its symbol, and not those of another in the same batch', async () => {
    await stored('yahoo_finance', 'AAA', 'BBB');
    await write((tx) => beginBars(tx, [plan('BBB', false), plan('AAA', false, true)]));
    expect(await counts('AAA')).toEqual({ bars: 0, actions: 0, analyses: 1 });
    expect(await counts('BBB')).toEqual({ bars: 1, actions: 1, analyses: 1 });
    expect(await state('BBB')).toMatchObject({ newestBar: '2026-03-10', analysedAt: MORNING });
    // The analysis was made from other prices: it is due again, and its day and volatility stay until then.
    expect(await state('AAA')).toMatchObject({ newestBar: null, analysedAt: null, analysedBar: '2026-03-10', volatility: 0.3 });
  });

  test('of made-up bars by real ones takes what was computed from them', async () => {
    await stored('simulated', 'AAA', 'BBB');
    await write((tx) => beginBars(tx, [plan('AAA', false, true)]));
    expect(await counts('AAA')).toEqual({ bars: 0, actions: 0, analyses: 0 });
    expect(await state('AAA')).toMatchObject({ analysedAt: null, analysedBar: null, analysedAsOf: null, volatility: null });
    expect(await counts('BBB')).toEqual({ bars: 1, actions: 1, analyses: 1 });
    expect(await state('BBB')).toMatchObject({ volatility: 0.3 });
  });

  test('is refused with the kind of bars that another job has stored, and nothing is deleted', async () => {
    await stored('yahoo_finance', 'AAA');
    await expect(write((tx) => beginBars(tx, [plan('AAA', true)]))).rejects.toThrow(
      'another job has stored real bars of AAA meanwhile; AAA is fetched again',
    );
    await stored('simulated', 'MADE');
    await expect(write((tx) => beginBars(tx, [plan('MADE', false)]))).rejects.toThrow(
      'another job has stored simulated bars of MADE meanwhile',
    );
    expect(await counts('AAA')).toEqual({ bars: 1, actions: 1, analyses: 1 });
  });

  test('an answer without bars fits bars of either kind', async () => {
    await stored('simulated', 'AAA');
    await write((tx) => beginBars(tx, [plan('AAA', undefined), plan('NEW', undefined)]));
    expect(await counts('AAA')).toEqual({ bars: 1, actions: 1, analyses: 1 });
    expect(await state('NEW')).toMatchObject({ newestBar: null });
  });

  test('of nothing writes nothing', async () => {
    await write((tx) => storeRefresh(tx, []));
    await write((tx) => storeAnalyses(tx, []));
    expect(await db.rows('SELECT * FROM symbols')).toEqual([]);
  });

  test('a symbol that was checked and has no bars takes bars of either kind', async () => {
    await write((tx) => storeChecks(tx, [check({ newestBar: null, asOf: null, close: null, source: 'yahoo_finance' })]));
    await write((tx) => beginBars(tx, [plan('AAA', true)]));
    await write((tx) => storeBars(tx, [bar({ source: 'simulated' })]));
    expect((await counts('AAA')).bars).toBe(1);
  });
});
