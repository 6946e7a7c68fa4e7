import { beforeEach, expect, test } from 'vitest';
import { type Enqueued, enqueue, type JobRequest } from '../../../services/ledger/enqueue/enqueue.ts';
import { createEstimator, type Estimate, jobToEstimate } from '../../../services/ledger/read/estimate.ts';
import { reportInstance } from '../../../services/platform/registry/instances.ts';
import { ledgerFixture, request } from '../fixture.ts';

const on = ledgerFixture();
beforeEach(async () => {
  await on.db.run('DELETE FROM instances');
});

async function online(instance: string, capacity: number, { service = 'worker', secondsAgo = 0 } = {}): Promise<void> {
  const at = new Date(on.clock.now().epochMilliseconds - secondsAgo * 1000);
  const session = crypto.randomUUID();
  await reportInstance(on.db, { instance, service, session, capacity, running: 0, started_at: at, heartbeat_at: at });
}

/** Completed jobs that took so many seconds each. */
async function measured(...seconds: number[]): Promise<void> {
  for (const one of seconds) {
    const job = await on.running();
    on.clock.advance({ seconds: one });
    await on.done(job);
  }
}

/** Enqueues and estimates in one go, with an estimator that has read nothing before. */
async function estimated(...requests: Partial<JobRequest>[]): Promise<Estimate[]> {
  const ledger = on.ledger();
  const answers = (await enqueue(ledger, requests.map(request))) as Enqueued[];
  return await createEstimator(ledger).estimate(answers.map(jobToEstimate));
}

test('a job starts after those before it in claim order, a median each, divided by the live slots', async () => {
  await measured(2, 100, 6);
  await online('w1', 3);
  await online('w2', 1);
  await on.add({ level: 1 }, { level: 4 }, { level: 4, score: 1 }, { level: 9 });
  // The median of 2, 6 and 100 s is 6 s. Before a job of level 4: one of level 1, one of a better score, one of the same that came first.
  expect(await estimated({ level: 4 })).toEqual([{ position: 3, startSeconds: (3 * 6) / 4, completionSeconds: (3 * 6) / 4 + 6 }]);
});

test.each([
  [[2, 4], 2],
  [[8, 2, 4, 6], 4],
  [[3], 3],
])('of jobs that took %j seconds half took at most %d', async (seconds, median) => {
  await measured(...seconds);
  await online('w1', 1);
  expect(await estimated({})).toEqual([{ position: 0, startSeconds: 0, completionSeconds: median }]);
});

test('an estimate is told with two decimals', async () => {
  await measured(2);
  await online('w1', 3);
  await on.add({});
  expect(await estimated({})).toEqual([{ position: 1, startSeconds: 0.67, completionSeconds: 2.67 }]);
});

test('jobs of one priority stand in the order of their arrival, also those of one call', async () => {
  await measured(2);
  await online('w1', 1);
  await on.add({ level: 2 }, { level: 2 });
  const positions = (await estimated({ level: 2 }, { level: 3 }, { level: 2 })).map(({ position }) => position);
  expect(positions).toEqual([2, 4, 3]);
});

test('only workers with a heartbeat within the lease have slots', async () => {
  await measured(4);
  await on.add({}, {});
  await online('gateway-1', 50, { service: 'gateway' });
  await online('dead', 50, { secondsAgo: 61 });
  expect(await estimated({})).toEqual([{ position: 2, startSeconds: null, completionSeconds: null }]);
  await online('late', 2, { secondsAgo: 60 });
  expect(await estimated({})).toEqual([{ position: 3, startSeconds: 6, completionSeconds: 10 }]);
});

test('a type that was never measured has a position and no time', async () => {
  await measured(4);
  await online('w1', 1);
  expect(await estimated({ type: 'analysis' })).toEqual([{ position: 0, startSeconds: null, completionSeconds: null }]);
});

test('one that starts later has no position, one that runs or has ended waits for nobody', async () => {
  await measured(4);
  await online('w1', 1);
  const later = new Date(on.clock.now().epochMilliseconds + 60_000);
  const [fresh] = (await enqueue(on.ledger(), [request({ dedupeKey: 'fetch:AAPL' })])) as [Enqueued];
  await on.add({});
  expect(await estimated({ runAt: later })).toEqual([{ position: null, startSeconds: null, completionSeconds: null }]);
  const states = (['running', 'completed'] as const).map((state) => ({ ...jobToEstimate(fresh), state }));
  expect(await createEstimator(on.ledger()).estimate(states)).toEqual([
    { position: 0, startSeconds: 0, completionSeconds: 4 },
    { position: 0, startSeconds: 0, completionSeconds: 0 },
  ]);
});
