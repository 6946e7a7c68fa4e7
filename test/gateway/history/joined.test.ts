/** A download that two users asked for: the second sees what would be there had that user alone asked. */
import { expect, test } from 'vitest';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh({ 'gateway.callbacks.allow_private': true });
// Ten years have parts, which belong to nobody.
const DECADE = { root: 'AAPL', start_date: '2014-01-01', end_date: '2023-12-31', schema: 'quote', interval: '15m' };
const OF_BOB = ['bob', 'token-of-bobs-callback', 'key-of-bob'];

test('no answer about a joined download says anything of who asked first, and leaving it ends it for nobody else', async () => {
  const bob = await mesh.caller('user:bob');
  const alice = await mesh.caller('user:alice');
  const callback_url = 'http://127.0.0.1:9/?x=token-of-bobs-callback';
  const first = await bob.post('/v1/historical/option', {
    ...DECADE,
    user: 'bob',
    priority: 1,
    callback_url,
    idempotency_key: 'key-of-bob',
  });
  expect(first.status).toBe(202);
  const joined = await alice.post('/v1/historical/option', { ...DECADE, user: 'alice', idempotency_key: 'a' });
  expect(joined.body).toMatchObject({ job_id: first.body.job_id, outcome: 'joined' });
  const id = first.body.job_id;
  const gaps = { dataset: 'option', ...DECADE, user: 'alice' };
  const answers = [
    joined,
    await alice.get(`/v1/jobs/${id}`),
    await alice.get(`/jobs/${id}`),
    await alice.get(`/v1/jobs/${id}/items`),
    await alice.get(`/v1/jobs/${id}/callbacks`),
    await alice.get('/v1/jobs?user=alice'),
    await alice.post('/v1/historical/option?dry_run=true', DECADE),
    await alice.get('/v1/history/downloads'),
    await alice.post('/v1/history/gaps', gaps),
    await alice.get('/v1/history/coverage?root=AAPL&dataset=option&schema=quote&from=2023-12-01&to=2023-12-31'),
  ];
  for (const { status, body } of answers) {
    expect(status).toBeLessThan(300);
    for (const secret of OF_BOB) expect(JSON.stringify(body)).not.toContain(secret);
  }
  expect(answers[1]?.body).toMatchObject({ user: 'alice', subscribers: ['alice'], why: null, score: null, triggered_by: null });
  // The parts are jobs of nobody: a key of a user sees none, and ends none.
  const parts = (await mesh.operator.get('/v1/jobs?type=history&limit=50')).body.jobs.filter((job: { id: string }) => job.id !== id);
  expect(parts.length).toBe(10);
  for (const part of parts.slice(0, 2))
    for (const asked of [alice.get(`/v1/jobs/${part.id}`), alice.post(`/v1/jobs/${part.id}/cancel`)])
      expect((await asked).status).toBe(404);
  const left = await alice.post(`/v1/jobs/${id}/cancel`);
  expect(left.body).toEqual({ outcome: 'left', changes: [] });
  expect((await alice.get(`/v1/jobs/${id}`)).status).toBe(404);
  expect((await bob.get(`/v1/jobs/${id}`)).body.status).toBe('ready');
});
