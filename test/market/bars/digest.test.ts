/**
 * The digest of the stored bars stands for reading them: it must be that of the rows that are there, whoever has written them. The expected digest is computed from the rows as the
 * database gives them, by another way than the product's: a text of hexadecimal doubles.
 */
import { createHash } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import type { DateRange } from '../../../services/market/bars/bars.ts';
import { readActions, readBars, readSymbolsWithBars } from '../../../services/market/bars/read.ts';
import { symbolReader } from '../../../services/market/bars/reader.ts';
import { type Refresh, type RefreshContext, refreshSymbol } from '../../../services/market/bars/refresh.ts';
import { type RefreshRows, storeRefresh } from '../../../services/market/bars/store.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import fc from '../../support/fast-check.ts';
import { configWith, failoverOf, type Stub, stub, weekdays } from '../../worker/workshop.ts';
import { EVER, emptyBars } from './rows.ts';

const { db, write } = await emptyBars();
const NOW = '2026-03-10T22:00:00Z';
const clock = new ManualClock(NOW);
let source: Stub;

beforeEach(() => start(60));

function start(bars: number): void {
  clock.set(NOW);
  source = stub('yahoo_finance', weekdays('2025-12-01', bars), clock);
  source.actions = [{ date: '2025-12-10', kind: 'dividend', value: 0.1 + 0.2 }];
}

function contextOf(changes: Partial<RefreshContext> = {}): RefreshContext {
  const sources = failoverOf([source], clock);
  const signal = new AbortController().signal;
  return { reader: symbolReader(db), clock, config: configWith({}), sources, realSources: sources, signal, ...changes };
}
const refresh = (wanted?: DateRange, changes: Partial<RefreshContext> = {}) => refreshSymbol('AAA', contextOf(changes), wanted);
const store = (...refreshes: Refresh[]) =>
  write((tx) =>
    storeRefresh(
      tx,
      refreshes.map(({ rows }) => rows as RefreshRows),
    ),
  );
async function fetch(wanted?: DateRange, changes: Partial<RefreshContext> = {}): Promise<Refresh['result']> {
  const made = await refresh(wanted, changes);
  await store(made);
  clock.advance({ minutes: 10 });
  return made.result;
}
const state = async () => (await readSymbolsWithBars(db, ['AAA'])).get('AAA');
const digest = async () => (await state())?.known?.digest;
const stored = () => readBars(db, 'AAA', EVER);
const has = () => source.has as Exclude<Stub['has'], Error>;
const change = (at: number, changes: object): void => {
  source.has = has().with(at, { ...has().at(at)!, ...changes });
};

/** The digest that the stored rows have, from the first one to this day. */
async function digestOfRows(through: string): Promise<string> {
  const [bars, actions] = await Promise.all([readBars(db, 'AAA', { from: '0000-01-01', to: through }), readActions(db, 'AAA', EVER)]);
  const double = (value: number): string => {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    return bytes.toString('hex');
  };
  const days = bars.map(({ date }) => date).join('') + actions.map(({ date, kind }) => `,${date} ${kind}`).join('');
  const numbers = [
    ...bars.flatMap((bar) => [bar.open, bar.high, bar.low, bar.close, bar.adjustedClose, bar.volume]),
    ...actions.map(({ value }) => value),
  ].map(double);
  return createHash('sha256')
    .update(Buffer.concat([Buffer.from(days), Buffer.from(numbers.join(''), 'hex')]))
    .digest('hex')
    .slice(0, 32);
}

/** A reader that gives no bars before the digest, and no splits or dividends. */
function readerOfTail() {
  const refuse = (what: string) => async () => {
    throw new Error(`${what} were read`);
  };
  return { ...symbolReader(db), bars: refuse('all bars'), actions: refuse('splits and dividends'), oldestBar: refuse('the oldest bars') };
}

test('of a new symbol is that of its rows, up to the newest bar, which may be live', async () => {
  await fetch();
  expect(await digest()).toEqual({ from: '2025-12-01', through: '2026-02-19', digest: await digestOfRows('2026-02-19') });
  expect((await stored()).at(-1)?.date).toBe('2026-02-20');
});

describe("a day's comparison", () => {
  test('reads no bar of an unchanged history but the newest ones, and writes nothing', async () => {
    await fetch();
    clock.advance({ hours: 24 });
    expect(await fetch(undefined, { reader: readerOfTail() })).toMatchObject({ bars: 60, written: 0, replaced: false });
    expect((await state())?.historyCheckedAt).toEqual(new Date('2026-03-11T22:10:00Z'));
  });

  test('writes a new day and a live bar that has moved without reading the others', async () => {
    await fetch();
    change(-1, { close: 170, high: 171, adjustedClose: 170 });
    source.has = [...has(), ...weekdays('2026-02-23', 1)];
    clock.advance({ hours: 24 });
    expect(await fetch(undefined, { reader: readerOfTail() })).toMatchObject({ written: 2, replaced: false });
    expect(await stored()).toEqual(has());
  });

  test('of an unchanged history goes on by digests for weeks', async () => {
    await fetch();
    for (let day = 0; day < 15; day++) {
      source.has = weekdays('2025-12-01', has().length + 1);
      clock.advance({ hours: 24 });
      expect(await fetch(undefined, { reader: readerOfTail() })).toMatchObject({ written: 1, replaced: false });
    }
    const { through, digest: now } = (await digest())!;
    expect(now).toBe(await digestOfRows(through));
    expect(through > '2026-02-20').toBe(true);
  });

  test.each([
    ['a price', { close: 101.5 }, 'the adjusted close of 2025-12-03 has changed'],
    ['the adjusted close', { adjustedClose: 90 }, 'the adjusted close of 2025-12-03 has changed'],
    ['a high', { high: 200 }, 'the bar of 2025-12-03 has been repaired'],
  ])('finds %s of an old day that the source has changed, and replaces the history', async (_, changes, because) => {
    await fetch();
    change(2, changes);
    clock.advance({ hours: 24 });
    expect(await fetch()).toMatchObject({ replaced: true, replaced_because: expect.stringContaining(because) });
    expect(await stored()).toEqual(has());
  });

  test('finds the last bit of a volume', async () => {
    await fetch();
    change(2, { volume: 1e15 });
    clock.advance({ hours: 24 });
    await fetch();
    change(2, { volume: 1e15 + 0.125 });
    clock.advance({ hours: 24 });
    await fetch();
    // Nearer than what counts as the same: it is not written, and the digest says nothing of it.
    expect((await stored())[2]?.volume).toBe(1e15);
    expect((await digest())?.through).toBe('2025-12-02');
  });

  test.each([
    ['a new dividend', [{ date: '2026-01-05', kind: 'dividend' as const, value: 1 }], 'the dividend of 2026-01-05 is new'],
    ['a withdrawn dividend', [], "the dividend of 2025-12-10 is no longer among the source's"],
  ])('finds %s', async (_, actions, because) => {
    await fetch();
    source.actions = [...actions, ...(actions.length > 0 ? source.actions : [])].sort((a, b) => (a.date < b.date ? -1 : 1));
    clock.advance({ hours: 24 });
    expect(await fetch()).toMatchObject({ replaced: true, replaced_because: because });
    expect(await readActions(db, 'AAA', EVER)).toEqual(source.actions);
    const { through, digest: now } = (await digest())!;
    expect(now).toBe(await digestOfRows(through));
  });

  test('of an older answer says nothing of a dividend that it could not write', async () => {
    await fetch();
    const [dividend] = await readActions(db, 'AAA', EVER);
    source.actions = [{ ...dividend!, value: dividend!.value * (1 + 1e-9) }];
    await db.run('UPDATE symbols SET history_checked_at = history_checked_at - INTERVAL 2 DAY');
    clock.set('2026-03-10T21:00:00Z');
    expect(await fetch()).toMatchObject({ replaced: false });
    expect(await readActions(db, 'AAA', EVER)).toEqual([dividend]);
    expect(await digest()).toBeUndefined();
  });

  test('reads all rows again where somebody has cleared history_checked_at after a change by hand', async () => {
    await fetch();
    await db.run("UPDATE bars SET close = 7 WHERE symbol = 'AAA' AND date = '2025-12-03'");
    await db.run('UPDATE symbols SET history_checked_at = NULL');
    expect(await fetch()).toMatchObject({ replaced: true });
    expect(await stored()).toEqual(has());
  });
});

describe('a write between', () => {
  test('of another job leaves no digest of the job that had read before', async () => {
    await fetch();
    clock.advance({ hours: 24 });
    const early = await refresh();
    change(2, { volume: 77 });
    await store(await refresh());
    await store(early);
    expect((await stored())[2]?.volume).toBe(77);
    expect(await digest()).toBeUndefined();
  });

  test('in the same batch leaves none either', async () => {
    await fetch();
    clock.advance({ hours: 24 });
    await store(await refresh(), await refresh({ from: '2025-06-02', to: '2025-06-30' }));
    expect(await digest()).toBeUndefined();
  });

  test('while the source is asked for a history that has changed makes the job start again', async () => {
    await fetch();
    clock.advance({ hours: 24 });
    const sources = failoverOf([source], clock);
    const slow: RefreshContext['sources'] = {
      async bars(...asked) {
        const answer = await sources.bars(...asked);
        change(2, { close: 1, low: 0.5, adjustedClose: 1 });
        await store(await refresh());
        return { ...answer, bars: answer.bars.with(3, { ...answer.bars[3]!, volume: 5 }) };
      },
    };
    await expect(refresh(undefined, { realSources: slow })).rejects.toMatchObject({ code: 'bars.changed', name: 'TransientError' });
    expect(await stored()).toEqual(has());
  });

  test('of a volume within the last days voids the digest that it is part of, and one behind it does not', async () => {
    await fetch();
    const before = await digest();
    source.has = [...has(), ...weekdays('2026-02-23', 1)];
    await fetch();
    expect(await digest()).toEqual(before);
    change(-3, { volume: 5 });
    expect(await fetch()).toMatchObject({ written: 1 });
    expect(await digest()).toBeUndefined();
    clock.advance({ hours: 24 });
    await fetch();
    expect(await digest()).toMatchObject({ through: '2026-02-20', digest: await digestOfRows('2026-02-20') });
  });

  test('of older bars voids it, and the next comparison knows the new oldest one', async () => {
    source.has = weekdays('2025-11-03', 60);
    const all = has();
    source.has = all.slice(20);
    await fetch();
    source.has = all;
    await fetch({ from: '2025-11-03', to: '2025-11-28' });
    expect(await stored()).toEqual(all);
    expect(await digest()).toBeUndefined();
    clock.advance({ hours: 24 });
    await fetch();
    expect((await digest())?.from).toBe('2025-11-03');
  });
});

/** What may happen to a source and to the stored bars; `at` picks a bar. */
const STEPS: Record<string, (at: number) => unknown> = {
  day: () => {
    source.has = weekdays('2025-12-01', has().length + 1).map((bar, at) => has()[at] ?? bar);
    clock.advance({ hours: 24 });
  },
  live: (at) => change(-1, { close: 100 + at, high: 300, low: 50, adjustedClose: 100 + at }),
  repair: (at) => change(at, { high: 400 + at }),
  volume: (at) => change(at, { volume: at * 1000.5 }),
  adjusted: (at) => {
    source.has = has().map((bar, index) => (index < at ? { ...bar, adjustedClose: bar.adjustedClose * 0.99 } : bar));
  },
  dividend: (at) => {
    const { date } = has()[at]!;
    if (!source.actions.some((action) => action.date === date))
      source.actions = [...source.actions, { date, kind: 'dividend' as const, value: at / 3 }].sort((a, b) => (a.date < b.date ? -1 : 1));
  },
  withdrawn: () => {
    source.actions = source.actions.slice(1);
  },
  hidden: async (at) => {
    const all = has();
    source.has = all.toSpliced(at, 1);
    await fetch();
    source.has = all;
  },
  fetch: () => fetch(),
  backfill: (at) => fetch({ from: has()[Math.min(at, 3)]!.date }),
  late: async (at) => {
    const early = await refresh();
    clock.advance({ minutes: 1 });
    change(at, { volume: at + 0.25 });
    await store(await refresh());
    await store(early);
  },
  together: async () => store(await refresh(), await refresh({ from: '2025-12-01' })),
  due: async () => {
    await db.run('UPDATE symbols SET history_checked_at = history_checked_at - INTERVAL 2 DAY');
  },
};

test('whatever happens to a source and by whomever its answers are stored, a digest is that of the rows, and the next comparison stores what the source has', async () => {
  const steps = fc.array(fc.tuple(fc.constantFrom(...Object.keys(STEPS)), fc.nat(11)), { minLength: 3, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(steps, async (taken) => {
      for (const table of ['bars', 'corporate_actions', 'symbols']) await db.run(`DELETE FROM ${table}`);
      start(12);
      await fetch();
      for (const [step, at] of taken) {
        await STEPS[step]?.(at);
        const known = await digest();
        if (known === undefined) continue;
        expect(known.digest, `after ${step} ${at}`).toBe(await digestOfRows(known.through));
        expect(known.from).toBe((await stored())[0]?.date);
      }
      clock.advance({ hours: 25 });
      await fetch();
      expect(await stored()).toEqual(has());
      expect(await readActions(db, 'AAA', EVER)).toEqual(source.actions);
    }),
    { numRuns: 40 },
  );
}, 120_000);
