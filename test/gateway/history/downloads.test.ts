/** The downloads that were asked for, and what filling gaps would take. Trading days: 2014-2023 had 2,516 of them (NYSE); 2 to 10 January 2024 has seven. */
import { expect, test } from 'vitest';
import { idToBytes } from '../../../services/ledger/id.ts';
import { recordItems } from '../../../services/ledger/run/items.ts';
import { setJobs } from '../../support/job-rows.ts';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh();
const DAYS = { root: 'AAPL', start_date: '2024-01-02', end_date: '2024-01-10', schema: 'quote', interval: '15m' };
const ask = async (body: object = DAYS): Promise<string> => (await mesh.operator.post('/v1/historical/option', body)).body.job_id;
const list = async (query = '') => (await mesh.operator.get(`/v1/history/downloads${query}`)).body;

test('a download is listed with what it is and its objects by state', async () => {
  const id = await ask({ ...DAYS, max_dte: 7 });
  const { downloads, next } = await list();
  expect([downloads.length, next]).toEqual([1, null]);
  expect(downloads[0]).toMatchObject({
    ...{ job_id: id, state: 'ready', root: 'AAPL', dataset: 'option', schema: 'quote', interval: '15m' },
    ...{ from: '2024-01-02', to: '2024-01-10', max_dte: 7, base_pct: 0.1, force_refresh: false },
    ...{ items: { pending: 7, done: 0, total: 7 }, items_per_minute: null, eta_seconds: null },
  });
});

test('the pace is that of the last minutes, and the time left follows from it', async () => {
  const id = await ask();
  const { body } = await mesh.operator.get(`/v1/jobs/${id}/items`);
  const tried = body.items.slice(0, 3).map(({ key }: { key: string }) => ({ key, state: 'done' }));
  await mesh.db.transaction((tx) => recordItems(tx, mesh.ledger, id, tried));
  await mesh.db.run("UPDATE job_items SET updated_at = updated_at - INTERVAL 60 SECOND WHERE job_id = ? AND state = 'done'", [
    idToBytes(id),
  ]);
  const [row] = (await list()).downloads;
  expect(row.items).toMatchObject({ done: 3, pending: 4 });
  // Three objects in a minute and the moment since: at most three a minute, and four more take at least 80 s.
  expect(row.items_per_minute).toBeLessThanOrEqual(3);
  expect(row.eta_seconds).toBeGreaterThanOrEqual(80);
  expect(row.eta_seconds).toBeCloseTo((4 * 60) / row.items_per_minute, 0);
});

test('the parts of a long download are counted with it, and are no downloads of their own', async () => {
  const id = await ask({ ...DAYS, start_date: '2014-01-01', end_date: '2023-12-31' });
  const { downloads } = await list();
  expect(downloads.map((one: { job_id: string }) => one.job_id)).toEqual([id]);
  expect(downloads[0].items).toMatchObject({ total: 2516, pending: 2516 });
  const part = (await mesh.operator.get(`/v1/jobs/${id}`)).body.needs[0].id;
  await setJobs(mesh.db, { state: 'running', worker_id: 'a', started_at: new Date() }, 'id = ?', [idToBytes(part)]);
  expect((await list()).downloads[0].state).toBe('running');
});

test('they come newest first and of one root where one is named, and a page goes on behind the last', async () => {
  const [first, second] = [await ask(), await ask({ ...DAYS, root: 'MSFT' })];
  const ids = async (query: string) => (await list(query)).downloads.map((one: { job_id: string }) => one.job_id);
  expect(await ids('')).toEqual([second, first]);
  expect(await ids('?root=AAPL')).toEqual([first]);
  expect(await ids(`?cursor=${second}`)).toEqual([first]);
});

test('a key of a user sees the own downloads alone', async () => {
  await ask();
  const alice = await mesh.caller('user:alice');
  expect((await alice.get('/v1/history/downloads')).body.downloads).toEqual([]);
  await alice.post('/v1/historical/option', { ...DAYS, root: 'MSFT', user: 'alice' });
  const { downloads } = (await alice.get('/v1/history/downloads')).body;
  expect(downloads.map(({ root, user }: { root: string; user: string }) => [root, user])).toEqual([['MSFT', 'alice']]);
});

test('filling gaps says first what it takes, and asks for nothing', async () => {
  const { status, body } = await mesh.operator.post('/v1/history/gaps?dry_run=true', { dataset: 'option', ...DAYS });
  expect([status, body.dry_run, body.days, body.to_download]).toEqual([200, true, 7, 7]);
  expect(body.downloads).toEqual([{ from: '2024-01-02', to: '2024-01-10' }]);
  expect(body.expected).toEqual({ download: 7, skipped: 0, no_data: 0, not_yet: 0 });
  expect(await mesh.db.rows('SELECT id FROM jobs')).toEqual([]);
});
