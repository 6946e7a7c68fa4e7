/** Many jobs changed at once. How many there are in each state afterwards is counted by SQL. */
import { beforeEach, expect, test } from 'vitest';
import { SLICE } from '../../../services/ledger/bulk.ts';
import { setJobs } from '../../support/job-rows.ts';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh();

const symbols = (count: number, from = 0) => Array.from({ length: count }, (_, index) => `S${from + index}`);
async function ask(names: readonly string[]): Promise<string[]> {
  const ids: string[] = [];
  for (let at = 0; at < names.length; at += 100) {
    const jobs = names.slice(at, at + 100).map((symbol) => ({ type: 'fetch', symbol, analyse: false }));
    ids.push(...(await mesh.operator.post('/v1/jobs', { jobs })).body.jobs.map(({ id }: { id: string }) => id));
  }
  return ids;
}
const states = async (): Promise<Record<string, number>> =>
  Object.fromEntries(
    (await mesh.db.rows<{ state: string; n: number }>('SELECT state, COUNT(*) AS n FROM job_states GROUP BY state')).map(({ state, n }) => [
      state,
      n,
    ]),
  );
const fail = () => setJobs(mesh.db, { state: 'failed', ended_at: new Date() }, "state = 'ready'");
const bulk = async (body: object) => (await mesh.operator.post('/v1/jobs/bulk', body)).body;

async function whole(body: object): Promise<{ calls: number; done: number; left: { code: string }[] }> {
  const sum = { calls: 0, done: 0, left: [] as { code: string }[] };
  for (let cursor: string | undefined; ; ) {
    const { done, left, next } = await bulk({ ...body, ...(cursor === undefined ? {} : { cursor }) });
    sum.calls++;
    sum.done += done.length;
    sum.left.push(...left);
    if (next === null) return sum;
    cursor = next;
  }
}

beforeEach(() => mesh.db.run('DELETE FROM audit_log'));

test('all that match are cancelled, in slices, each once, and no other', async () => {
  await ask(symbols(2 * SLICE + 30));
  const other = await mesh.operator.post('/v1/jobs', { type: 'backfill', symbol: 'AAPL', from: '2024-01-02', to: '2024-01-05' });
  const filter = { type: 'fetch', state: ['ready'] };
  expect(await bulk({ action: 'cancel', filter, dry_run: true })).toMatchObject({ matched: 2 * SLICE + 30, at_least: false, done: [] });
  expect(await states()).toEqual({ ready: 2 * SLICE + 31 });
  expect(await whole({ action: 'cancel', filter })).toEqual({ calls: 3, done: 2 * SLICE + 30, left: [] });
  expect(await states()).toEqual({ cancelled: 2 * SLICE + 30, ready: 1 });
  expect((await mesh.operator.get(`/v1/jobs/${other.body.jobs[0].id}`)).body.state).toBe('ready');
  const details = (await mesh.operator.get('/v1/audit?action=job.cancel')).body.rows.map((row: { details: string }) => row.details);
  expect(details.toReversed()).toEqual([SLICE, SLICE, 30].map((number) => `${number} jobs at once: ${JSON.stringify(filter)}`));
});

test('failed jobs are redriven; one whose work a live job does is left, and named', async () => {
  await ask(symbols(20));
  await fail();
  const [live] = await ask(['S3']);
  const { done, left } = await whole({ action: 'redrive', filter: {} });
  expect([done, left]).toEqual([19, [{ id: expect.any(String), code: 'job.superseded', reason: expect.any(String) }]]);
  expect(await states()).toEqual({ ready: 20, failed: 1 });
  expect((await mesh.operator.get('/v1/jobs?symbol=S3&state=ready')).body.jobs.map(({ id }: { id: string }) => id)).toEqual([live]);
});

test('jobs that are named are changed where they can be, and each other says why not', async () => {
  const [ready, failed] = await ask(['S0', 'S1']);
  await mesh.operator.post(`/v1/jobs/${failed}/cancel`);
  const unknown = '01932c07-5f2a-7000-8a3b-0123456789ab';
  const ids = [ready, failed, unknown];
  expect(await bulk({ action: 'cancel', ids, dry_run: true })).toMatchObject({ matched: 1 });
  expect(await bulk({ action: 'cancel', ids })).toMatchObject({
    ...{ done: [ready], next: null },
    left: [
      { id: failed, code: 'job.ended' },
      { id: unknown, code: 'job.unknown' },
    ],
  });
  expect((await bulk({ action: 'retry', ids: [ready, failed] })).done.toSorted()).toEqual([ready, failed].toSorted());
  expect(await bulk({ action: 'retry', ids: [ready] })).toMatchObject({ done: [], left: [{ code: 'job.live' }] });
});

test('a job that is cancelled with the one that it waits for is cancelled once', async () => {
  const { body } = await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL' });
  const ids = body.jobs.map(({ id }: { id: string }) => id);
  expect(ids).toHaveLength(2);
  expect((await bulk({ action: 'cancel', ids })).done.toSorted()).toEqual(ids.toSorted());
  expect(await states()).toEqual({ cancelled: 2 });
});

test.each([
  [{ action: 'cancel' }, 'jobs.which'],
  [{ action: 'cancel', filter: { state: ['failed'] } }, 'jobs.unfit_state'],
  [{ action: 'retry', filter: { state: ['failed', 'scheduled'] } }, 'jobs.mixed_states'],
  [{ action: 'redrive', filter: {}, cursor: 'x' }, 'jobs.bad_cursor'],
  [{ action: 'redrive', filter: {}, cursor: 'x~01932c07-5f2a-7000-8a3b-0123456789ab' }, 'jobs.bad_cursor'],
  [{ action: 'redrive', filter: {}, cursor: '1~nothing' }, 'jobs.bad_cursor'],
  [{ action: 'redrive', filter: {}, cursor: '999999999999999~01932c07-5f2a-7000-8a3b-0123456789ab' }, 'jobs.bad_cursor'],
])('%j is refused with %s, and nothing changes', async (body, code) => {
  await ask(symbols(2));
  expect((await bulk(body)).code).toBe(code);
  expect(await states()).toEqual({ ready: 2 });
});
