/** The budget of an account, with a real database. Each budget here is as that of a worker of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { type AccountBudget, accountBudget, type BudgetOptions, type Slot } from '../../../../services/history/sources/theta/budget.ts';
import { type Clock, ManualClock, systemClock } from '../../../../services/platform/clock.ts';
import { openDatabase } from '../../../../services/platform/database/database.ts';
import { databaseOfFile } from '../../../support/database.ts';
import { fetchObject, objectOf, sourceOf, terminalOf, type Version } from './support/bench.ts';
import { HOURS, testChain } from './support/chain.ts';
import { firstDifference, readRows } from './support/read.ts';

const { database, db } = await databaseOfFile();
const signal = new AbortController().signal;
const log = { warn: () => undefined };
const NOW = '2024-05-10T12:00:00Z';

beforeEach(() => db.run('DELETE FROM history_budgets'));
afterEach(() => vi.restoreAllMocks());

function budgetOf(options: Partial<BudgetOptions> = {}): AccountBudget & { looks: () => number } {
  let looks = 0;
  const counted = { rows: db.rows, run: db.run, transaction: ((work) => ++looks && db.transaction(work)) as typeof db.transaction };
  return {
    ...accountBudget({ db: counted, clock: systemClock, log, account: 'theta', slots: () => 4, holder: 'worker', ...options }),
    looks: () => looks,
  };
}
const take = (budget: AccountBudget, count: number): Promise<Slot[]> =>
  Promise.all(Array.from({ length: count }, () => budget.acquire(signal)));
const giveBack = (slots: readonly Slot[]): Promise<unknown> => Promise.all(slots.map((slot) => slot.release(0)));
const rows = () =>
  db.rows<{ slot: number; holder: string | null; until: Date | null; rests_until: Date | null }>(
    'SELECT * FROM history_budgets ORDER BY slot',
  );

/** Whether a slot is still waited for after the budget has looked for one three times more. */
async function isWaiting(budget: ReturnType<typeof budgetOf>, slot: Promise<Slot>): Promise<boolean> {
  let isGiven = false;
  void slot.then(() => {
    isGiven = true;
  });
  const looks = budget.looks() + 3;
  await vi.waitUntil(() => isGiven || budget.looks() > looks, { timeout: 30_000 });
  return !isGiven;
}

describe('two workers on one account', () => {
  // 28 requests at once without the budget; the terminal counts what is open, and answers nothing before it has seen the most.
  test.each<[Version, 'value' | 'standard' | 'pro', number]>([
    ['v3', 'value', 2],
    ['v3', 'standard', 4],
    ['v3', 'pro', 8],
    ['v2', 'standard', 2],
    ['v2', 'pro', 4],
  ])('%s, %s: never more than %i requests are open, and so many are', async (version, tier, most) => {
    const gate = Promise.withResolvers<void>();
    const terminal = await terminalOf(version, { tier, answerMs: 5, faults: [{ hold: gate.promise, times: most }] });
    const other = openDatabase(database.options);
    onTestFinished(() => other.close());
    const workers = [db, other].map((each, index) => sourceOf({ db: each, url: terminal.url, tier, holder: `worker ${index}` }));
    const days = Array.from({ length: 14 }, (_, index) => `2024-01-${String(index + 8).padStart(2, '0')}`);
    const object = (day: string) => objectOf({ asset: 'stock', schema: 'quote', interval: '1h' }, day);
    const all = Promise.all(workers.flatMap((worker) => days.map((day) => fetchObject(worker, object(day), { days: [day] }))));
    await vi.waitUntil(() => terminal.mostAtOnce >= most, { timeout: 30_000 });
    gate.resolve();
    await all;
    expect(terminal.requests).toHaveLength(28);
    expect(terminal.mostAtOnce).toBe(most);
    expect(terminal.refused).toBe(0);
    expect((await rows()).filter(({ holder }) => holder !== null)).toEqual([]);
  });

  test('one that is configured with a lower tier takes no more slots than that', async () => {
    const high = budgetOf({ slots: () => 8 });
    await giveBack(await take(high, 8));
    const low = budgetOf({ slots: () => 2 });
    const slots = await take(low, 2);
    const third = low.acquire(signal);
    expect(await isWaiting(low, third)).toBe(true);
    await giveBack(slots);
    await giveBack([await third]);
  });

  test('each gets its turn: a slot is not handed on within a worker', async () => {
    const [one, two] = [budgetOf({ slots: () => 1 }), budgetOf({ slots: () => 1 })];
    const served: string[] = [];
    const work = async (name: string, budget: AccountBudget) => {
      const slot = await budget.acquire(signal);
      served.push(name);
      await slot.release(0);
    };
    await Promise.all([...Array(20).keys()].flatMap(() => [work('one', one), work('two', two)]));
    expect(served.filter((name) => name === 'one')).toHaveLength(20);
    expect(served).toHaveLength(40);
  });
});

describe('a lease', () => {
  test('of a worker that was killed ends, and its slots are free then', async () => {
    const clock = new ManualClock(NOW);
    const {
      budget: file,
      database: databaseFile,
      clock: clockFile,
    } = {
      budget: new URL('../../../../services/history/sources/theta/budget.ts', import.meta.url).href,
      database: new URL('../../../../services/platform/database/database.ts', import.meta.url).href,
      clock: new URL('../../../../services/platform/clock.ts', import.meta.url).href,
    };
    const code = `
      const { accountBudget } = await import(${JSON.stringify(file)});
      const { openDatabase } = await import(${JSON.stringify(databaseFile)});
      const { ManualClock } = await import(${JSON.stringify(clockFile)});
      const db = openDatabase(${JSON.stringify(database.options)});
      const budget = accountBudget({ db, clock: new ManualClock('${NOW}'), log: console, account: 'theta', slots: () => 2, holder: 'killed' });
      await Promise.all([1, 2].map(() => budget.acquire(new AbortController().signal)));
      console.log('both');
      setInterval(() => undefined, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect((await rows()).map(({ holder }) => holder?.slice(0, 7))).toEqual(['killed/', 'killed/']);

    const budget = budgetOf({ clock, slots: () => 2 });
    const slot = budget.acquire(signal);
    clock.advance({ milliseconds: 29_999 });
    expect(await isWaiting(budget, slot)).toBe(true);
    clock.advance({ milliseconds: 1 });
    await giveBack([await slot, ...(await take(budget, 1))]);
  });

  test('is renewed as long as its request runs', async () => {
    const clock = new ManualClock(NOW);
    const [slot] = await take(budgetOf({ clock, leaseMs: 300 }), 1);
    clock.advance({ milliseconds: 250 });
    await vi.waitUntil(async () => (await rows())[0]?.until?.toISOString() === '2024-05-10T12:00:00.550Z', { timeout: 30_000 });
    expect(slot!.lost.aborted).toBe(false);
    await slot!.release(0);
    expect((await rows())[0]).toMatchObject({ holder: null, until: null });
  });

  test('that another worker has taken is lost: the request is ended and sent again', async () => {
    const gate = Promise.withResolvers<void>();
    const terminal = await terminalOf('v3', { tier: 'pro', faults: [{ hold: gate.promise }] });
    const object = objectOf({ asset: 'option', schema: 'quote', interval: '1h' }, '2024-01-03');
    const fetched = fetchObject(sourceOf({ db, url: terminal.url, leaseMs: 300 }), object);
    await vi.waitUntil(() => terminal.requests.length === 1, { timeout: 30_000 });
    await db.run("UPDATE history_budgets SET holder = 'another' WHERE holder IS NOT NULL");
    const { files, requests } = await fetched;
    gate.resolve();
    expect(requests).toMatchObject([{ status: 0 }, { status: 200 }]);
    const expected = testChain().stored('option', ['2024-01-03'], { schema: 'quote', intervalMs: 3_600_000, ...HOURS });
    expect(firstDifference(await readRows(files, object), expected)).toBeUndefined();
    expect((await rows())[0]!.holder).toBe('another');
  });

  test('is not judged after the clock jumped', async () => {
    const clock = new ManualClock(NOW);
    const jumped: Clock = { now: () => clock.now(), lastJump: { byMs: 60_000, agoMs: 0 } };
    const slots = await take(budgetOf({ clock, slots: () => 1 }), 1);
    clock.advance({ seconds: 60 });
    const budget = budgetOf({ clock: jumped, slots: () => 1 });
    const slot = budget.acquire(signal);
    expect(await isWaiting(budget, slot)).toBe(true);
    await giveBack(slots);
    await giveBack([await slot]);
  });
});

describe('too many requests (429)', () => {
  const slotsLeft = async (clock: Clock): Promise<number> =>
    (await rows()).filter(({ rests_until }) => rests_until === null || rests_until.getTime() <= clock.now().epochMilliseconds).length;

  test('halve the slots for all workers, once for all requests of that time, for a minute', async () => {
    const clock = new ManualClock(NOW);
    const [one, two] = [budgetOf({ clock, slots: () => 8 }), budgetOf({ clock, slots: () => 8 })];
    const slots = await take(one, 8);
    const began = clock.now();
    clock.advance({ seconds: 1 });
    await Promise.all([one, two, one, two].map((budget) => budget.halve(began)));
    expect(await slotsLeft(clock)).toBe(4);
    await giveBack(slots);
    await giveBack(await take(two, 4));
    const more = take(two, 5);
    const fifth = more.then((taken) => taken[4]!);
    expect(await isWaiting(two, fifth)).toBe(true);

    clock.advance({ seconds: 1 });
    await two.halve(clock.now());
    expect(await slotsLeft(clock)).toBe(2);
    clock.advance({ seconds: 58 });
    expect(await slotsLeft(clock)).toBe(2);
    clock.advance({ seconds: 1 });
    await giveBack(await more);
    clock.advance({ seconds: 1 });
    expect(await slotsLeft(clock)).toBe(8);
  });

  test('leave one slot', async () => {
    const clock = new ManualClock(NOW);
    const budget = budgetOf({ clock, slots: () => 2 });
    await giveBack(await take(budget, 2));
    for (let times = 0; times < 4; times++) {
      clock.advance({ seconds: 1 });
      await budget.halve(clock.now());
    }
    expect(await slotsLeft(clock)).toBe(1);
    await giveBack(await take(budget, 1));
  });

  // The account is configured with 8, and its terminal works on one request and refuses all others.
  test('of a tier that is too high end with all days downloaded', async () => {
    const gate = Promise.withResolvers<void>();
    const terminal = await terminalOf('v3', { tier: 'free', queue: 2, faults: [{ hold: gate.promise }] });
    const source = sourceOf({ db, url: terminal.url, tier: 'pro' });
    const days = Array.from({ length: 12 }, (_, index) => `2024-01-${String(index + 8).padStart(2, '0')}`);
    const all = days.map((day) => fetchObject(source, objectOf({ asset: 'stock', schema: 'ohlc', interval: '1h' }, day), { days: [day] }));
    await vi.waitUntil(() => terminal.refused > 0, { timeout: 30_000 });
    gate.resolve();
    const fetched = await Promise.all(all);
    expect(fetched.map(({ files }) => files.length)).toEqual(Array(12).fill(1));
    expect(await slotsLeft(systemClock)).toBeLessThanOrEqual(4);
  });
});

describe('a free account', () => {
  // 20 requests a minute are one every 3 s.
  test('sends its next request 3 s after the one before began', async () => {
    const clock = new ManualClock(NOW);
    const budget = budgetOf({ clock, slots: () => 1, perMinute: 20 });
    const [slot] = await take(budget, 1);
    clock.advance({ seconds: 1 });
    await slot!.release(1);
    const next = budget.acquire(signal);
    clock.advance({ milliseconds: 1_999 });
    expect(await isWaiting(budget, next)).toBe(true);
    clock.advance({ milliseconds: 1 });
    await (await next).release(1);
  });
});

describe('waiting', () => {
  test('costs few queries, however many wait', async () => {
    const clock = new ManualClock(NOW);
    const slots = await take(budgetOf({ clock }), 4);
    const budget = budgetOf({ clock });
    const waiting = Array.from({ length: 50 }, () => budget.acquire(signal).then((slot) => slot.release(0)));
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    // 50, 100, 200, 400, 800 ms later, each a quarter less at the least. A slower machine looks less often.
    expect(budget.looks()).toBeLessThanOrEqual(6);
    await giveBack(slots);
    await Promise.all(waiting);
  });

  test('ends with the reason of the signal, and takes no slot', async () => {
    const budget = budgetOf({ slots: () => 1 });
    const slots = await take(budget, 1);
    const cancel = new AbortController();
    const waiting = budget.acquire(cancel.signal);
    cancel.abort(new Error('cancelled'));
    await expect(waiting).rejects.toThrow('cancelled');
    await expect(budget.acquire(cancel.signal)).rejects.toThrow('cancelled');
    await giveBack(slots);
    await giveBack(await take(budget, 1));
  });

  test('for half an hour ends with an error that names the setting', async () => {
    const budget = budgetOf({ slots: () => 1 });
    const slots = await take(budget, 1);
    const waiting = budget.acquire(signal);
    const now = performance.now();
    vi.spyOn(performance, 'now').mockReturnValue(now + 31 * 60_000);
    await expect(waiting).rejects.toMatchObject({
      name: 'TransientError',
      code: 'theta.budget',
      message: expect.stringContaining('history.theta.tier'),
    });
    await giveBack(slots);
  });

  test('ends with the error of a database that is away', async () => {
    const away = openDatabase(database.options);
    away.giveUp();
    onTestFinished(() => away.close());
    await expect(budgetOf({ db: away }).acquire(signal)).rejects.toMatchObject({ code: 'database.closed' });
  });
});
