import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { isSettled } from '../../services/platform/clock.ts';
import { type DatabaseClock, type DatabaseClockOptions, databaseClock } from '../../services/platform/database-clock.ts';
import { TransientError } from '../../services/platform/errors.ts';
import { databaseOfFile } from '../support/database.ts';

const { db } = await databaseOfFile();

const clocks: DatabaseClock[] = [];
afterEach(() => {
  for (const clock of clocks.splice(0)) clock.close();
});
function clockOf(options: Partial<DatabaseClockOptions>): DatabaseClock {
  const clock = databaseClock({ db, interval: 60, maxOffset: 2, ...options });
  clocks.push(clock);
  return clock;
}

test.each([600, -600])('the time is the database’s on a machine whose clock is %d s off', async (seconds) => {
  const clock = clockOf({ machine: { wall: () => Date.now() + seconds * 1000, monotonic: () => performance.now() } });
  expect(clock.offsetMs).toBeUndefined();
  await clock.measure();
  const databaseNow = async () => (await db.rows<{ now: Date }>('SELECT UTC_TIMESTAMP(3) AS now'))[0]!.now.getTime();
  const before = await databaseNow();
  const now = clock.now().epochMilliseconds;
  const after = await databaseNow();
  // Half of the fastest of five round trips is the error, far below a second even on a busy machine.
  expect(now).toBeGreaterThan(before - 1_000);
  expect(now).toBeLessThan(after + 1_000);
  expect(clock.offsetMs! / 1000).toBeCloseTo(seconds, -1);
});

/** A machine and a server on true time, both set by hand: `trueMs` since a start, the server's answers after a round trip. */
function world() {
  const START = Date.parse('2026-06-02T14:00:00Z');
  const at = { trueMs: 0, wallErrorMs: 0, suspendedMs: 0, serverErrorMs: 0, roundTrips: [10], asked: 0, away: false };
  const said: string[] = [];
  const measured: number[] = [];
  /** What stands beside the texts, for programs. */
  const fields: object[] = [];
  const say = (beside: object, text: string): void => {
    fields.push(beside);
    said.push(text);
  };
  const log = { warn: say, info: say };
  const options: DatabaseClockOptions = {
    db: {
      async rows<T>() {
        if (at.away) throw new TransientError('database.unavailable', 'the database is away');
        const tripMs = at.roundTrips[at.asked++ % at.roundTrips.length]!;
        // A quarter of the way there, three quarters back: half is a guess.
        const micros = (START + at.trueMs + tripMs / 4 + at.serverErrorMs) * 1000;
        at.trueMs += tripMs;
        return [{ micros }] as T[];
      },
    },
    interval: 60,
    maxOffset: 2,
    log: log as unknown as NonNullable<DatabaseClockOptions['log']>,
    onMeasured: ({ offsetMs }) => measured.push(offsetMs!),
    machine: { wall: () => START + at.trueMs + at.wallErrorMs, monotonic: () => 5_000 + at.trueMs - at.suspendedMs },
  };
  const clock = clockOf(options);
  const errorMs = (): number => clock.now().epochMilliseconds - START - at.trueMs;
  /** True time goes on, and with it the timers. */
  const pass = async (ms: number): Promise<void> => {
    at.trueMs += ms;
    await vi.advanceTimersByTimeAsync(1_000);
  };
  return { at, clock, errorMs, pass, said, fields, measured };
}

describe('on a clock set by hand', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    return () => vi.useRealTimers();
  });

  test('the fastest of five answers counts, with half of its round trip', async () => {
    const { at, clock, errorMs } = world();
    at.roundTrips = [400, 80, 8, 200, 900];
    await clock.measure();
    expect(at.asked).toBe(5);
    // Half of 8 ms is added to an answer that was 6 ms old.
    expect(errorMs()).toBe(-2);
  });

  test('a step of the machine’s clock changes nothing, and the offset is measured at once', async () => {
    const { at, clock, errorMs, pass, measured } = world();
    await clock.measure();
    const before = errorMs();
    at.wallErrorMs = -600_000;
    expect(errorMs()).toBe(before);
    // Until the database has answered nobody knows whether its clock was set too.
    expect(isSettled(clock, 60)).toBe(false);
    await pass(500);
    expect(errorMs()).toBe(before);
    expect(measured).toHaveLength(2);
    expect(isSettled(clock, 60)).toBe(true);
    expect(Math.round(measured[1]! / 1000)).toBe(-600);
    await pass(500);
    expect(measured).toHaveLength(2);
  });

  test('a machine that was suspended, whose monotonic clock stood still, has the right time again', async () => {
    const { at, clock, errorMs, pass, said } = world();
    await clock.measure();
    at.trueMs += 600_000;
    at.suspendedMs += 600_000;
    await pass(500);
    expect(Math.abs(errorMs())).toBeLessThan(10);
    expect(said).toEqual([]);
    expect(Math.round(clock.lastJump!.byMs / 1000)).toBe(600);
  });

  test('it is measured every interval, and not before', async () => {
    const { clock, pass, measured } = world();
    await clock.measure();
    await pass(59_000);
    expect(measured).toHaveLength(1);
    await pass(2_000);
    expect(measured).toHaveLength(2);
  });

  test('a clock that was closed measures no more, and its time goes on', async () => {
    const { clock, errorMs, pass, measured } = world();
    await clock.measure();
    const before = errorMs();
    clock.close();
    await pass(61_000);
    expect([measured.length, errorMs()]).toEqual([1, before]);
  });

  test('answers that take long move the clock only by more than they can be wrong', async () => {
    const { at, clock, errorMs } = world();
    await clock.measure();
    const before = errorMs();
    at.roundTrips = [800];
    await clock.measure();
    expect(errorMs()).toBe(before);
    at.serverErrorMs = 900;
    await clock.measure();
    // 900 ms off, known to within half of a round trip of 800 ms.
    expect(Math.abs(errorMs() - 900)).toBeLessThanOrEqual(400);
  });

  test('beyond the limit the machine is named wrong once, and right again once', async () => {
    const { at, clock, said, fields } = world();
    at.wallErrorMs = 2_500;
    await clock.measure();
    await clock.measure();
    expect(said).toEqual([
      expect.stringMatching(
        /^this machine's clock is \+2\.5 s from the database's \(limit 2 s, monitoring\.thresholds\.max_clock_offset\)/,
      ),
    ]);
    at.wallErrorMs = 0;
    await clock.measure();
    await clock.measure();
    expect(said.slice(1)).toEqual(["this machine's clock agrees with the database's again"]);
    // To within half of a round trip of 10 ms.
    expect(fields).toEqual([{ clockOffset: expect.closeTo(2.5, 1) }, { clockOffset: expect.closeTo(0, 1) }]);
  });

  test('a database whose clock was set is followed and named', async () => {
    const { at, clock, errorMs, said, fields } = world();
    await clock.measure();
    at.serverErrorMs = 30_000;
    await clock.measure();
    expect(Math.round(errorMs() / 1000)).toBe(30);
    expect(said[0]).toBe("the database's clock was set by +30.0 s; all processes follow within 60 s");
    expect(fields[0]).toEqual({ seconds: 30 });
    at.trueMs += 7_000;
    expect(clock.lastJump).toEqual({ byMs: 30_000, agoMs: 7_000 });
  });

  test('while the database is away the time goes on, one line says why, and it is asked until it answers', async () => {
    const { at, clock, errorMs, pass, said, measured } = world();
    await clock.measure();
    const before = errorMs();
    at.away = true;
    await pass(61_000);
    await pass(1_000);
    expect(errorMs()).toBe(before);
    expect(said).toEqual(['could not ask the database for its time, trying again: the database is away']);
    at.away = false;
    await pass(1_000);
    expect(measured).toHaveLength(2);
  });
});
