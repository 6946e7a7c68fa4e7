/** How long the items of a job still take. The numbers are the pace itself: so many items in so many seconds of a clock that is moved by hand. */
import { expect, test } from 'vitest';
import { readJob } from '../../../services/ledger/read/jobs.ts';
import { secondsLeft } from '../../../services/ledger/read/pace.ts';
import { commitPart } from '../../../services/ledger/run/complete.ts';
import { type ItemResult, recordItems } from '../../../services/ledger/run/items.ts';
import { ledgerFixture } from '../fixture.ts';

const on = ledgerFixture();

test('the pace of the last items tells how long the others take, in a part too; none is told before two were asked for', async () => {
  const items = Array.from({ length: 12 }, (_, index) => `i${index}`);
  const [whole] = await on.add(
    { type: 'batch_fetch', dedupeKey: 'whole', parts: ['part'] },
    { type: 'batch_fetch', dedupeKey: 'part', items },
  );
  const [part] = await on.take();
  const record = (key: string, state: ItemResult['state']): Promise<boolean> =>
    commitPart(on.ledger(), 'worker-1', part!, (tx) => recordItems(tx, on.ledger(), part!.id, [{ key, state }]));
  const left = async (): Promise<number | null> => secondsLeft(on.ledger(), (await readJob(on.db, whole!))!, 0.15);

  await record('i0', 'skipped');
  await record('i1', 'done');
  expect(await left()).toBeNull();
  on.clock.advance({ seconds: 10 });
  await record('i2', 'no_data');
  // Nine are left, and two took ten seconds.
  expect(await left()).toBe(45);
});
