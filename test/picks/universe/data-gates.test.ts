import { describe, expect, test } from 'vitest';
import { priceHistoryOf, type UniverseMember } from '../../../services/picks/universe/input.ts';
import { type Bars, DATA_DATE, fundamentals, member, SESSIONS, screened, walk } from '../invented-universe.ts';

/** The reason against one symbol in a universe of its own; undefined where it is eligible. */
const gateOf = (one: UniverseMember) => screened([one]).excluded.get(one.symbol)?.reason;
const gated = (bars: readonly Bars[], overrides: Partial<UniverseMember> = {}) => gateOf(member('AAA', bars, overrides));
const withFigures = (overrides: Parameters<typeof fundamentals>[0]) => gated(walk(1), { fundamentals: fundamentals(overrides) });

/** The bars with raw and adjusted closes multiplied from a place on. */
const stepped = (bars: readonly Bars[], place: number, raw: number, adjusted = raw): Bars[] =>
  bars.map((bar, i) => (i < place ? bar : { ...bar, close: bar.close * raw, adjustedClose: bar.adjustedClose * adjusted }));
/** Without moves of its own, so that the jump is the ratio itself. */
const flat = walk(1, { deviation: 0, drift: 0 });
const jumpDay = SESSIONS[200]!;

describe('gates before the ranking', () => {
  test('a share with a year of bars is eligible', () => {
    expect(gated(walk(1))).toBeUndefined();
  });

  test('a fund is no share', () => {
    expect(withFigures({ quoteType: 'ETF' })).toBe('not_equity');
  });

  test('a symbol of unknown type is not taken for a share', () => {
    expect(gated(walk(1), { fundamentals: null })).toBe('type_unknown');
  });

  test('figures that were fetched after the job began are not known', () => {
    expect(withFigures({ fetchedAt: Temporal.Instant.from('2026-11-23T13:30:01Z') })).toBe('type_unknown');
  });

  test('a price in another currency cannot be compared with the limits', () => {
    expect(withFigures({ currency: 'GBp' })).toBe('other_currency');
  });

  test('252 bars are one too few', () => {
    expect(gated(walk(1).slice(-252))).toBe('short_history');
    expect(gated(walk(1).slice(-253))).toBeUndefined();
  });

  test('a symbol without bars has a short history', () => {
    expect(gated([], { history: null })).toBe('short_history');
  });

  test('a newest bar of another day than the data date is stale', () => {
    expect(gated(walk(1).slice(0, -1))).toBe('stale');
  });

  test.each([2, 3, 4, 5, 10, 20, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 10, 1 / 20])('a jump by %f without a stored split is suspect', (ratio) => {
    expect(gated(stepped(flat, 200, ratio))).toBe('suspect_price');
    expect(gated(stepped(flat, 200, ratio * 1.019))).toBe('suspect_price');
  });

  test.each([1.9, 1.4, 0.7, 0.55, 7])('a jump by %f is no usual split', (ratio) => {
    expect(gated(stepped(flat, 200, ratio))).toBeUndefined();
  });

  test('a stored split explains the jump', () => {
    expect(gated(stepped(flat, 200, 1 / 4, 1), { splits: [{ date: jumpDay, ratio: 4 }] })).toBeUndefined();
  });

  test('a stored split that the adjusted prices do not know is suspect', () => {
    expect(gated(stepped(flat, 200, 1 / 4), { splits: [{ date: jumpDay, ratio: 4 }] })).toBe('suspect_price');
  });

  test('a split of another day explains nothing', () => {
    expect(gated(stepped(flat, 200, 1 / 4), { splits: [{ date: SESSIONS[210]!, ratio: 4 }] })).toBe('suspect_price');
  });

  test('a jump before the window is of no interest', () => {
    expect(gated(stepped(flat, 30, 4))).toBeUndefined();
  });

  test('ten sessions may be missing, eleven not', () => {
    const long = walk(1, { dates: SESSIONS });
    expect(gated([...long.slice(0, 150), ...long.slice(160)])).toBeUndefined();
    expect(gated([...long.slice(0, 150), ...long.slice(161)])).toBe('suspect_price');
  });

  test.each([0, -1, Number.NaN])('a price of %f is none', (close) => {
    expect(gated(walk(1).map((bar, i) => (i === 280 ? { ...bar, close } : bar)))).toBe('suspect_price');
  });

  test('simulated data is left out of a report of real data', () => {
    expect(gated(walk(1), { simulated: true })).toBe('simulated');
  });

  test('the reason says which value is wrong', () => {
    const universe = screened([member('AAA', walk(1).slice(0, -1))]);
    expect(universe.excluded.get('AAA')?.detail.text).toBe(`its newest bar is of ${SESSIONS.at(-2)}, not of ${DATA_DATE}`);
  });

  test('a volume that is no number is none', () => {
    const universe = screened([
      member(
        'AAA',
        walk(1).map((bar) => ({ ...bar, volume: Number.NaN })),
      ),
    ]);
    expect(universe.candidates[0]!.measures.dollarVolume).toBe(0);
  });

  test('a symbol that is given twice counts once', () => {
    const twice = [member('AAA', walk(1)), { ...member('AAA', walk(2)), history: priceHistoryOf([]) }];
    expect(screened(twice)).toMatchObject({ size: 1, candidates: [{ symbol: 'AAA' }] });
  });
});
