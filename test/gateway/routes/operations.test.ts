import { expect, test } from 'vitest';
import { claim } from '../../../services/ledger/run/claim.ts';
import { reportInstance } from '../../../services/platform/registry/instances.ts';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh();
const alive = (instance: string, secondsAgo: number) =>
  reportInstance(mesh.db, {
    ...{ instance, service: 'worker', session: crypto.randomUUID(), capacity: 5, running: 1 },
    started_at: new Date(),
    heartbeat_at: new Date(Date.now() - secondsAgo * 1000),
  });

test('the metrics count what waits, runs and works', async () => {
  await mesh.operator.post('/v1/jobs', { jobs: ['A', 'B', 'C'].map((symbol) => ({ type: 'fetch', symbol, analyse: false })) });
  await claim(mesh.ledger, 'w1', 1);
  await alive('w1', 0);
  await alive('dead', 3600);
  const { body } = await mesh.operator.get('/v1/stats');
  expect(body).toMatchObject({ depth: { 3: 2 }, enqueued_last_minute: 3, workers: { online: 1, slots: 5, busy: 1, utilisation: 0.2 } });
  expect(body.queues).toContainEqual(expect.objectContaining({ queue: 'foreground', ready: 2, running: 1 }));
});

test('workers are told with what each runs, dead ones are not', async () => {
  const { body } = await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'A', analyse: false });
  await claim(mesh.ledger, 'w1', 1);
  await alive('w1', 0);
  await alive('dead', 3600);
  const { instances } = (await mesh.operator.get('/v1/workers')).body;
  expect(instances).toMatchObject([{ instance: 'w1', service: 'worker', capacity: 5, jobs: [{ id: body.jobs[0].id, symbol: 'A' }] }]);
});

test('alerts are told, those that are raised first', async () => {
  const row = (name: string, state: string) => [name, state, 2, 1, new Date('2026-03-03T16:00:00Z'), `${name} is beyond`];
  await mesh.db.run('INSERT INTO alerts (name, state, value, threshold, since, text) VALUES ?', [
    [row('a', 'cleared'), row('b', 'raised')],
  ]);
  expect((await mesh.operator.get('/v1/alerts')).body.alerts.map(({ name, state }: Record<string, string>) => [name, state])).toEqual([
    ['b', 'raised'],
    ['a', 'cleared'],
  ]);
  expect((await mesh.operator.get('/v1/alerts?state=raised')).body.alerts).toEqual([
    { name: 'b', state: 'raised', value: 2, threshold: 1, since: '2026-03-03T16:00:00.000Z', text: 'b is beyond' },
  ]);
});

test('automatic fetching is on until it is switched off, and it is told by whom', async () => {
  expect((await mesh.operator.get('/v1/auto-fetch')).body).toEqual({ enabled: true, changed_by: null, changed_at: null });
  expect((await mesh.operator.post('/v1/auto-fetch', { enabled: false })).body).toMatchObject({ enabled: false, changed_by: 'admin' });
  expect((await mesh.operator.post('/v1/auto-fetch', { enabled: true })).body).toMatchObject({ enabled: true });
});

test('metrics name the time of each route, and what the gateway is connected to', async () => {
  await mesh.operator.get('/v1/stats');
  const { status, headers, body } = await mesh.anonymous.get('/metrics');
  expect([status, headers.get('content-type')]).toEqual([200, expect.stringMatching(/^text\/plain; version=/)]);
  expect(body).toMatch(/stockmesh_http_request_duration_seconds_count\{method="GET",route="\/v1\/stats",status="200"\} \d/);
  expect(body).toMatch(/stockmesh_broker_up 1/);
});
