import { expect, test } from 'vitest';
import { enqueue } from '../../../services/ledger/enqueue/enqueue.ts';
import { acceptedJson, refusalJson, submit } from '../../../services/ledger/enqueue/submit.ts';
import { ledgerFixture, request } from '../fixture.ts';

const on = ledgerFixture();

test('of two requests for the same work one has made the job, and the other has joined it', async () => {
  const requests = [request({ symbol: 'AAPL', dedupeKey: 'a', level: 3 }), request({ symbol: 'AAPL', dedupeKey: 'a', level: 2 })];
  const { accepted, refused } = await submit(requests, (all) => enqueue(on.ledger(), all));
  expect(refused).toEqual([]);
  expect(accepted.map(({ index, outcome }) => [index, outcome])).toEqual([
    [0, 'joined'],
    [1, 'queued'],
  ]);
  expect(new Set(accepted.map((one) => acceptedJson(one).id)).size).toBe(1);
});

test('what a full queue refuses is said with its place among the requests', async () => {
  const ledger = on.ledger({ queues: { ...on.ledger().queues, foreground: { maxJobs: 1, ttlSeconds: 300 } } });
  const requests = [request({ symbol: 'AAPL' }), request({ symbol: 'IBM' })];
  const { accepted, refused } = await submit(requests, (all) => enqueue(ledger, all));
  expect(accepted.map(acceptedJson)).toMatchObject([{ symbol: 'AAPL', state: 'ready', queue: 'foreground', outcome: 'queued' }]);
  expect(refused).toMatchObject([{ index: 1, code: 'queue.full' }]);
  expect(refused.map(refusalJson)).toMatchObject([
    {
      type: 'fetch',
      symbol: 'IBM',
      reason: expect.stringContaining('foreground holds 1 jobs (queue.priority_queues.foreground.max_jobs)'),
    },
  ]);
});
