/** The ends of jobs that somebody wants to be told of are committed with the jobs: each way in which a job ends. */
import { expect, test } from 'vitest';
import { cancel } from '../../../services/ledger/control.ts';
import { type Enqueued, enqueue } from '../../../services/ledger/enqueue/enqueue.ts';
import type { Ledger } from '../../../services/ledger/job.ts';
import { expire } from '../../../services/ledger/maintain/expire.ts';
import { claim } from '../../../services/ledger/run/claim.ts';
import { complete, fail } from '../../../services/ledger/run/complete.ts';
import { ledgerFixture, permanent, request, transient } from '../fixture.ts';

const fixture = ledgerFixture();
/** Ends of analyses, and failures of any type. */
const tells: Ledger['tells'] = { failed: true, ended: new Map([['analysis', 'backfill.ended']]) };
const ledger = () => fixture.ledger({ tells });

async function told(): Promise<unknown[]> {
  const rows = await fixture.db.rows<{ name: string; severity: string; subject: string; state: string }>(
    "SELECT name, severity, subject, JSON_UNQUOTE(JSON_EXTRACT(details, '$.state')) AS state FROM notify_events ORDER BY id",
  );
  await fixture.db.run('DELETE FROM notify_events');
  return rows;
}
async function running(type: string) {
  const [answer] = await enqueue(ledger(), [request({ type })]);
  const { jobs } = await claim(ledger(), 'worker-1', 10);
  return jobs.find(({ id }) => id === (answer as Enqueued).id)!;
}

test('a job that completes is told where its type is wanted, and nowhere else', async () => {
  const [analysis, fetch] = [await running('analysis'), await running('fetch')];
  await complete(ledger(), 'worker-1', [{ job: analysis }, { job: fetch }]);
  expect(await told()).toEqual([{ name: 'backfill.ended', severity: 'info', subject: `job:${analysis.id}`, state: 'completed' }]);
});

test('a failure is told when it is final, once for the failure and once for the end that is wanted', async () => {
  const job = await running('analysis');
  await fail(ledger(), 'worker-1', [{ job, error: permanent() }]);
  expect(await told()).toEqual([
    { name: 'backfill.ended', severity: 'warning', subject: `job:${job.id}`, state: 'failed' },
    { name: 'job.failed', severity: 'warning', subject: `job:${job.id}`, state: 'failed' },
  ]);
  await fail(ledger(), 'worker-1', [{ job: await running('fetch'), error: transient() }]);
  expect(await told()).toEqual([]);
});

test('a job that is cancelled, or waits too long, is told too', async () => {
  const [first, second] = await enqueue(ledger(), [request({ type: 'analysis' }), request({ type: 'analysis', symbol: 'IBM' })]);
  await cancel(ledger(), (first as Enqueued).id, 'not wanted');
  fixture.clock.advance({ hours: 10 });
  await expire(ledger(), 'ready');
  expect(await told()).toMatchObject([
    { subject: `job:${(first as Enqueued).id}`, state: 'cancelled', severity: 'info' },
    { subject: `job:${(second as Enqueued).id}`, state: 'expired', severity: 'warning' },
  ]);
});

test('a job that ends because what it needed failed is told with its own reason', async () => {
  const [fetched] = (await enqueue(ledger(), [request({ type: 'fetch', dedupeKey: 'fetch:AAPL' })])) as Enqueued[];
  const [needs] = (await enqueue(ledger(), [request({ type: 'analysis', after: ['fetch:AAPL'] })])) as Enqueued[];
  const { jobs } = await claim(ledger(), 'worker-1', 10);
  await fail(ledger(), 'worker-1', [{ job: jobs[0]!, error: permanent() }]);
  expect(await told()).toMatchObject([
    { name: 'job.failed', subject: `job:${fetched!.id}` },
    { name: 'backfill.ended', subject: `job:${needs!.id}` },
    { name: 'job.failed', subject: `job:${needs!.id}` },
  ]);
});

test('nothing is told of a transaction that is rolled back', async () => {
  const job = await running('analysis');
  const store = async () => {
    throw new Error('no room');
  };
  await expect(complete(ledger(), 'worker-1', [{ job }], store)).rejects.toThrow('no room');
  expect(await told()).toEqual([]);
});

test('where no route wants ends of jobs nothing is written', async () => {
  const job = await running('analysis');
  await complete(fixture.ledger(), 'worker-1', [{ job }]);
  expect(await told()).toEqual([]);
});
