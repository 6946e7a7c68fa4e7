/** Watching a download of parts over HTTP from its beginning to its end. The worker is played by the ledger's own functions. */
import { expect, test } from 'vitest';
import { claim } from '../../../services/ledger/run/claim.ts';
import { commitPart, complete } from '../../../services/ledger/run/complete.ts';
import { listItems, recordItems } from '../../../services/ledger/run/items.ts';
import { listen } from '../live/event-source.ts';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh({ 'history.items_per_job': 2 });

test('whoever watches a download of parts sees it wait, run with the sum of its items, and end', { timeout: 30_000 }, async () => {
  // Four trading days: two parts of two items.
  const { body } = await mesh.operator.post('/v1/historical/option', {
    ...{ root: 'AAPL', start_date: '2024-01-02', end_date: '2024-01-05', schema: 'quote' },
  });
  const status = async () => (await mesh.operator.get(`/jobs/${body.job_id}`)).body;
  const stream = await listen(`${mesh.gateway.url}${body.status_url}/events`, mesh.operator);
  await expect.poll(() => stream.of('state').map(({ state }) => state)).toEqual(['ready']);
  expect(await status()).toMatchObject({ status: 'ready', updated_at: (await status()).created_at });

  const { ledger, db } = mesh;
  const { jobs: parts } = await claim(ledger, 'worker-7', 10);
  expect(parts).toHaveLength(2);
  await expect.poll(() => stream.of('state').at(-1), { timeout: 10_000 }).toMatchObject({ state: 'running', items: { pending: 4 } });
  const before = await status();
  const [key] = (await listItems(db, parts[0]!.id, { limit: 1 })).map((item) => item.key);
  await commitPart(ledger, 'worker-7', parts[0]!, (tx) => recordItems(tx, ledger, parts[0]!.id, [{ key: key!, state: 'done' }]));
  const after = await status();
  expect(after).toMatchObject({ status: 'running', progress: { completed: 1, total: 4, percentage: 25 } });
  expect(after.updated_at > before.updated_at).toBe(true);
  await expect.poll(() => stream.of('progress').at(-1), { timeout: 10_000 }).toMatchObject({ items: { done: 1, pending: 3 } });

  await complete(
    ledger,
    'worker-7',
    parts.map((job) => ({ job })),
  );
  const { jobs: whole } = await claim(ledger, 'worker-7', 10);
  expect(whole.map(({ id }) => id)).toEqual([body.job_id]);
  await complete(ledger, 'worker-7', [{ job: whole[0]!, withErrors: '3 of 4 were not tried' }]);
  await stream.ended;
  expect(stream.of('end')).toEqual([{ id: body.job_id, state: 'completed_with_errors' }]);
  expect(stream.of('state').some(({ state }) => state === 'blocked')).toBe(false);
});
