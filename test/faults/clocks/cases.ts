/** The cases of the clock faults, rounds of which `npm run faults` and the tests run. */
import type { Ground } from '../logins/mesh.ts';
import { type ClockCounts, PARTS, runClockRounds } from './trial.ts';

export interface ClockCase {
  name: string;
  /** Rounds in one mesh. `id`: letters and digits, unlike that of any other run in the same database. */
  run(id: string, ground: Ground, rounds: number): Promise<ClockCounts[]>;
}

/** Seconds. */
const SHIFTS = [-600, -60, 60, 600] as const;
const signed = (seconds: number): string => `${seconds > 0 ? '+' : ''}${seconds} s`;

/** Every machine has another clock. */
export const ALL_WRONG = {
  scheduler: { shift: 600 },
  standby: { shift: -600 },
  'portfolio-priority': { shift: -600 },
  gateway: { shift: 60 },
  worker: { shift: -60 },
  cli: { shift: -3600 },
} as const;

const THREE_SET = { scheduler: { step: 600 }, worker: { step: -600 }, 'portfolio-priority': { step: -600 } } as const;

export const CLOCK_CASES: readonly ClockCase[] = [
  ...PARTS.flatMap((part) =>
    SHIFTS.map(
      (shift): ClockCase => ({
        name: `clocks: ${part} ${signed(shift)}`,
        run: (...rest) => runClockRounds({ [part]: { shift } }, ...rest),
      }),
    ),
  ),
  // A command does not live long enough to see a step.
  ...PARTS.filter((part) => part !== 'cli').flatMap((part) =>
    SHIFTS.map(
      (step): ClockCase => ({
        name: `clocks: ${part} is set by ${signed(step)} while it runs`,
        run: (...rest) => runClockRounds({ [part]: { step } }, ...rest),
      }),
    ),
  ),
  { name: 'clocks: every machine another clock', run: (...rest) => runClockRounds(ALL_WRONG, ...rest) },
  { name: 'clocks: those of three services are set while they run', run: (...rest) => runClockRounds(THREE_SET, ...rest) },
];
