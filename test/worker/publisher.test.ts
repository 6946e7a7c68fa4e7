/** What a worker publishes, and what it makes of a broker that does not take it. */
import { expect, test } from 'vitest';
import { claim } from '../../services/ledger/run/claim.ts';
import { recordItems } from '../../services/ledger/run/items.ts';
import type { Database } from '../../services/platform/database/database.ts';
import { createPublisher } from '../../services/worker/publisher.ts';
import type { silent } from '../broker/peers.ts';
import { workshopOfFile } from './workshop.ts';

const shop = await workshopOfFile();

function publisher(publish: (kind: string, message: object) => Promise<void>, ledger = shop.ledger) {
  const warnings: string[] = [];
  const announced: object[] = [];
  const made = createPublisher({
    ...{ bus: { publish }, ledger, workerId: 'w1' },
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
        progress: { done: 0, total: 0, failed: 0, skipped: 0, no_data: 0, not_entitled: 0, not_yet: 0 },
        at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      },
    ],
  ]);
});

test('the progress of a part is that of the waiting job too, which is looked for once', async () => {
  const [whole, first, second] = await shop.enqueue(
    { type: 'batch_fetch', symbol: 'SPY', dedupeKey: 'whole', parts: ['first', 'second'] },
    { type: 'batch_fetch', dedupeKey: 'first', items: ['a', 'b'] },
    { type: 'batch_fetch', dedupeKey: 'second', items: ['c'] },
  );
  const { jobs } = await claim(shop.ledger, 'w1', 10);
  const part = jobs.find(({ id }) => id === first);
  const sent: object[] = [];
  let looked = 0;
  const sql: Database = {
    ...shop.db,
    rows: (text, params) => {
      if (/JOIN blocked b .*is_part = 1/s.test(text)) looked++;
      return shop.db.rows(text, params);
    },
  };
  const { progress } = publisher(async (_, message) => void sent.push(message), { ...shop.ledger, db: sql });
  for (const key of ['a', 'b']) {
    await shop.db.transaction((tx) => recordItems(tx, shop.ledger, first!, [{ key, state: 'done' }]));
    await progress(part!);
  }
  expect(sent).toMatchObject([
    ...[
      { id: first, progress: { done: 1, total: 2 } },
      { id: whole, symbol: 'SPY', state: 'running', attempt: 0, progress: { done: 1, total: 3 } },
    ],
    ...[
      { id: first, progress: { done: 2, total: 2 } },
      { id: whole, progress: { done: 2, total: 3 } },
    ],
  ]);
  expect([looked, second === undefined]).toEqual([1, false]);
});
