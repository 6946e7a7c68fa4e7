/** The search of jobs as it is asked over HTTP; what it finds is tried in test/ledger/read/search.test.ts. */
import { expect, test } from 'vitest';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh();
const fetchOf = (symbol: string, more: object = {}) => ({ type: 'fetch', symbol, analyse: false, ...more });
const ask = async (...jobs: object[]): Promise<string[]> =>
  (await mesh.operator.post('/v1/jobs', { jobs })).body.jobs.map(({ id }: { id: string }) => id);
const idsOf = async (query: string): Promise<string[]> =>
  (await mesh.operator.get(`/v1/jobs?${query}`)).body.jobs.map(({ id }: { id: string }) => id);

test('several states, an age and the order of the claims stand in the query', async () => {
  const [low, high, gone] = await ask(fetchOf('A', { priority: 3 }), fetchOf('B', { priority: 1 }), fetchOf('C'));
  await mesh.operator.post(`/v1/jobs/${gone}/cancel`);
  expect(await idsOf('sort=urgent')).toEqual([high, low]);
  expect(await idsOf('state=ready,cancelled')).toEqual([gone, high, low]);
  expect(await idsOf('sort=ended')).toEqual([gone]);
  expect(await idsOf('reason=by%20HAND')).toEqual([gone]);
  expect(await idsOf('code=job.cancelled')).toEqual([gone]);
  expect(await idsOf('max_age=3600')).toHaveLength(3);
  expect(await idsOf('min_age=3600')).toEqual([]);
});

test('a page has the cursor of the next one in every order', async () => {
  const ids = await ask(...Array.from({ length: 7 }, (_, index) => fetchOf(`S${index}`, { priority: 1 + (index % 3) })));
  for (const sort of ['newest', 'oldest', 'urgent']) {
    const found: string[] = [];
    for (let cursor = ''; ; ) {
      const { body } = await mesh.operator.get(`/v1/jobs?sort=${sort}&limit=3${cursor}`);
      found.push(...body.jobs.map(({ id }: { id: string }) => id));
      if (body.next === null) break;
      cursor = `&cursor=${encodeURIComponent(body.next)}`;
    }
    expect([sort, found.toSorted()]).toEqual([sort, ids.toSorted()]);
  }
});

test('an unknown state is refused by name, and so is one without the order', async () => {
  const { status, body } = await mesh.operator.get('/v1/jobs?state=failed,lost');
  expect([status, body.code, body.detail]).toEqual([400, 'request.invalid', expect.stringContaining('failed')]);
  expect((await mesh.operator.get('/v1/jobs?state=failed&sort=urgent')).body.code).toBe('jobs.bad_sort');
});

test('counts and codes take the filters of the list', async () => {
  const [, gone] = await ask(fetchOf('A'), fetchOf('B'), fetchOf('C'));
  await mesh.operator.post(`/v1/jobs/${gone}/cancel`);
  expect((await mesh.operator.get('/v1/jobs/counts')).body).toMatchObject({ counts: { ready: 2, cancelled: 1, failed: 0 }, at_least: [] });
  expect((await mesh.operator.get('/v1/jobs/counts?symbol=A&state=ready,failed')).body.counts).toEqual({ ready: 1, failed: 0 });
  expect((await mesh.operator.get('/v1/jobs/codes')).body.groups).toMatchObject([
    { code: 'job.cancelled', jobs: 1, newest_id: gone, reason: 'cancelled by hand' },
  ]);
});

test('a key of a user counts and groups the jobs of that user alone', async () => {
  const alice = await mesh.caller('user:alice');
  const [mine, others] = await ask(fetchOf('A', { user: 'alice' }), fetchOf('B', { user: 'bob' }));
  for (const id of [mine, others]) await mesh.operator.post(`/v1/jobs/${id}/cancel`);
  expect((await alice.get('/v1/jobs/counts')).body.counts.cancelled).toBe(1);
  expect((await alice.get('/v1/jobs/codes')).body.groups).toMatchObject([{ jobs: 1, newest_id: mine }]);
  expect((await alice.get('/v1/jobs?sort=ended')).body.jobs).toMatchObject([{ id: mine }]);
  expect((await alice.get('/v1/jobs/counts?user=bob')).status).toBe(403);
});
