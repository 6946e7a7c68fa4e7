/** Each alert is raised and cleared by its real cause, and read in the mail that an operator gets. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, onTestFinished, test, vi } from 'vitest';
import { createKey } from '../../../services/gateway/auth/keys.ts';
import { startCallbacks } from '../../../services/gateway/webhooks/callback-sender.ts';
import { insertCallbacks } from '../../../services/gateway/webhooks/callbacks.ts';
import { createAnnouncer } from '../../../services/ledger/announce.ts';
import { enqueueWith, type JobRequest } from '../../../services/ledger/enqueue/enqueue.ts';
import { claim } from '../../../services/ledger/run/claim.ts';
import { complete } from '../../../services/ledger/run/complete.ts';
import { createAdmission } from '../../../services/logins/admission.ts';
import { startAnswering } from '../../../services/logins/pending-answers.ts';
import { sourceBudget } from '../../../services/market/sources/budget.ts';
import { failoverSource } from '../../../services/market/sources/failover-source.ts';
import { release, reserve } from '../../../services/model/spend.ts';
import { watchLeader } from '../../../services/notifier/leader.ts';
import type { Bus } from '../../../services/platform/bus/bus.ts';
import { TransientError } from '../../../services/platform/errors.ts';
import { reportInstance } from '../../../services/platform/registry/instances.ts';
import { createAlerts } from '../../../services/scheduler/alerts.ts';
import { startDuties } from '../../../services/scheduler/duties.ts';
import { competeForLead } from '../../../services/scheduler/leadership.ts';
import { watchSources } from '../../../services/worker/source-watch.ts';
import { writeBackup } from '../../../sql/backup/backup.ts';
import { silent } from '../../broker/peers.ts';
import { intent } from '../../model/parts.ts';
import { configOf } from '../configuration.ts';
import { silentBus } from '../mesh.ts';
import { alertsAsTold } from './told.ts';

const data = mkdtempSync(join(tmpdir(), 'alerts-'));

const RATE = 2;
const mesh = await alertsAsTold(
  {
    ...{ 'stock_jobs.data_fetch.sources': ['yahoo_finance'], 'stock_jobs.data_fetch.rate_limit': RATE },
    ...{ 'monitoring.thresholds.max_queue_depth': 3, 'model.caps.picks.day': 1 },
    ...{ 'model.base_url': 'http://127.0.0.1:9/v1', 'model.name': 'tester', 'model.reserve_usd': 0.9 },
    ...{ 'model.price_in': 1, 'model.price_out': 1 },
  },
  { dataFolder: data },
);
const isSmall = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', data]).status === 0;
afterAll(() => {
  if (isSmall) spawnSync('umount', ['-l', data]);
  rmSync(data, { recursive: true, force: true });
});
const now = (): Date => new Date(mesh.clock.now().epochMilliseconds);
const { signal } = new AbortController();

/** A worker's sign of life, with this many places of which so many are busy. */
const worker = (more: { running?: number; clock_offset_s?: number; capabilities?: string[] } = {}) =>
  reportInstance(mesh.db, {
    ...{ instance: 'worker-1', service: 'worker', session: 's', capacity: 5, running: 0, started_at: now(), heartbeat_at: now() },
    ...more,
  });

const fetchOf = (symbol: string): JobRequest => ({
  ...{ type: 'fetch', payload: { symbol }, symbol, level: 1, score: 0.5, why: { text: 'a test' }, triggeredBy: 'test', whenFull: 'refuse' },
});

test('source_down: a source fails until nobody asks it any more, and answers again', async () => {
  let isDown = true;
  const source = {
    name: 'yahoo_finance' as const,
    async bars() {
      if (isDown) throw new TransientError('source.unavailable', 'yahoo_finance answered 500');
      return { bars: [], actions: [], source: 'yahoo_finance' as const, asOf: now(), currency: null, timeZone: null } as never;
    },
  };
  // A worker writes what it has seen when it stops, at the latest.
  async function ask(times: number): Promise<void> {
    const watched = watchSources({ db: mesh.db, clock: mesh.clock, instance: 'worker-1', log: silent });
    const ask = failoverSource({
      ...{ sources: [source], clock: mesh.clock, timeoutMs: 1_000, breaker: { failures: 3, openMs: 60_000 }, log: silent },
      onAttempt: (attempt) => watched.asked(attempt as never),
    });
    for (let nth = 0; nth < times; nth++) await ask.bars('AAPL', { from: '2026-06-01' }, signal).catch(() => undefined);
    await watched.close();
  }
  await ask(4);
  await mesh.look();
  const text = await mesh.raised('source_down');
  expect(text).toContain('1 of 1 sources (stock_jobs.data_fetch.sources) do not answer: yahoo_finance (yahoo_finance answered 500)');
  isDown = false;
  mesh.clock.advance({ minutes: 2 });
  await ask(1);
  await mesh.look();
  expect(await mesh.cleared('source_down')).toContain('0 of 1 sources');
});

test('source_budget: all requests are used minute after minute, and then not', async () => {
  for (let minute = 0; minute <= 5; minute++) {
    const take = sourceBudget({ db: mesh.db, clock: mesh.clock, perMinute: { yahoo_finance: RATE } });
    for (let nth = 0; nth < RATE; nth++) await take('yahoo_finance', signal);
    await mesh.look();
    mesh.clock.advance({ seconds: 61 });
  }
  expect(await mesh.raised('source_budget')).toContain(`all ${RATE} requests a minute (stock_jobs.data_fetch.rate_limit) were used`);
  mesh.clock.advance({ minutes: 2 });
  await mesh.look();
  await mesh.cleared('source_budget');
});

test('no_worker_for_type: a job waits beside free places, until a worker takes it', async () => {
  await mesh.add(mesh.work, { type: 'fetch' });
  await worker();
  await mesh.look();
  mesh.clock.advance({ seconds: 59 });
  await worker();
  await mesh.look();
  mesh.clock.advance({ seconds: 2 });
  await mesh.look();
  expect(await mesh.raised('no_worker_for_type')).toContain('so no worker runs them: fetch');
  await mesh.run(mesh.work, 'worker-1');
  await mesh.look();
  await mesh.cleared('no_worker_for_type');
});

test('a type of which something runs has a worker, however long others of it wait', async () => {
  await mesh.add(mesh.work, { type: 'fetch', symbol: 'A' }, { type: 'fetch', symbol: 'B' });
  await mesh.run(mesh.work, 'worker-1', 1);
  for (const seconds of [1, 61, 61]) {
    mesh.clock.advance({ seconds });
    await worker({ running: 1 });
    await mesh.look();
  }
  expect(await mesh.db.rows("SELECT 1 FROM alerts WHERE name = 'no_worker_for_type' AND state = 'raised'")).toEqual([]);
});

test('no_worker: jobs need what no worker has, until one with it comes; it is no matter of their type', async () => {
  await mesh.add(mesh.work, { type: 'fetch' }, { type: 'fetch' });
  await mesh.db.run("UPDATE ready SET capability = 'region:eu'");
  for (const seconds of [1, 61, 61]) {
    mesh.clock.advance({ seconds });
    await worker();
    await mesh.look();
  }
  const text = await mesh.raised('no_worker');
  expect(text).toContain('1 workers are online, 2 jobs wait, some of them for what no worker has (worker.capabilities): region:eu');
  expect(await mesh.db.rows("SELECT 1 FROM alerts WHERE name = 'no_worker_for_type' AND state = 'raised'")).toEqual([]);
  await worker({ capabilities: ['region:eu'] });
  await mesh.look();
  await mesh.cleared('no_worker');
  mesh.clock.advance({ seconds: 61 });
  await worker({ capabilities: ['region:eu'] });
  await mesh.look();
  expect(await mesh.raised('no_worker_for_type')).toContain('so no worker runs them: fetch');
});

test('no_leader: the last scheduler ends, and another one leads', async () => {
  const lead = () =>
    competeForLead({
      db: mesh.db,
      clock: mesh.clock,
      log: silent,
      holder: 'scheduler-1',
      seconds: 15,
      lead: () => startDuties([], silent),
    });
  const first = lead();
  onTestFinished(() => first.stop());
  await vi.waitFor(() => expect(first.leads).toBe(true), { timeout: 10_000 });
  await first.stop();
  // The lease is given up. The notifier has to see that before it can count from then on.
  await vi.waitFor(
    async () => {
      mesh.clock.advance({ seconds: 10 });
      expect((await mesh.db.rows("SELECT 1 FROM alerts WHERE name = 'no_leader' AND state = 'raised'")).length).toBe(1);
    },
    { timeout: 30_000, interval: 200 },
  );
  expect(await mesh.raised('no_leader')).toMatch(/no scheduler has led for \d+ s, since 2026-/);
  const second = lead();
  onTestFinished(() => second.stop());
  expect(await mesh.cleared('no_leader')).toContain('a scheduler leads again');
});

test('of notifiers that miss the leader at the same moment one tells of it, and no scheduler publishes it', async () => {
  const looks = [1, 2, 3].map(() => watchLeader(mesh.db, mesh.config));
  const later = new Date(now().getTime() + 61_000);
  for (const look of looks) await look(now());
  await Promise.all(looks.map((look) => look(later)));
  expect(await mesh.db.rows("SELECT 1 FROM notify_events WHERE subject = 'alert:no_leader'")).toHaveLength(1);
  const bus = silentBus();
  await createAlerts({ sql: mesh.db, bus: bus as never, log: silent }).look([], later);
  expect(bus.said).toEqual([]);
});

test('unanswered_logins: the process that had committed a login is gone, and another one answers', async () => {
  const offline = { state: 'offline' as const, publish: async () => {} };
  const announcer = createAnnouncer({ bus: offline, sql: mesh.db, clock: mesh.clock, log: silent });
  const gone = createAdmission({ ledger: mesh.work, announcer, bus: offline, config: mesh.config, log: silent, instance: 'pp-1' });
  await gone.admitLogin({ userId: 'alice' });
  await gone.idle();
  mesh.clock.advance({ seconds: 61 });
  await mesh.look();
  expect(await mesh.raised('unanswered_logins')).toContain('1 logins that are committed have had no answer');
  const answers: unknown[] = [];
  const bus = {
    state: 'online' as const,
    publish: async (_: string, answer: unknown) => void answers.push(answer),
    onState: () => () => {},
  };
  const stop = startAnswering({ ledger: mesh.work, bus: bus as unknown as Bus, log: silent, instance: 'pp-2' });
  onTestFinished(stop);
  await vi.waitFor(() => expect(answers).toMatchObject([{ user_id: 'alice' }]), { timeout: 20_000 });
  await vi.waitFor(async () => expect(await mesh.db.rows('SELECT 1 FROM login_answers')).toEqual([]), { timeout: 20_000 });
  await mesh.look();
  await mesh.cleared('unanswered_logins');
});

test('callbacks_failing: a receiver refuses its callbacks, and takes them later', async () => {
  let status = 503;
  const server = createServer((_, response) => void response.writeHead(status).end()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const { id: keyId } = await createKey(mesh.db, { name: `hooks ${port}`, scopes: ['jobs'] }, now());
  const symbols = ['A', 'B', 'C', 'D', 'E'];
  const url = `http://127.0.0.1:${port}/hook`;
  await mesh.db.transaction(async (tx) => {
    const answers = await enqueueWith(tx, mesh.work, symbols.map(fetchOf));
    await insertCallbacks(
      tx,
      answers.map((answer) => ({ answer, url, user: undefined })),
      { keyId, most: 10 },
      now(),
    );
  });
  const { jobs } = await claim(mesh.work, 'worker-1', symbols.length);
  await complete(
    mesh.work,
    'worker-1',
    jobs.map((job) => ({ job, result: {} })),
  );
  const config = configOf({
    ...{ 'gateway.callbacks.allow_private': true, 'gateway.callbacks.poll_interval': 3600, 'gateway.callbacks.backoff': [1_000] },
    'gateway.callbacks.circuit.failures': 100,
  });
  /** One round of the sender. */
  async function send(state: string): Promise<void> {
    const sender = startCallbacks({ db: mesh.db, clock: mesh.clock, config, log: silent });
    onTestFinished(() => sender.close());
    await vi.waitFor(
      async () => expect(await mesh.db.rows('SELECT 1 FROM callbacks WHERE state = ? AND attempts > 0', [state])).toHaveLength(5),
      { timeout: 20_000 },
    );
    await sender.close();
  }
  await send('pending');
  await mesh.look();
  expect(await mesh.raised('callbacks_failing')).toMatch(new RegExp(`127\\.0\\.0\\.1:${port} \\(5 failures`));
  status = 204;
  mesh.clock.advance({ seconds: 1_300 });
  await send('delivered');
  await mesh.look();
  await mesh.cleared('callbacks_failing');
});

test('disk_nearly_full: the disk of the data folder fills, and is made room on', async ({ skip }) => {
  if (!isSmall) skip('this system lets no small disk be mounted');
  const file = join(data, 'large');
  writeFileSync(file, Buffer.alloc(980 * 1024));
  await mesh.look();
  expect(await mesh.raised('disk_nearly_full')).toContain(data);
  rmSync(file);
  await mesh.look();
  await mesh.cleared('disk_nearly_full');
});

test('spend_near_cap: a paid call takes nine tenths of the day, and turns out not to have been made', async () => {
  const reserved = await reserve(mesh.db, mesh.clock, mesh.config.model, { intent: intent(), request: '', promptBytes: 100 });
  await mesh.look();
  expect(await mesh.raised('spend_near_cap')).toContain('$0.90 of $1.00 a day for picks (model.caps.picks.day)');
  await release(mesh.db, reserved.id, now(), 'not sent');
  await mesh.look();
  await mesh.cleared('spend_near_cap');
});

test('backup_too_old: two days without a backup, and one is made', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'alerts-backup-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  // Backups are dated by the clock of the database, which is that of this machine.
  const today = Temporal.Now.instant();
  await writeBackup(mesh.database.options, join(folder, 'first'), {});
  const clockTo = (instant: Temporal.Instant) => mesh.clock.advance({ milliseconds: instant.epochMilliseconds - now().getTime() });
  clockTo(today.add({ hours: 47 }));
  await mesh.look();
  clockTo(today.add({ hours: 49 }));
  await mesh.look();
  expect(await mesh.raised('backup_too_old')).toMatch(/the newest backup is 49 h old \(.*first on .*\); the limit is 48 h/);
  await mesh.db.run('UPDATE backups SET snapshot_at = snapshot_at - INTERVAL 1 SECOND');
  await writeBackup(mesh.database.options, join(folder, 'second'), {});
  clockTo(today.add({ hours: 1 }));
  await mesh.look();
  await mesh.cleared('backup_too_old');
});

test('max_queue_depth: more jobs wait than they may, until they are taken', async () => {
  await mesh.add(mesh.work, ...['A', 'B', 'C', 'D'].map((symbol) => ({ symbol })));
  await mesh.look();
  expect(await mesh.raised('max_queue_depth')).toContain('4 jobs wait; the limit is 3');
  await mesh.run(mesh.work, 'worker-1');
  await mesh.look();
  await mesh.cleared('max_queue_depth');
});

test('max_job_age: a job waits for eleven minutes, until it is taken', async () => {
  await mesh.add(mesh.work, {});
  mesh.clock.advance({ minutes: 11 });
  await mesh.look();
  expect(await mesh.raised('max_job_age')).toContain('has waited 660 s');
  await mesh.run(mesh.work, 'worker-1');
  await mesh.look();
  await mesh.cleared('max_job_age');
});

test('max_fetch_latency: a source takes 40 seconds, and five minutes pass', async () => {
  await mesh.add(mesh.work, ...['A', 'B', 'C', 'D', 'E'].map((symbol) => ({ symbol })));
  const { jobs } = await claim(mesh.work, 'worker-1', 10);
  await complete(
    mesh.work,
    'worker-1',
    jobs.map((job) => ({ job, result: { source: 'yahoo_finance', ms: 40_000 } })),
  );
  await mesh.look();
  expect(await mesh.raised('max_fetch_latency')).toContain("95 % of yahoo_finance's answers came within 40.0 s");
  mesh.clock.advance({ minutes: 6 });
  await mesh.look();
  await mesh.cleared('max_fetch_latency');
});
