/** Ends of a request that waits for the end of its job, other than the end of the job. */
import { expect, test } from 'vitest';
import { type Caller, gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh();
const waiting = (caller: Caller) =>
  caller.post('/v1/historical/option?mode=sync', { root: 'AAPL', start_date: '2024-01-02', end_date: '2024-01-05', schema: 'quote' });

/** Once the job is there, which nobody runs, the request waits. */
async function waits(): Promise<void> {
  await expect.poll(async () => (await mesh.operator.get('/v1/jobs?type=history')).body.jobs.length).toBe(1);
}

test('when its key is revoked it is told of its job, and learns no more of it', async () => {
  const caller = await mesh.caller('jobs', 'read');
  const answer = waiting(caller);
  await waits();
  await mesh.operator.post(`/v1/keys/${caller.id}/revoke`);
  expect(await answer).toMatchObject({ status: 202, body: { status: 'accepted', outcome: 'queued' } });
});

test('when the gateway stops it is told of its job, which another gateway shows', async () => {
  const answer = waiting(mesh.operator);
  await waits();
  await mesh.gateway.drain();
  const { status, body } = await answer;
  expect([status, body.outcome]).toEqual([202, 'queued']);
  expect(await mesh.db.rows('SELECT state FROM job_states WHERE id = ?', [Buffer.from(body.job_id.replaceAll('-', ''), 'hex')])).toEqual([
    { state: 'ready' },
  ]);
});
