import { pino } from 'pino';
import { describe, expect, test, vi } from 'vitest';
import type { Handler, JobOutput } from '../../services/job-types/handler.ts';
import { createAnnouncer } from '../../services/ledger/announce.ts';
import { idToBytes } from '../../services/ledger/id.ts';
import { startEmbedded } from '../broker/brokers.ts';
import { silent } from '../broker/peers.ts';
import { closing, openBus } from '../platform/bus/brokers.ts';
import { setJobs } from '../support/job-rows.ts';
import { fetching, nothing, workshopOfFile } from './workshop.ts';

const shop = await workshopOfFile();

/** A handler that waits, and the jobs that wait in it, in the order in which they came. */
function waitingRoom(): { handler: Handler; inside: { id: string; leave: (outcome?: JobOutput<never>) => void }[] } {
  const inside: { id: string; leave: (outcome?: JobOutput<never>) => void }[] = [];
  return {
    inside,
    handler: fetching((_, { job }) => {
      const { promise, resolve } = Promise.withResolvers<JobOutput<never>>();
      inside.push({ id: job.id, leave: (outcome = nothing) => resolve(outcome) });
      return promise;
    }),
  };
}

describe('claiming', () => {
  test('a worker claims as many jobs as it has free slots, and the next as soon as one is done', async () => {
    await shop.enqueue({}, {}, {}, {}, {});
    const { handler, inside } = waitingRoom();
    const worker = shop.worker([handler], { overrides: { 'worker.max_concurrent_jobs': 3 } });
    await expect.poll(() => inside.length).toBe(3);
    const states = async () => (await shop.jobs()).map(({ state }) => state);
    expect(await states()).toEqual(['running', 'running', 'running', 'ready', 'ready']);
    expect(worker.running()).toHaveLength(3);

    inside[0]!.leave();
    await expect.poll(() => inside.length).toBe(4);
    await expect.poll(states).toEqual(['completed', 'running', 'running', 'running', 'ready']);
  });

  test('the load that is told is the number of slots in use', async () => {
    const ids = await shop.enqueue({}, {});
    const { handler, inside } = waitingRoom();
    const loads: number[] = [];
    shop.worker([handler], { onLoad: (running) => loads.push(running) });
    await expect.poll(() => inside.length).toBe(2);
    for (const { leave } of inside) leave();
    for (const id of ids) await shop.reaches(id, 'completed');
    expect(loads).toEqual([1, 2, 1, 0]);
  });

  test('100 jobs are completed once each, claims and completions together in fewer transactions than jobs', async () => {
    const ids = await shop.enqueue(...Array.from({ length: 100 }, () => ({})));
    const transactions = vi.spyOn(shop.db, 'transaction');
    shop.worker([fetching(async () => nothing)], { overrides: { 'worker.max_concurrent_jobs': 50 } });
    for (const id of ids) await shop.reaches(id, 'completed');
    expect((await shop.jobs()).map(({ attempt }) => attempt)).toEqual(Array(100).fill(1));
    expect(transactions.mock.calls.length).toBeLessThan(100);
    transactions.mockRestore();
  });

  test('while a batch is being committed a worker goes on, until as many again wait for their commit', async () => {
    const ids = await shop.enqueue(...Array.from({ length: 12 }, () => ({})));
    const disk = Promise.withResolvers<void>();
    let started = 0;
    const run = async () => {
      started++;
      return { ...nothing, rows: [started] };
    };
    const handler = fetching(run, () => disk.promise);
    const worker = shop.worker([handler], {
      overrides: { 'worker.max_concurrent_jobs': 3, 'worker.batch.size': 3, 'worker.poll_interval': 3600 },
    });
    await expect.poll(() => started).toBe(6);
    worker.wake();
    // Longer than a claim takes: another one would have begun by now.
    for (let i = 0; i < 10; i++) await shop.db.transaction((tx) => tx.rows('SELECT 1'));
    expect(started).toBe(6);
    disk.resolve();
    for (const id of ids) await shop.reaches(id, 'completed');
  });

  test('slots that become free together are filled by one claim', async () => {
    await shop.enqueue(...Array.from({ length: 20 }, () => ({})));
    const { handler, inside } = waitingRoom();
    shop.worker([handler], { overrides: { 'worker.max_concurrent_jobs': 10, 'worker.poll_interval': 3600 } });
    await expect.poll(() => inside.length).toBe(10);
    const transactions = vi.spyOn(shop.db, 'transaction');
    for (const { leave } of inside.slice(0, 10)) leave();
    await expect.poll(() => inside.length).toBe(20);
    // One claim, and the commit of the first ten.
    expect(transactions.mock.calls.length).toBeLessThanOrEqual(2);
    transactions.mockRestore();
  });

  test('a job of a type that this worker has no handler for stays ready for another worker, and does not stop the others', async () => {
    const [foreign] = await shop.enqueue({ type: 'analysis' });
    const [own] = await shop.enqueue({});
    const worker = shop.worker([fetching(async () => nothing)]);
    await shop.reaches(own!, 'completed');
    await worker.drain(0);
    expect(await shop.job(foreign!)).toMatchObject({ state: 'ready', attempt: 0 });
  });

  test('a job whose type nobody here knows is left alone', async () => {
    const [unknown, own] = await shop.enqueue({}, {});
    // As a newer version's enqueuer would have written it.
    await setJobs(shop.db, { type: 'teleport' }, 'id = ?', [idToBytes(unknown!)]);
    shop.worker([fetching(async () => nothing)]);
    await shop.reaches(own!, 'completed');
    expect(await shop.job(unknown!)).toMatchObject({ state: 'ready', attempt: 0 });
  });

  test('of the types that it could do a worker takes those that its configuration names', async () => {
    const [fetch] = await shop.enqueue({});
    const [analysis] = await shop.enqueue({ type: 'analysis' });
    const done = fetching(async () => nothing);
    const worker = shop.worker([done, { ...done, type: 'analysis' }], { overrides: { 'worker.supported_job_types': 'analysis' } });
    await shop.reaches(analysis!, 'completed');
    await worker.drain(0);
    expect((await shop.job(fetch!)).state).toBe('ready');
  });

  test('two workers share the jobs, and each job runs once', async () => {
    const ids = await shop.enqueue(...Array.from({ length: 60 }, () => ({})));
    const runs: string[] = [];
    // Neither worker finishes its first job before the other one has one too: a worker that starts late still finds work.
    const arrived = new Set<string>();
    const both = Promise.withResolvers<void>();
    const handlerOf = (name: string) =>
      fetching(async (_, { job }) => {
        runs.push(job.id);
        if (arrived.add(name).size === 2) both.resolve();
        await both.promise;
        return nothing;
      });
    for (const id of ['one', 'two']) shop.worker([handlerOf(id)], { id });
    for (const id of ids) await shop.reaches(id, 'completed');
    expect(runs.toSorted()).toEqual(ids.toSorted());
    expect(new Set((await shop.jobs()).map(({ worker }) => worker))).toEqual(new Set(['one', 'two']));
  });
});

describe('announcements and polling', () => {
  test('without a broker polling alone drains everything, dependents too', async () => {
    const ids = await shop.enqueue(
      ...Array.from({ length: 20 }, (_, number) => ({ dedupeKey: `fetch:${number}` })),
      ...Array.from({ length: 20 }, (_, number) => ({ type: 'analysis', after: [`fetch:${number}`] })),
    );
    const done = fetching(async () => nothing);
    shop.worker([done, { ...done, type: 'analysis' }]);
    for (const id of ids) await shop.reaches(id, 'completed');
  });

  test('a job that waited for another one runs at once when that one has ended, and is told', async () => {
    const ids = await shop.enqueue({ dedupeKey: 'fetch:first' }, { type: 'analysis', after: ['fetch:first'] });
    const done = fetching(async () => nothing);
    shop.worker([done, { ...done, type: 'analysis' }], { overrides: { 'worker.poll_interval': 3600 } });
    for (const id of ids) await shop.reaches(id, 'completed');
  });

  test('claims that fail are tried again and told once, and so is that they succeed again', async () => {
    const lines: { level: number; msg: string }[] = [];
    const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
    const failing = vi.spyOn(shop.db, 'transaction').mockRejectedValue(new Error('no such table'));
    const worker = shop.worker([fetching(async () => nothing)], { log: log as never });
    await expect.poll(() => failing.mock.calls.length).toBeGreaterThan(2);
    failing.mockRestore();
    const [id] = await shop.enqueue({});
    await shop.reaches(id!, 'completed');
    await worker.drain(1000);
    expect(lines.map(({ level, msg }) => [level, msg]).slice(0, 2)).toEqual([
      [40, 'could not claim jobs (no such table); retrying with back-off'],
      [30, 'the ledger answers again'],
    ]);
    expect(lines.filter(({ level }) => level >= 40)).toHaveLength(1);
  });

  test('however often it was woken, a worker polls at its interval, and asks for no lost claims', async () => {
    const worker = shop.worker([fetching(async () => nothing)], { overrides: { 'worker.poll_interval': 0.2 } });
    const claims = vi.spyOn(shop.db, 'transaction');
    const looks = vi.spyOn(shop.db, 'rows');
    for (let wakes = 1; wakes <= 30; wakes++) {
      worker.wake();
      await expect.poll(() => claims.mock.calls.length, { interval: 1 }).toBeGreaterThanOrEqual(wakes);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    claims.mockClear();
    const started = performance.now();
    await expect.poll(() => claims.mock.calls.length, { interval: 5 }).toBeGreaterThanOrEqual(3);
    // ±10 %: three polls take at least 0.36 s after the first of them. With a timer for each wake they come together.
    expect(performance.now() - started).toBeGreaterThan(300);
    expect(looks.mock.calls.filter(([sql]) => sql.includes('worker_id = ?'))).toEqual([]);
    claims.mockRestore();
    looks.mockRestore();
  });

  test('while another transaction holds all that is ready, a worker looks for it less and less often', async () => {
    const [id] = await shop.enqueue({});
    const claims = vi.spyOn(shop.db, 'rows');
    const looks = (): number => claims.mock.calls.filter(([sql]) => sql.includes('FROM ready')).length;
    let took = 0;
    await shop.db.transaction(async (tx) => {
      await tx.rows('SELECT 1 FROM ready WHERE job_id = ? FOR UPDATE', [idToBytes(id!)]);
      shop.worker([fetching(async () => nothing)], { overrides: { 'worker.poll_interval': 3600 } });
      await expect.poll(looks, { interval: 1 }).toBeGreaterThanOrEqual(1);
      const first = performance.now();
      await expect.poll(looks, { interval: 1 }).toBeGreaterThanOrEqual(9);
      took = performance.now() - first;
    });
    // 5, 10, 20 and five times 40 ms; with 5 ms each time 40.
    expect(took).toBeGreaterThan(200);
    await shop.reaches(id!, 'completed');
    claims.mockRestore();
  });

  test('an announcement wakes a worker that polls once an hour', async () => {
    const broker = closing(await startEmbedded());
    const bus = openBus(broker.port, { service: 'worker' });
    await bus.online();
    const started = Promise.withResolvers<number>();
    const handler = fetching(async () => {
      started.resolve(performance.now());
      return nothing;
    });
    const worker = shop.worker([handler], { bus, overrides: { 'worker.poll_interval': 3600 } });
    const doorbell = bus.subscribe('job', { concurrency: 1 }, () => worker.wake());
    await expect.poll(() => bus.report().subscriptions.length).toBeGreaterThan(0);

    const rings = createAnnouncer({ bus, sql: shop.db, clock: shop.ledger.clock, log: silent });
    const ids = await shop.enqueue({});
    const rung = performance.now();
    await rings.ring(ids);
    // Two milliseconds on a machine with nothing else to do.
    expect((await started.promise) - rung).toBeLessThan(1000);
    await doorbell.close();
  });
});
