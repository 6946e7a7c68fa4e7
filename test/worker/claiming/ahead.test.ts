/** Jobs that a worker claims before it has a place for them. The clock by which it finds handlers short or long is the test's, so a busy machine changes nothing. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { Handler } from '../../../services/job-types/handler.ts';
import { cancel } from '../../../services/ledger/control.ts';
import { createClaimAhead, LONGEST_WAIT_MS, MOST_AHEAD } from '../../../services/worker/claiming/claim-ahead.ts';
import type { Worker } from '../../../services/worker/worker.ts';
import { fetching, nothing, workshopOfFile } from '../workshop.ts';

const shop = await workshopOfFile();

interface Line {
  worker: Worker;
  /** Ids of the jobs whose handlers have begun, in that order. */
  begun: string[];
  /** The worker's clock, in milliseconds. */
  clock: { ms: number };
  /** Ids of the jobs that are claimed and whose handlers have not begun. */
  ahead(): string[];
  /** Lets the handlers end. */
  open(): void;
}

const BACKGROUND = 300;
/** Long after the first jobs are claimed ahead, long before the last job. */
const HELD = 120;

/** A worker with one place amid many short background jobs. The handler of one job is held, and others wait behind it. */
async function holdUp(): Promise<Line & { ids: string[] }> {
  const ids = await shop.enqueue(...Array.from({ length: BACKGROUND }, () => ({ level: 6 })));
  const begun: string[] = [];
  const clock = { ms: 0 };
  const held = Promise.withResolvers<void>();
  const handler = fetching(async (_, { job }) => {
    begun.push(job.id);
    if (begun.length === HELD) await held.promise;
    return nothing;
  });
  const worker = shop.worker([handler], { now: () => clock.ms, overrides: { 'worker.max_concurrent_jobs': 1 } });
  const ahead = () => worker.running().flatMap(({ id }) => (begun.includes(id) ? [] : [id]));
  await expect.poll(() => begun.length === HELD && ahead().length > 1 && worker.load().uncommitted === 0, { timeout: 20_000 }).toBe(true);
  return { worker, begun, clock, ahead, open: held.resolve, ids };
}

describe('jobs of short handlers are claimed ahead', () => {
  test('and a more urgent job that comes later is the next to run', async () => {
    const { worker, begun, ahead, open } = await holdUp();
    const [urgent] = await shop.enqueue({ level: 1 });
    worker.wake();
    // No place is free and others wait here.
    await shop.reaches(urgent!, 'running');
    expect(ahead().length).toBeGreaterThan(2);
    open();
    await expect.poll(() => begun.length, { timeout: 20_000 }).toBeGreaterThan(HELD);
    expect(begun[HELD]).toBe(urgent);
  });

  test('and wait in the order of their urgency', async () => {
    const { begun, open, ids } = await holdUp();
    open();
    for (const id of ids) await shop.reaches(id, 'completed');
    expect(begun).toEqual(ids.toSorted());
  });

  test('and those that have not begun are handed back at the shutdown, before the running ones end, without using up an attempt', async () => {
    const { worker, begun, ahead, open } = await holdUp();
    const waiting = ahead();
    const { maxAttempts } = await shop.job(begun[0]!);
    const drained = worker.drain(60_000);
    for (const id of waiting) expect(await shop.reaches(id, 'ready')).toMatchObject({ attempt: 1, maxAttempts: maxAttempts + 1 });
    open();
    await drained;
    expect(begun).toHaveLength(HELD);
    expect(await shop.job(begun.at(-1)!)).toMatchObject({ state: 'completed', attempt: 1 });
    expect(await shop.db.rows("SELECT DISTINCT outcome, code FROM job_attempts WHERE outcome <> 'retried'")).toEqual([
      { outcome: 'handed_back', code: 'worker.shutdown' },
    ]);
  });

  test('and one that is cancelled before it begins never does', async () => {
    const { worker, begun, ahead, open, ids } = await holdUp();
    const unwanted = ahead().at(-1)!;
    await cancel(shop.ledger, unwanted, 'not wanted any more');
    worker.abort(unwanted, 'cancelled by hand');
    open();
    for (const id of ids) await shop.reaches(id, id === unwanted ? 'cancelled' : 'completed');
    expect(begun).not.toContain(unwanted);
  });

  test('and go back to the queue when the handler before them takes longer than such handlers did', async () => {
    const { clock, ahead, begun, open } = await holdUp();
    const waiting = ahead();
    clock.ms += LONGEST_WAIT_MS;
    for (const id of waiting) await shop.reaches(id, 'ready');
    const { handler, ended } = counting();
    shop.worker([handler], { id: 'other' });
    for (const id of waiting) expect(await shop.reaches(id, 'completed')).toMatchObject({ worker: 'other', attempt: 2 });
    expect(ended()).toBeGreaterThanOrEqual(waiting.length);
    open();
    await shop.reaches(begun.at(-1)!, 'completed');
  });
});

function counting(): { handler: Handler; ended: () => number } {
  let ended = 0;
  return {
    handler: fetching(async () => {
      ended++;
      return nothing;
    }),
    ended: () => ended,
  };
}

describe('no job waits in the hands of a worker', () => {
  test('whose handlers are long', async () => {
    const ids = await shop.enqueue(...Array.from({ length: 100 }, () => ({})));
    const clock = { ms: 0 };
    let most = 0;
    const handler = fetching(async () => {
      // When all that has a place has begun.
      await nextTurn();
      most = Math.max(most, worker.load().waiting);
      clock.ms += 30;
      return nothing;
    });
    const worker = shop.worker([handler], { now: () => clock.ms, overrides: { 'worker.max_concurrent_jobs': 2 } });
    for (const id of ids) await shop.reaches(id, 'completed');
    expect(most).toBe(0);
  });

  test('while there are only as many as all workers have places', async () => {
    const both = Promise.withResolvers<void>();
    const begun = new Set<string>();
    let holding = false;
    const handler = fetching(async (_, { job }) => {
      if (holding && begun.add(job.id).size === 10) both.resolve();
      if (holding) await both.promise;
      return nothing;
    });
    const options = { now: () => 0, overrides: { 'worker.max_concurrent_jobs': 5 } };
    const workers = [shop.worker([handler], options), shop.worker([handler], options)];
    // Both have found the handlers short, and the queue empty since.
    for (const id of await shop.enqueue(...Array.from({ length: 200 }, () => ({})))) await shop.reaches(id, 'completed');
    holding = true;
    const ids = await shop.enqueue(...Array.from({ length: 10 }, () => ({})));
    for (const worker of workers) worker.wake();
    // Each of them holds its place until all ten have one.
    for (const id of ids) await shop.reaches(id, 'completed');
    expect((await shop.jobs()).every(({ attempt }) => attempt === 1)).toBe(true);
  });
});

describe('how far', () => {
  const job = { type: 'fetch', deaths: 0 };
  const some = (count: number, one = job) => Array.from({ length: count }, () => one);
  const provedShort = (capacity: number) => {
    const ahead = createClaimAhead(capacity);
    for (let run = 0; run < 40; run++) ahead.ran('fetch', 1);
    return ahead;
  };

  test('further with each claim that finds all it asks for, up to a limit; not at all after one that does not', () => {
    const ahead = provedShort(100);
    const seen = [100, 100, 200, 300, 500, 600].map((found) => {
      ahead.claimed(some(found), true);
      return ahead.most;
    });
    expect(seen).toEqual([0, 100, 200, 400, MOST_AHEAD, MOST_AHEAD]);
    ahead.claimed(some(40), false);
    expect(ahead.most).toBe(0);
  });

  test('less far when jobs begin later than they should', () => {
    const ahead = provedShort(100);
    for (const found of [100, 100, 200, 300]) ahead.claimed(some(found), true);
    ahead.waited(60);
    ahead.claimed(some(500), true);
    expect(ahead.most).toBe(200);
  });

  test.each([
    ['of a type that nobody has run here', createClaimAhead(1), job],
    ['whose worker has died before, so that it runs in a process of its own', provedShort(1), { type: 'fetch', deaths: 2 }],
  ])('not a job %s', (_, ahead, one) => {
    expect(ahead.mayWait(one)).toBe(false);
    for (let claims = 0; claims < 10; claims++) ahead.claimed(some(10, one), true);
    expect(ahead.most).toBe(0);
  });

  test('one long run makes a type long until many short ones have followed', () => {
    const ahead = provedShort(1);
    expect(ahead.mayWait(job)).toBe(true);
    ahead.ran('fetch', 500);
    expect(ahead.mayWait(job)).toBe(false);
    let runs = 0;
    for (; !ahead.mayWait(job); runs++) ahead.ran('fetch', 1);
    expect(runs).toBeGreaterThan(10);
  });
});
