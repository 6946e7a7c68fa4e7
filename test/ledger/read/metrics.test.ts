import { expect, test } from 'vitest';
import type { Ledger } from '../../../services/ledger/job.ts';
import { percentile, readMeshMetrics, statsOf } from '../../../services/ledger/read/metrics.ts';
import type { ClaimedJob } from '../../../services/ledger/run/claim.ts';
import { complete, fail } from '../../../services/ledger/run/complete.ts';
import { freshnessRules } from '../../../services/market/freshness/freshness.ts';
import { readHeldFreshness } from '../../../services/market/freshness/held.ts';
import { PermanentError } from '../../../services/platform/errors.ts';
import { encodeMessage } from '../../../services/platform/messages.ts';
import { reportInstance } from '../../../services/platform/registry/instances.ts';
import { staleData } from '../../../services/scheduler/stale.ts';
import { configOf } from '../../scheduler/configuration.ts';
import { fixture } from '../../scheduler/mesh.ts';

const mesh = fixture();
const now = () => new Date(mesh.clock.now().epochMilliseconds);
const metrics = () => readMeshMetrics(mesh.db, now(), { ...mesh.ledger(), leaseSeconds: 30 });

async function online(instance: string, capacity: number, secondsAgo = 0, service = 'worker'): Promise<void> {
  const at = new Date(now().getTime() - secondsAgo * 1000);
  await reportInstance(mesh.db, {
    instance,
    service,
    session: crypto.randomUUID(),
    capacity,
    running: 0,
    started_at: at,
    heartbeat_at: at,
  });
}

test('workers without a sign of life within a lease do not count, nor do other services', async () => {
  await online('w1', 5, 29);
  await online('w2', 5, 31);
  await online('s1', 5, 0, 'scheduler');
  expect((await metrics()).workers).toEqual({ online: 1, slots: 5, busy: 0 });
});

test('capabilities that ready jobs need and no live worker has are missing; those of a worker with a place are free', async () => {
  const ledger = mesh.ledger();
  const need = (capability: string | null) =>
    mesh.db.run("UPDATE ready SET capability = COALESCE(?, capability) WHERE capability = '' LIMIT 1", [capability]);
  await mesh.add(ledger, {}, {}, {}, {});
  for (const capability of ['region:eu', 'region:eu', 'region:us']) await need(capability);
  expect(await metrics()).toMatchObject({ missing: ['region:eu', 'region:us'], free: [] });
  const at = now();
  const worker = (instance: string, capabilities: string[], running: number, heartbeat_at = at) =>
    reportInstance(mesh.db, {
      ...{ instance, service: 'worker', session: 's', capacity: 2, started_at: at, heartbeat_at },
      running,
      capabilities,
    });
  await worker('full', ['desk', 'region:eu'], 2);
  await worker('dead', ['region:us'], 0, new Date(at.getTime() - 31_000));
  expect(await metrics()).toMatchObject({ missing: ['region:us'], free: [] });
  await worker('full', ['desk', 'region:eu'], 1);
  expect(await metrics()).toMatchObject({ missing: ['region:us'], free: ['desk', 'region:eu'] });
});

test('utilisation is busy slots by slots, as the ledger knows them at the moment', async () => {
  const ledger = mesh.ledger();
  await online('w1', 4);
  await mesh.add(ledger, {}, {}, {}, {});
  await mesh.run(ledger, 'w1', 3);
  expect(await metrics()).toMatchObject({ workers: { online: 1, slots: 4, busy: 3 }, utilisation: 0.75 });
});

test('jobs of a worker that is gone never make it more than full', async () => {
  const ledger = mesh.ledger();
  await online('w1', 1);
  await mesh.add(ledger, {}, {});
  await mesh.run(ledger, 'gone', 2);
  expect(await metrics()).toMatchObject({ utilisation: 1 });
});

test('without workers the utilisation is 0', async () => {
  expect(await metrics()).toMatchObject({ workers: { online: 0, slots: 0, busy: 0 }, utilisation: 0 });
});

test('what mesh/stats carries is a valid message: depth by priority, rates a second, ages in seconds', async () => {
  const ledger = mesh.ledger();
  await mesh.add(ledger, { level: 1 }, { level: 1 }, { level: 5 }, { level: 8 });
  const [first, second] = await mesh.run(ledger, 'w1', 2);
  await complete(ledger, 'w1', [{ job: first! }]);
  await fail(ledger, 'w1', [{ job: second!, error: new PermanentError('test', 'never') }]);
  mesh.clock.advance({ seconds: 30 });
  const stats = statsOf(await metrics());
  expect(JSON.parse(encodeMessage('stats', stats).payload)).toMatchObject({
    depth: { 5: 1, 8: 1 },
    rates: { enqueued_per_s: 0.067, completed_per_s: 0.017, failed_per_s: 0.017 },
    queues: [
      { queue: 'foreground', ready: 0, oldest_s: null },
      { queue: 'background_fetch', ready: 1, oldest_s: 30 },
      { queue: 'background_analysis', ready: 1 },
    ],
  });
});

async function fetched(ledger: Ledger, source: string, ...milliseconds: number[]): Promise<void> {
  await mesh.add(ledger, ...milliseconds.map(() => ({})));
  const jobs: ClaimedJob[] = await mesh.run(ledger, 'w1', milliseconds.length);
  await complete(
    ledger,
    'w1',
    jobs.map((job, at) => ({ job, result: { source, ms: milliseconds[at] } })),
  );
}

test('latency is the 95th percentile of the fetches of five minutes, by source', async () => {
  const ledger = mesh.ledger();
  await fetched(ledger, 'lean', 60_000);
  mesh.clock.advance({ minutes: 6 });
  await fetched(ledger, 'yahoo_finance', ...Array.from({ length: 20 }, (_, i) => (i + 1) * 100));
  await fetched(ledger, 'cached', 4, 5);
  const { latencies } = await metrics();
  expect(latencies.toSorted((a, b) => b.answers - a.answers)).toEqual([
    { source: 'yahoo_finance', p95: 1.9, answers: 20 },
    { source: 'cached', p95: 0.005, answers: 2 },
  ]);
});

// Nearest rank, the example of Wikipedia's "Percentile": of 15, 20, 35, 40, 50 the 30th percentile is 20, the 100th is 50.
test.each([
  [0.3, 20],
  [0.4, 20],
  [0.5, 35],
  [1, 50],
])('percentile %d of the five is %d', (share, value) => {
  expect(percentile([50, 15, 40, 20, 35], share)).toBe(value);
});

const held = () => readHeldFreshness(mesh.db, mesh.clock.now(), freshnessRules(configOf()).thresholds);
const stale = async () => staleData(await held(), configOf().portfolio);
const nothingOutdated = { outdated: [], withBars: 1 };

async function symbol(name: string, bar: string, minutesOld: number, checkedMinutesAgo = minutesOld): Promise<void> {
  const ago = (minutes: number) => new Date(now().getTime() - minutes * 60_000);
  await mesh.db.run('INSERT INTO holdings (user_id, symbol, quantity, imported_at) VALUES (?)', [['ada', name, 1, ago(0)]]);
  await mesh.db.run('INSERT INTO symbols (symbol, newest_bar, as_of, checked_at) VALUES (?)', [
    [name, bar, ago(minutesOld), ago(checkedMinutesAgo)],
  ]);
}

test('held symbols whose live data is older than two hours are stale data, the oldest first', async () => {
  mesh.clock.set('2026-06-02T17:00:00Z');
  await symbol('AAPL', '2026-06-02', 125);
  await symbol('MSFT', '2026-06-02', 180);
  await symbol('IBM', '2026-06-02', 115);
  await symbol('SPY', '2026-06-02', 180, 1);
  expect(await stale()).toEqual({ symbols: ['MSFT', 'AAPL'], oldestHours: 3, outdated: [], withBars: 4 });
});

test('the final bar of the newest session is not stale data on a weekend, however old', async () => {
  mesh.clock.set('2026-06-07T17:00:00Z');
  await symbol('AAPL', '2026-06-05', 45 * 60);
  expect(await stale()).toEqual({ symbols: [], oldestHours: 0, ...nothingOutdated });
});

test('a symbol that nobody holds, and one that was never fetched, are not stale data', async () => {
  mesh.clock.set('2026-06-02T17:00:00Z');
  await symbol('AAPL', '2026-06-02', 500);
  await mesh.db.run("UPDATE holdings SET symbol = 'NEW'");
  expect(await stale()).toEqual({ symbols: [], oldestHours: 0, outdated: [], withBars: 0 });
});

// Tuesday 2 June 2026, 13:00 in New York: the sessions of 1 June and of the day have started since the bar of Friday 29 May.
test('held symbols of which the sources have nothing newer are outdated, from two sessions on a sign of a silent source', async () => {
  mesh.clock.set('2026-06-02T17:00:00Z');
  await symbol('AAPL', '2026-06-02', 1);
  await symbol('EOD', '2026-06-01', 20 * 60, 1);
  await symbol('GONE', '2021-03-31', 1_000_000, 1);
  await symbol('QUIET', '2026-05-29', 4 * 24 * 60, 1);
  await mesh.db.run("UPDATE symbols SET source = 'simulated' WHERE symbol = 'AAPL'");
  await mesh.db.run('INSERT INTO holdings (user_id, symbol, quantity, imported_at) VALUES (?)', [['ada', 'NEVER', 1, now()]]);
  expect(await stale()).toEqual({ symbols: [], oldestHours: 0, outdated: ['GONE', 'QUIET'], withBars: 4 });
  expect(await held()).toMatchObject({ counts: { fresh: 1, outdated: 3, stale: 0, missing: 1 }, simulated: 1 });
});
