/**
 * The database's time, which all processes share. Leases, waits, retries, schedules and the order of ids are stamped by one process and judged by another; with each
 * machine's own clock a scheduler 40 s ahead failed 297 of 396 jobs on healthy workers, and a standby 600 s ahead stole the lead.
 *
 * Each process asks the database for its time at the start and every minute, and counts on from the answer with the monotonic clock. So a step of the machine's
 * clock (NTP, an operator) changes nothing. Statements take this time as a parameter and do not say NOW(3): claims, enqueues and completions need it before they are
 * sent as well (ids, expiries, announcements), a statement that waits for a lock would stamp another moment than the one that was decided upon, and a test can stand at
 * any moment. It costs a few statements a minute; the error is half of the shortest round trip, far below the lease.
 *
 * The time is the server's. When that server's own clock is set, or another server of a cluster takes over whose clock differs, each process follows at its next
 * measurement, so for up to a minute they disagree by the step. Until all have followed and renewed what they hold, no lease and no lead is judged (`isSettled`).
 */
import type { Clock } from './clock.ts';
import type { Sql } from './database/database.ts';
import { codeOf, messageOf } from './errors.ts';
import type { Logger } from './log/log.ts';

export interface DatabaseClock extends Clock {
  /** Asks the database now. Before the first answer the time is the machine's. Errors: those of the database; the clock then goes on as before. */
  measure(): Promise<void>;
  /** Measures no more; the time goes on. */
  close(): void;
}

export interface DatabaseClockOptions {
  db: Pick<Sql, 'rows'>;
  /** Seconds between measurements. */
  interval: number;
  /** Gets a warning when the machine's clock differs by more than `maxOffset` seconds, and when the database's clock was stepped. */
  log?: Pick<Logger, 'info' | 'warn'> | undefined;
  maxOffset: number;
  /** Called after each measurement. */
  onMeasured?: ((clock: Clock) => void) | undefined;
  machine?: MachineClocks | undefined;
}

/** The clocks of a machine, in milliseconds. */
export interface MachineClocks {
  /** Since the epoch; can be set. */
  wall(): number;
  /** Since some moment; nobody sets it. It stands still while the machine is suspended. */
  monotonic(): number;
}

const thisMachine: MachineClocks = { wall: () => Date.now(), monotonic: () => performance.now() };

/** Questions of one measurement; the one that was answered fastest counts. */
const SAMPLES = 5;
/** A machine's clocks that part by more were set, or the machine was suspended: the time is measured at once. */
const PARTED_MS = 1_000;
const LOOK_MS = 1_000;

interface Anchor {
  /** The database's time, in milliseconds since the epoch, at this moment of the monotonic clock. */
  databaseMs: number;
  monotonicMs: number;
}

interface State {
  /** Undefined before the first answer. */
  anchor: Anchor | undefined;
  /** The wall clock minus the monotonic clock at the last measurement, and when that was, by the monotonic clock. */
  apartMs: number;
  measuredAtMs: number;
  measuring: Promise<void> | undefined;
  /** `atMs` by the monotonic clock. */
  jump: { byMs: number; atMs: number } | undefined;
  /** The machine's clock was beyond the limit; the last try to measure failed: each is logged once. */
  tooFar: boolean;
  failing: boolean;
}

/** A clock that goes by the machine's time until its first `measure`, and by the database's from then on. */
export function databaseClock(options: DatabaseClockOptions): DatabaseClock {
  const { db, interval, log, onMeasured, machine = thisMachine } = options;
  const state: State = {
    anchor: undefined,
    apartMs: 0,
    measuredAtMs: 0,
    measuring: undefined,
    tooFar: false,
    failing: false,
    jump: undefined,
  };

  const apartMs = (): number => machine.wall() - machine.monotonic();
  const parted = (): boolean => Math.abs(apartMs() - state.apartMs) > PARTED_MS;
  const nowMs = (): number =>
    state.anchor === undefined ? machine.wall() : state.anchor.databaseMs + machine.monotonic() - state.anchor.monotonicMs;
  const offsetMs = (): number | undefined => (state.anchor === undefined ? undefined : machine.wall() - nowMs());

  async function measureOnce(): Promise<void> {
    const { errorMs, ...measured } = await askForTime(db, machine);
    const { anchor } = state;
    const correctionMs = anchor === undefined ? 0 : measured.databaseMs - anchor.databaseMs - (measured.monotonicMs - anchor.monotonicMs);
    const jumped = Math.abs(correctionMs) > PARTED_MS + errorMs;
    if (jumped) state.jump = { byMs: correctionMs, atMs: machine.monotonic() };
    if (jumped && !parted())
      log?.warn(
        { seconds: correctionMs / 1000 },
        `the database's clock was set by ${signed(correctionMs)} s; all processes follow within ${interval} s`,
      );
    // An answer that took long says less than the clock knows: its noise must not set the time back and forth.
    if (anchor === undefined || Math.abs(correctionMs) > errorMs) state.anchor = measured;
    state.apartMs = apartMs();
    state.measuredAtMs = machine.monotonic();
    warnOfOffset(state, offsetMs() as number, options);
    onMeasured?.(clock);
  }

  function measure(): Promise<void> {
    state.measuring ??= measureOnce().finally(() => {
      state.measuring = undefined;
    });
    return state.measuring;
  }

  const looking = setInterval(() => {
    if (state.anchor === undefined || state.measuring !== undefined) return;
    if (machine.monotonic() - state.measuredAtMs < interval * 1000 && !parted()) return;
    measure().then(
      () => {
        state.failing = false;
      },
      (error: unknown) => {
        if (!state.failing)
          log?.warn({ code: codeOf(error) }, `could not ask the database for its time, trying again: ${messageOf(error)}`);
        state.failing = true;
      },
    );
  }, LOOK_MS).unref();

  const clock: DatabaseClock = {
    now: () => Temporal.Instant.fromEpochMilliseconds(Math.floor(nowMs())),
    get offsetMs() {
      return offsetMs();
    },
    get lastJump() {
      // Not measured yet, but on its way: where the database is on this machine, its clock was set with this one.
      if (state.anchor !== undefined && parted()) return { byMs: 0, agoMs: 0 };
      return state.jump && { byMs: state.jump.byMs, agoMs: machine.monotonic() - state.jump.atMs };
    },
    measure,
    close: () => clearInterval(looking),
  };
  return clock;
}

/** Once when the machine's clock goes beyond the limit, and once when it is back. */
function warnOfOffset(state: State, offsetMs: number, { log, maxOffset }: DatabaseClockOptions): void {
  const beyond = Math.abs(offsetMs) > maxOffset * 1000;
  if (beyond && !state.tooFar)
    log?.warn(
      { clockOffset: offsetMs / 1000 },
      `this machine's clock is ${signed(offsetMs)} s from the database's (limit ${maxOffset} s, monitoring.thresholds.max_clock_offset): the work goes by the database's, set this one right (NTP)`,
    );
  else if (!beyond && state.tooFar) log?.info({ clockOffset: offsetMs / 1000 }, "this machine's clock agrees with the database's again");
  state.tooFar = beyond;
}

/** The fastest of some answers. `errorMs`: the most by which it can be wrong. */
async function askForTime(db: DatabaseClockOptions['db'], machine: MachineClocks): Promise<Anchor & { errorMs: number }> {
  const samples: (Anchor & { errorMs: number })[] = [];
  while (samples.length < SAMPLES) {
    const sentAt = machine.monotonic();
    const [row] = await db.rows<{ micros: number }>("SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) AS micros");
    const monotonicMs = machine.monotonic();
    // The server read its clock somewhere between: half of the round trip is the best guess.
    const errorMs = (monotonicMs - sentAt) / 2;
    samples.push({ databaseMs: (row as { micros: number }).micros / 1000 + errorMs, monotonicMs, errorMs });
  }
  return samples.reduce((best, next) => (next.errorMs < best.errorMs ? next : best));
}

const signed = (ms: number): string => `${ms < 0 ? '-' : '+'}${Math.abs(ms / 1000).toFixed(1)}`;
