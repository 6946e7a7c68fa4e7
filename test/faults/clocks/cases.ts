/** The cases of the clock faults, a round of which `npm run faults` and the tests run. */
import type { Ground } from '../logins/mesh.ts';
import { type ClockCounts, PARTS, runClockRound } from './trial.ts';

export interface ClockCase {
  name: string;
  /** `id`: letters and digits, unlike that of any other round in the same database. */
  round(id: string, ground: Ground): Promise<ClockCounts>;
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
        round: (id, ground) => runClockRound({ [part]: { shift } }, id, ground),
      }),
    ),
  ),
  // A command does not live long enough to see a step.
  ...PARTS.filter((part) => part !== 'cli').flatMap((part) =>
    SHIFTS.map(
      (step): ClockCase => ({
        name: `clocks: ${part} is set by ${signed(step)} while it runs`,
        round: (id, ground) => runClockRound({ [part]: { step } }, id, ground),
      }),
    ),
  ),
  { name: 'clocks: every machine another clock', round: (id, ground) => runClockRound(ALL_WRONG, id, ground) },
  { name: 'clocks: those of three services are set while they run', round: (id, ground) => runClockRound(THREE_SET, id, ground) },
];
