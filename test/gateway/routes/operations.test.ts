import { expect, test } from 'vitest';
import { idToBytes } from '../../../services/ledger/id.ts';
import { claim } from '../../../services/ledger/run/claim.ts';
import { reportInstance } from '../../../services/platform/registry/instances.ts';
import { setJobs } from '../../support/job-rows.ts';
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
    { name: 'b', state: 'raised', value: 2, threshold: 1, since: '2026-03-03T16:00:00.000Z', text: 'b is beyond', advice: null },
  ]);
});

test('an alert of the mesh is told with what it means, what to do, and a command; one of another program without', async () => {
  const row = (name: string) => [name, 'raised', 2, 1, new Date('2026-03-03T16:00:00Z'), 'beyond'];
  await mesh.db.run('INSERT INTO alerts (name, state, value, threshold, since, text) VALUES ?', [[row('max_job_age'), row('of_another')]]);
  const { alerts } = (await mesh.operator.get('/v1/alerts')).body;
  expect(alerts.map(({ name, advice }: Record<string, unknown>) => [name, advice])).toEqual([
    [
      'max_job_age',
      {
        means: 'Work that could start is not taken: there are too few free places, or more urgent jobs come first.',
        todo: 'Start more workers, or find what keeps them busy.',
        command: 'npx stockmesh jobs --state running',
      },
    ],
    ['of_another', null],
  ]);
});

test('of alerts in the same state the newest is first, and of the same moment they are in the order of their names', async () => {
  const row = (name: string, state: string, minute: number) => [name, state, 2, 1, new Date(Date.UTC(2026, 2, 3, 16, minute)), 'beyond'];
  await mesh.db.run('INSERT INTO alerts (name, state, value, threshold, since, text) VALUES ?', [
    [row('a', 'raised', 1), row('d', 'raised', 3), row('c', 'raised', 3), row('b', 'cleared', 9)],
  ]);
  expect((await mesh.operator.get('/v1/alerts')).body.alerts.map(({ name }: { name: string }) => name)).toEqual(['c', 'd', 'a', 'b']);
  expect((await mesh.operator.get('/v1/alerts?state=cleared')).body.alerts).toHaveLength(1);
});

test('the metrics tell how fast sources answer and logins become jobs, what failed, and how fresh what is held is', async () => {
  const { jobs } = (await mesh.operator.post('/v1/jobs', { jobs: ['A', 'B'].map((symbol) => ({ type: 'fetch', symbol, analyse: false })) }))
    .body;
  await claim(mesh.ledger, 'w1', 2);
  await setJobs(mesh.db, { state: 'completed', ended_at: new Date() }, "symbol = 'A'");
  await setJobs(mesh.db, { state: 'failed', ended_at: new Date() }, "symbol = 'B'");
  await mesh.db.run('UPDATE ended SET result = ? WHERE job_id = ?', [
    JSON.stringify({ source: 'yahoo_finance', ms: 1_500 }),
    idToBytes(jobs[0].id),
  ]);
  const at = new Date(Date.now() - 60_000);
  await mesh.db.run('INSERT INTO user_portfolio_priority (user_id, at, admitted_at, total, queued, fresh, decisions) VALUES (?)', [
    ['ada', at, new Date(at.getTime() + 250), 1, 1, 0, '[]'],
  ]);
  await mesh.db.run(
    "INSERT INTO holdings (user_id, symbol, quantity, imported_at) VALUES ('ada', 'MADE', 1, NOW()), ('ada', 'NEVER', 1, NOW())",
  );
  await mesh.db.run(
    "INSERT INTO symbols (symbol, newest_bar, as_of, checked_at, source) VALUES ('MADE', '2021-03-31', '2021-03-31 20:00', NOW(3), 'simulated')",
  );
  expect((await mesh.operator.get('/v1/stats')).body).toMatchObject({
    latencies: [{ source: 'yahoo_finance', p95_s: 1.5, answers: 1 }],
    login_to_jobs_p95_s: 0.25,
    ...{ completed_last_minute: 1, failed_last_minute: 1, failed: 1, states: { completed: 1, failed: 1 } },
    workers: { online: 0, slots: 0, busy: 0, utilisation: 0 },
    freshness: { fresh: 0, outdated: 1, stale: 0, missing: 1, simulated: 1 },
  });
});

test('an instance is alive for a lease after its last heartbeat, and shows its own jobs and its clock', async () => {
  const lease = mesh.ledger.leaseSeconds;
  await mesh.operator.post('/v1/jobs', { jobs: ['A', 'B'].map((symbol) => ({ type: 'fetch', symbol, analyse: false })) });
  await claim(mesh.ledger, 'w1', 1);
  await claim(mesh.ledger, 'w2', 1);
  await alive('w1', lease - 15);
  await alive('w2', 0);
  await alive('late', lease + 15);
  await mesh.db.run("UPDATE instances SET clock_offset_ms = -1500 WHERE instance = 'w1'");
  const { instances } = (await mesh.operator.get('/v1/workers')).body;
  expect(
    instances.map(({ instance, clock_offset_s, jobs }: { instance: string; clock_offset_s: number | null; jobs: { symbol: string }[] }) => [
      instance,
      clock_offset_s,
      jobs.map(({ symbol }) => symbol),
    ]),
  ).toEqual(
    expect.arrayContaining([
      ['w1', -1.5, ['A']],
      ['w2', null, ['B']],
    ]),
  );
  expect(instances).toHaveLength(2);
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
