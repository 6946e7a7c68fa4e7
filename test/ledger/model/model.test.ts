import { expect, test } from 'vitest';
import { promote } from '../../../services/ledger/maintain/promote.ts';
import { reap } from '../../../services/ledger/maintain/rescue.ts';
import { claim } from '../../../services/ledger/run/claim.ts';
import { complete } from '../../../services/ledger/run/complete.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { emptyTables } from '../../support/database.ts';
import fc from '../../support/fast-check.ts';
import { isLong } from '../../support/long.ts';
import { ledgerFixture, START, TABLES } from '../fixture.ts';
import { commands, compare, type Real } from './commands.ts';
import { BACKOFF_SECONDS, LEASE_SECONDS, LIMITS, MAX_ATTEMPTS, Model, REGIONS, type Region, SLOTS } from './model.ts';

const on = ledgerFixture();

/** Whatever state the commands left: with time and a worker, every live job comes to an end. */
async function driveToTheEnd(model: Model, { ledger, clock }: Real): Promise<void> {
  for (let round = 0; round < 200; round++) {
    const live = await on.count("job_states WHERE state IN ('scheduled', 'blocked', 'ready', 'running')");
    if (live === 0) return;
    clock.advance({ seconds: LEASE_SECONDS + 1 });
    await reap(ledger);
    await promote(ledger);
    const { jobs } = await claim(ledger, 'the last worker', 10, undefined, undefined, { capabilities: REGIONS });
    await complete(
      ledger,
      'the last worker',
      jobs.map((job) => ({ job })),
    );
  }
  throw new Error(
    `jobs that nothing brings to an end: ${JSON.stringify(await on.db.rows('SELECT HEX(id) AS id, state, blocked_on FROM job_states WHERE ended_at IS NULL'))} of ${model.jobs.size}`,
  );
}

test('whatever happens in whatever order, the ledger does what a map and a few rules say', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.commands(commands, { maxCommands: 120, size: 'max' }), async (sequence) => {
      await emptyTables(on.db, TABLES);
      const clock = new ManualClock(START);
      const fetch = {
        ...{ maxAttempts: MAX_ATTEMPTS, backoffSeconds: BACKOFF_SECONDS, timeoutSeconds: 60, mayCompleteWithErrors: false },
        capabilityOf: ({ region }: Record<string, unknown>) => region as Region | undefined,
      };
      const real: Real = {
        clock,
        ledger: { ...on.ledger({ queues: LIMITS, types: { fetch }, slotsPerUser: SLOTS, leaseSeconds: LEASE_SECONDS }), clock },
      };
      const model = new Model();
      await fc.asyncModelRun(() => ({ model, real }), sequence);
      await compare(model, real);
      await driveToTheEnd(model, real);
      expect(await on.count('user_slots WHERE job_id IS NOT NULL')).toBe(0);
      expect(await on.count('slot_waits')).toBe(0);
    }),
    { numRuns: isLong ? 50 : 25, interruptAfterTimeLimit: 60_000 },
  );
});
