import { z } from 'zod';
import type { JobType } from '../job-type.ts';

/** How many symbols were stale, by kind, and how many were left for the next run. */
export const PicksUniversePayload = z.strictObject({ prices: z.int(), fundamentals: z.int(), left: z.int() });

const WAITS_SECONDS = 86_400;

export const picksUniverseType = {
  name: 'picks_universe',
  about: 'The universe of the weekly picks: after its stale members were fetched, the track record of earlier picks',
  payload: PicksUniversePayload,
  dataKinds: [],
  retries: 'general',
  waitsSeconds: WAITS_SECONDS,
  mayCompleteWithErrors: false,
  // One symbol without an answer does not keep the others' reports back.
  needsMayFail: true,
  logComponent: 'analyzer',
  shownResult: ['ms'],
} as const satisfies JobType;
