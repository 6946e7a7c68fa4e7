import { z } from 'zod';
import type { JobType } from '../job-type.ts';
import { userId } from '../job-type.ts';

/** Why a report is made. */
export const REASONS = ['manual_trigger', 'new_user', 'new_week', 'error_recovery'] as const;
export type Reason = (typeof REASONS)[number];

/** One user's report of one week. The week is that of the job, whenever it runs. */
export const PicksPayload = z.strictObject({
  user: userId,
  week_of: z.iso.date().refine((date) => new Date(date).getUTCDay() === 1, 'not a Monday'),
  reason: z.enum(REASONS),
  /** Whether a call whose payment is unknown may be paid for again. */
  pay_again: z.boolean().default(false),
});

/** Two calls of the model, and time around them. */
const BESIDE_MODEL_SECONDS = 120;
/** A weekly report is worth having days later. */
const WAITS_SECONDS = 3 * 86_400;

export const picksType = {
  name: 'picks',
  about: 'The weekly stock picks of a user: an automatic screen of stored prices and company figures',
  payload: PicksPayload,
  dataKinds: [],
  retries: { most: 2, delaysSeconds: [120, 240, 480] },
  timeLimit: ({ model }) => 2 * model.timeout + BESIDE_MODEL_SECONDS,
  waitsSeconds: WAITS_SECONDS,
  // A call of the model may take minutes. The user's other jobs do not wait for it.
  takesNoSlot: true,
  mayCompleteWithErrors: false,
  // What could not be fetched is left out of the report, which says so.
  needsMayFail: true,
  logComponent: 'analyzer',
  shownResult: ['source', 'simulated', 'warnings', 'ms'],
} as const satisfies JobType;
