import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { isLong } from '../../support/long.ts';
import { LEASE_CASES } from './cases.ts';
import { startWorkers, type Workers } from './workers.ts';

let workers: Workers;
beforeAll(async () => {
  workers = await startWorkers();
  await workers.mesh.service('scheduler');
});
afterEach(() => workers.clear());
afterAll(() => workers.stop());

/** One round; the time within which a round must recover holds on a machine with nothing else to do, so it is not judged here. */
test.each(LEASE_CASES.filter(({ long }) => isLong || !long).map(({ name, round }) => [name, round] as const))(
  '%s: nothing is lost or doubled, and no healthy job fails',
  async (_, round) => {
    const counts = await round(workers);
    expect(counts).toMatchObject({ lost: 0, doubled: 0, failed: 0 });
    expect(counts.done).toBeGreaterThanOrEqual(4);
  },
  150_000,
);
