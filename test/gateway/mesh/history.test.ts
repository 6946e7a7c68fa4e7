/** The history of the statistics as it is asked over HTTP. The rows are written as the scheduler writes them. */
import { beforeEach, expect, test } from 'vitest';
import { bucketsOf } from '../../../services/platform/monitoring/buckets.ts';
import { HOUR_S, type MeshStats, MINUTE_S, writeStats } from '../../../services/platform/monitoring/mesh-stats.ts';
import { writeHealth } from '../../../services/platform/monitoring/source-health.ts';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh();
const at = (minutes: number): Date => new Date(Date.UTC(2026, 5, 2, 14, minutes));
const row = (begin: Date, more: Partial<MeshStats> = {}): MeshStats => ({
  ...{ at: begin, minutes: 1, ready: 10, running: 2, scheduled: 0, blocked: 0, oldest_s: 1.5, enqueued: 60, completed: 30, failed: 3 },
  ...{ workers: 1, slots: 5, busy: 2, logins: 2 },
  details: {
    queues: { foreground: { ready: 10, running: 2, oldest_s: 1.5 } },
    types: { fetch: { completed: 30, failed: 3 } },
    flow: { foreground: { in: 60, out: 33 } },
    codes: { 'source.timeout': 3 },
    sources: { yahoo_finance: { answers: 40, errors: 3, p95_s: 0.4 } },
    ...{ wait: bucketsOf([1, 1, 1]), run: bucketsOf([0.1]), login_fresh: bucketsOf([2, 2]) },
  },
  ...more,
});
const read = async (query: string) => (await mesh.operator.get(`/v1/stats/history?${query}`)).body;

beforeEach(async () => {
  await mesh.db.run('DELETE FROM mesh_stats');
  await mesh.db.run('DELETE FROM source_health');
});

test('each minute has its value, and one that nobody wrote is a gap', async () => {
  for (const minute of [0, 1, 3]) await writeStats(mesh.db, MINUTE_S, row(at(minute), { ready: minute }));
  const body = await read('from=2026-06-02T14:00:00Z&to=2026-06-02T14:05:00Z&step=60&series=depth,rates');
  expect(body.at).toEqual([0, 1, 2, 3, 4].map((minute) => at(minute).toISOString()));
  expect(body.series.ready).toEqual([0, 1, null, 3, null]);
  expect(body.series['ready.foreground']).toEqual([10, 10, null, 10, null]);
  expect(body.series['completed.fetch']).toEqual([30, 30, null, 30, null]);
  expect(body.series['in.foreground']).toEqual([60, 60, null, 60, null]);
  expect(body.series['out.foreground']).toEqual([33, 33, null, 33, null]);
  expect(Object.keys(body.series).some((name) => /p50|codes|sources|slots/.test(name))).toBe(false);
});

test('a longer step averages what stood, and gives counts a minute', async () => {
  for (let minute = 0; minute < 10; minute++) await writeStats(mesh.db, MINUTE_S, row(at(minute), { ready: minute, completed: minute }));
  const { series } = await read('from=2026-06-02T14:00:00Z&to=2026-06-02T14:10:00Z&step=300');
  expect([series.ready, series.completed, series['codes.source.timeout']]).toEqual([
    [2, 7],
    [2, 7],
    [3, 3],
  ]);
  expect(series.login_fresh_count).toEqual([10, 10]);
  // 2 s: the bucket's middle.
  for (const value of series.login_fresh_p99) expect(value / 2).toBeCloseTo(1, 0);
});

test('30 days are read by their hours, and the present hour by its minutes', async () => {
  const to = at(120);
  for (let hour = 1; hour <= 720; hour++)
    await writeStats(mesh.db, HOUR_S, row(new Date(to.getTime() - hour * 3_600_000), { minutes: 60, ready: hour }));
  for (let minute = 0; minute < 30; minute++) await writeStats(mesh.db, MINUTE_S, row(new Date(to.getTime() + minute * 60_000)));
  const body = await read(
    `from=${new Date(to.getTime() - 720 * 3_600_000).toISOString()}&to=${new Date(to.getTime() + 1_800_000).toISOString()}&step=3600`,
  );
  expect([body.series.ready.length, body.series.ready[0], body.series.ready.at(-2), body.series.ready.at(-1)]).toEqual([721, 720, 1, 10]);
});

test('a week without a step is read by its hours', async () => {
  await writeStats(mesh.db, HOUR_S, row(at(0), { minutes: 60 }));
  const { step, series } = await read('from=2026-05-27T00:00:00Z&to=2026-06-03T00:00:00Z&series=depth');
  expect([step, series.ready.filter((value: number | null) => value !== null)]).toEqual([3_600, [10]]);
});

test('without a range it is the last hour, a minute a step', async () => {
  const body = await read('');
  expect([body.step, body.series]).toEqual([60, {}]);
  expect(Date.parse(body.to) - Date.parse(body.from)).toBe(3_600_000);
});

test.each([
  ['from=2026-06-02T14:00:00Z&to=2026-06-02T13:00:00Z', 'stats.bad_range'],
  ['from=2026-01-01T00:00:00Z&to=2026-06-02T13:00:00Z&step=60', 'stats.bad_range'],
  ['from=2026-05-02T13:00:00Z&to=2026-06-02T13:00:00Z&step=1800', 'stats.bad_range'],
  ['step=61', 'request.invalid'],
  ['series=depth,colour', 'request.invalid'],
])('%s is refused with %s', async (query, code) => {
  expect((await read(query)).code).toBe(code);
});

test('a source says whether it is asked, how it answered, and what is left of its budget', async () => {
  const seen = { answers: 7, errors: 2, open_until: null, last_ok_at: at(0), last_error_at: null, last_code: null, last_error: null };
  const later = new Date(Date.now() + 60_000);
  await writeHealth(mesh.db, 'worker-1', [{ source: 'yahoo_finance', ...seen }]);
  await writeHealth(mesh.db, 'worker-2', [
    { source: 'yahoo_finance', ...seen, open_until: later, last_error_at: at(1), last_code: 'source.timeout', last_error: 'no answer' },
  ]);
  await mesh.db.run('REPLACE INTO source_budget (`key`, points, expire) VALUES (?)', [['source:yahoo_finance', 25, later.getTime()]]);
  const { sources } = (await mesh.operator.get('/v1/sources')).body;
  // stock_jobs.data_fetch.sources and rate_limit of config/default.yaml.
  expect(sources.map(({ source }: { source: string }) => source)).toEqual(['yahoo_finance', 'alpha_vantage', 'cached']);
  expect(sources[0]).toMatchObject({
    ...{ place: 1, state: 'paused', paused_until: later.toISOString(), paused_by: ['worker-2'], answers: 14, errors: 4 },
    ...{ last_code: 'source.timeout', last_error: 'no answer', budget: { limit: 60, used: 25, left: 35, resets_at: later.toISOString() } },
  });
  expect(sources[2]).toMatchObject({ state: 'unasked', budget: null });
});

test('an instance says its version and what it cannot do, as heard over the broker', async () => {
  const bus = mesh.connect('worker');
  await bus.online();
  bus.updatePresence({ name: 'the large one', capacity: 4, running: 0, degraded: ['it is slow today'] });
  await mesh.db.run(
    'INSERT INTO instances (instance, service, session, capacity, running, started_at, heartbeat_at, capabilities) SELECT ?, ?, UUID(), 4, 0, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3), ?',
    ['worker-1', 'worker', '["gpu"]'],
  );
  const worker = async () =>
    (await mesh.operator.get('/v1/workers')).body.instances.find((one: { service: string }) => one.service === 'worker');
  await expect.poll(async () => (await worker())?.degraded).toEqual(['it is slow today']);
  expect(await worker()).toMatchObject({ version: '0.1.0', name: 'the large one', capabilities: ['gpu'], jobs: [] });
});
