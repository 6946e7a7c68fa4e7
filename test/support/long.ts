import { test } from 'vitest';

/** Trials that take ten seconds and more beside a short form that the suite always runs. `npm run trials` runs them. */
export const isLong = process.env.STOCKMESH_LONG_TRIALS === '1';

/** A test of such a trial. */
export const longTest = test.skipIf(!isLong);
