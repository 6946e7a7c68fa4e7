/** What a worker publishes, and what it makes of a broker that does not take it. */
import { expect, test } from 'vitest';
import { claim } from '../../services/ledger/run/claim.ts';
import { createPublisher } from '../../services/worker/publisher.ts';
import type { silent } from '../broker/peers.ts';
import { workshopOfFile } from './workshop.ts';

const shop = await workshopOfFile();

function publisher(publish: (kind: string, message: object) => Promise<void>) {
  const warnings: string[] = [];
  const announced: object[] = [];
  const made = createPublisher({
    ...{ bus: { publish }, ledger: shop.ledger, workerId: 'w1' },
    announcer: { changed: async (changes: object[]) => void announced.push(...changes) } as never,
    log: { warn: (_: object, text: string) => warnings.push(text) } as unknown as typeof silent,
  });
  return { ...made, warnings, announced };
}
const data = { symbol: 'AAPL', kind: 'bars', source: 'yahoo_finance', as_of: '2026-01-02T14:30:00Z' };

test('states go to the announcer and new data to the broker', async () => {
  const sent: [string, object][] = [];
  const { committed, announced, warnings } = publisher(async (kind, message) => void sent.push([kind, message]));
  const change = { id: 'j1', type: 'fetch', symbol: 'AAPL', state: 'completed', attempt: 1 } as const;
  await committed([change], [data]);
  expect([announced, sent, warnings]).toEqual([[change], [['data', data]], []]);
});

test('what the broker does not take is said, and nothing fails', async () => {
  await shop.enqueue({});
  const {
    jobs: [job],
  } = await claim(shop.ledger, 'w1', 1);
  const { committed, progress, warnings } = publisher(() => Promise.reject(new Error('no connection')));
  await committed([], [data]);
  await progress(job!);
  expect(warnings).toEqual(Array(2).fill('could not publish: no connection'));
});

test('progress tells the counts of the items, of which attempt, and by whom', async () => {
  const [id] = await shop.enqueue({});
  const {
    jobs: [job],
  } = await claim(shop.ledger, 'w1', 1);
  const sent: [string, object][] = [];
  await publisher(async (kind, message) => void sent.push([kind, message])).progress(job!);
  expect(sent).toEqual([
    [
      'status',
      {
        ...{ id, type: 'fetch', state: 'running', attempt: 1, worker: 'w1' },
        progress: { done: 0, total: 0, failed: 0, skipped: 0, no_data: 0 },
        at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      },
    ],
  ]);
});
