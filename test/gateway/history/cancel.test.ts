/** Cancelling a download of many objects over HTTP. */
import { expect, test } from 'vitest';
import { claim } from '../../../services/ledger/run/claim.ts';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh({ 'history.items_per_job': 100 });

test('cancelling a download tells the worker of each of its parts', async () => {
  const { body } = await mesh.operator.post('/v1/historical/option', {
    ...{ root: 'AAPL', start_date: '2023-01-01', end_date: '2023-12-31', schema: 'quote', interval: 900_000 },
  });
  // 2023 had 250 trading days (NYSE): three parts of at most a hundred.
  const { jobs } = await claim(mesh.ledger, 'worker-7', 10);
  expect(jobs).toHaveLength(3);
  const told: string[] = [];
  const subscription = mesh.connect('worker').subscribe('control', { concurrency: 1 }, ({ body: message }) => {
    if (message.action === 'cancel') told.push(message.job_id);
  });
  await subscription.ready;
  const { body: answer } = await mesh.operator.post(`/v1/jobs/${body.job_id}/cancel`);
  expect(answer.changes.map(({ state }: { state: string }) => state)).toEqual(['cancelled', 'cancelled', 'cancelled', 'cancelled']);
  await expect.poll(() => told.toSorted()).toEqual(jobs.map(({ id }) => id).sort());
  await subscription.close();
});
