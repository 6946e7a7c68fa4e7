/** A job that is done by its parts: what becomes of them when it is cancelled or started again, and what it shows of their items. */
import { describe, expect, test } from 'vitest';
import { cancel, redrive, retry } from '../../services/ledger/control.ts';
import { enqueue, type JobRequest } from '../../services/ledger/enqueue/enqueue.ts';
import { age } from '../../services/ledger/maintain/age.ts';
import { deleteEnded } from '../../services/ledger/maintain/delete.ts';
import { expire } from '../../services/ledger/maintain/expire.ts';
import { partsOf, readParts } from '../../services/ledger/parts.ts';
import { readJob, readStats } from '../../services/ledger/read/jobs.ts';
import type { ClaimedJob } from '../../services/ledger/run/claim.ts';
import { commitPart, complete } from '../../services/ledger/run/complete.ts';
import { countItems, type ItemResult, listItems, recordItems } from '../../services/ledger/run/items.ts';
import { withdraw } from '../../services/ledger/withdraw.ts';
import { setJobs } from '../support/job-rows.ts';
import { ledgerFixture, request, watched } from './fixture.ts';

const on = ledgerFixture();

const part = (name: string, items: readonly string[] = []): Partial<JobRequest> => ({
  type: 'batch_fetch',
  dedupeKey: `part:${name}`,
  items,
});
const whole = (...names: string[]): Partial<JobRequest> => ({
  type: 'batch_fetch',
  dedupeKey: `whole:${names.join()}`,
  parts: names.map((name) => `part:${name}`),
});

/** A job of the parts a and b, with two items each. */
async function download(): Promise<{ job: string; a: string; b: string }> {
  const [job, a, b] = await on.add(whole('a', 'b'), part('a', ['a1', 'a2']), part('b', ['b1', 'b2']));
  return { job: job!, a: a!, b: b! };
}

/** Claims everything that is ready. */
async function claimed(...ids: string[]): Promise<ClaimedJob[]> {
  const jobs = await on.take();
  return ids.map((id) => jobs.find((job) => job.id === id) as ClaimedJob);
}

const record = (job: ClaimedJob, ...items: ItemResult[]): Promise<boolean> =>
  commitPart(on.ledger(), 'worker-1', job, (tx) => recordItems(tx, on.ledger(), job.id, items));

async function endedWithErrors(job: ClaimedJob): Promise<void> {
  await complete(on.ledger(), 'worker-1', [{ job, withErrors: 'one failed' }]);
}

describe('a job with parts', () => {
  test('waits until all have ended, and runs though one failed', async () => {
    const { job, a, b } = await download();
    expect(await on.row(job)).toMatchObject({ state: 'blocked', blocked_on: 'dependency' });
    const [first, second] = await claimed(a, b);
    await on.broken(first!);
    expect(await on.state(job)).toBe('blocked');
    await on.done(second!);
    expect(await on.state(job)).toBe('ready');
    expect(await readParts(on.db, job)).toEqual([
      { id: a, state: 'failed', reason: expect.stringContaining('no source knows') },
      { id: b, state: 'completed', reason: null },
    ]);
  });

  test('is for who reads it in the state of its parts, has started with the first and changes with each of their items', async () => {
    const { job, a, b } = await download();
    const seen = async () => {
      const { state, blocked_on, started_at, updated_at, enqueued_at } = (await readJob(on.db, job))!;
      const since = (at: Date | null) => (at === null ? null : at.getTime() - enqueued_at.getTime());
      return [state, blocked_on, since(started_at), since(updated_at)];
    };
    expect(await seen()).toEqual(['ready', null, null, 0]);
    on.clock.advance({ seconds: 1 });
    const [first, second] = await claimed(a, b);
    expect(await seen()).toEqual(['running', null, 1_000, 1_000]);
    on.clock.advance({ seconds: 1 });
    await record(first!, { key: 'a1', state: 'done' });
    expect(await seen()).toEqual(['running', null, 1_000, 2_000]);
    on.clock.advance({ seconds: 1 });
    await on.done(first!);
    expect(await seen()).toEqual(['running', null, 1_000, 3_000]);
    await on.done(second!);
    const [own] = await claimed(job);
    on.clock.advance({ seconds: 1 });
    await on.done(own!);
    expect(await seen()).toEqual(['completed', null, 1_000, 4_000]);
  });

  test.each([
    ['cancelled', (id: string) => cancel(on.ledger(), id, 'by hand')],
    [
      'expired',
      async (id: string) => {
        await setJobs(on.db, { due_at: new Date('2026-06-02T13:00:00Z') }, "dedupe_key = 'part:a'");
        expect((await expire(on.ledger(), 'ready'))[0]).toMatchObject({ id, state: 'expired' });
      },
    ],
  ])('runs though one was %s', async (state, end) => {
    const { job, a, b } = await download();
    await end(a);
    const [second] = await claimed(b);
    await on.done(second!);
    expect([await on.state(a), await on.state(job)]).toEqual([state, 'ready']);
  });

  test('is refused with all its parts when the queue has no room for one of them', async () => {
    const queues = { ...on.ledger().queues, foreground: { maxJobs: 2, ttlSeconds: 300 } };

    const answers = await enqueue(on.ledger({ queues }), [whole('a', 'b'), part('a'), part('b')].map(request));
    expect(answers.map(({ outcome }) => outcome)).toEqual(['refused', 'refused', 'refused']);
    expect(await on.count('job_states')).toBe(0);
  });

  test('that is asked for again is joined, with the parts that still live; those that have ended are not done again', async () => {
    const { job, a, b } = await download();
    const [first] = await claimed(a);
    await on.done(first!);
    const answers = await on.ask(whole('a', 'b'), part('a', ['a1', 'a2']), part('b', ['b1', 'b2']));
    expect(answers).toMatchObject([
      { outcome: 'joined', id: job },
      { outcome: 'joined', id: job },
      { outcome: 'joined', id: b },
    ]);
    expect(await on.count('job_states')).toBe(3);
    expect(await countItems(on.db, job, ...(await partsOf(on.db, job)))).toMatchObject({ total: 4 });
  });

  test('that is asked for again for a user can still be withdrawn by that user', async () => {
    const [job, a] = await on.add({ ...whole('a'), user: 'ada' }, part('a'));
    const [first] = await claimed(a!);
    await on.done(first!);
    await on.ask({ ...whole('a'), user: 'ada' }, part('a'));
    expect(await withdraw(on.ledger(), job!, ['ada'], { reason: 'by hand' })).toMatchObject({ outcome: 'cancelled' });
  });

  test('has parts that do not rise by waiting, whatever else does', async () => {
    const [, a, other] = await on.add({ ...whole('a'), level: 8 }, { ...part('a'), level: 8 }, { symbol: 'SPY', level: 8 });
    on.clock.advance({ seconds: 1_300 });
    expect((await age(on.ledger(), { intervalSeconds: 600, highestLevel: 4 }, 'background_analysis', undefined)).raised).toBe(1);
    expect([(await on.row(a!)).aged, (await on.row(other!)).aged]).toEqual([0, 2]);
  });

  test('has parts that do not count in how long the oldest ready job has waited', async () => {
    const waited = async () => (await readStats(on.db, new Date(on.clock.now().epochMilliseconds))).queues[0]?.oldest_s;
    // Ids of one process ascend even where the clock of another test was ahead.
    on.clock.advance({ hours: 48 });
    await on.add(whole('a', 'b'), part('a'), part('b'));
    expect(await waited()).toBeNull();
    on.clock.advance({ seconds: 60 });
    await on.add({});
    on.clock.advance({ seconds: 5 });
    await on.add({}, { level: 2 });
    on.clock.advance({ seconds: 30 });
    expect(await waited()).toBe(35);
  });

  test('is not started again while one of them runs; a part that failed is, and the job waits for both', async () => {
    const { job, a, b } = await download();
    const [first, second] = await claimed(a, b);
    await on.broken(first!);
    await expect(retry(on.ledger(), job)).rejects.toMatchObject({ code: 'job.live' });
    expect([await on.state(a), await on.state(b)]).toEqual(['failed', 'running']);
    await retry(on.ledger(), a);
    await on.done(second!);
    expect([await on.state(a), await on.state(job)]).toEqual(['ready', 'blocked']);
    const [again] = await claimed(a);
    await on.done(again!);
    expect(await on.state(job)).toBe('ready');
  });

  test('may wait longer than its queue allows, where its type says so', async () => {
    const { types } = on.ledger();
    const ledger = on.ledger({ types: { ...types, batch_fetch: { ...types.batch_fetch!, ttlSeconds: 86_400 } } });

    await enqueue(ledger, [whole('a'), part('a'), { symbol: 'SPY' }].map(request));
    on.clock.advance({ hours: 23 });
    expect((await expire(ledger, 'ready')).map(({ symbol }) => symbol)).toEqual(['SPY']);
    expect(await expire(ledger, 'blocked')).toEqual([]);
    on.clock.advance({ hours: 1 });
    expect(await expire(ledger, 'ready')).toMatchObject([{ reason: 'waited 86400 s; the limit of batch_fetch jobs is 86400 s' }, {}]);
  });
});

describe('cancelling a job', () => {
  test('cancels its live parts, whose workers are to hear of it, and keeps what has ended', async () => {
    const { job, a, b } = await download();
    const [first, second] = await claimed(a, b);
    await on.done(first!);
    const changes = await cancel(on.ledger(), job, 'by hand');
    expect(changes).toMatchObject([
      { id: job, state: 'cancelled', reason: 'by hand' },
      { id: b, state: 'cancelled', worker: 'worker-1', reason: `job ${job}, of which it is a part, was cancelled: by hand` },
    ]);
    expect(changes).toHaveLength(2);
    expect((await complete(on.ledger(), 'worker-1', [{ job: second! }])).lost).toEqual([second]);
    expect([await on.state(a), await on.state(b)]).toEqual(['completed', 'cancelled']);
    expect((await readJob(on.db, b))?.attempts).toMatchObject([{ outcome: 'cancelled' }]);
  });

  test('leaves a part that another live job needs', async () => {
    const { job, a, b } = await download();
    const [other] = await on.add(whole('b', 'c'), part('b'), part('c'));
    await cancel(on.ledger(), job, 'by hand');
    expect([await on.state(a), await on.state(b), await on.state(other!)]).toEqual(['cancelled', 'ready', 'blocked']);
    await cancel(on.ledger(), other!, 'by hand');
    expect(await on.state(b)).toBe('cancelled');
  });

  test('by the withdrawal of its only user cancels its parts too', async () => {
    const [job, a] = await on.add({ ...whole('a'), user: 'ada' }, part('a'));
    const { outcome, changes } = await withdraw(on.ledger(), job!, ['ada'], { reason: 'not wanted' });
    expect([outcome, changes.map(({ id }) => id)]).toEqual(['cancelled', [job, a]]);
    expect(await on.state(a!)).toBe('cancelled');
  });

  test('frees the slots of the users whose parts ran', async () => {
    const [job, a] = await on.add(whole('a'), { ...part('a'), user: 'ada' });
    await claimed(a!);
    expect(await on.count('user_slots WHERE job_id IS NOT NULL')).toBe(1);
    await cancel(on.ledger(), job!, 'by hand');
    expect(await on.count('user_slots WHERE job_id IS NOT NULL')).toBe(0);
  });
});

describe('retrying a job', () => {
  test('starts the parts that have something left, and waits for them', async () => {
    const [job, done, broken, partly, early] = await on.add(
      whole('a', 'b', 'c', 'd'),
      ...[part('a', ['a1']), part('b', ['b1']), part('c', ['c1', 'c2']), part('d', ['d1'])],
    );
    const [a, b, c, d] = await claimed(done!, broken!, partly!, early!);
    await record(a!, { key: 'a1', state: 'done' });
    await on.done(a!);
    await on.broken(b!);
    await record(c!, { key: 'c1', state: 'done' }, { key: 'c2', state: 'not_entitled' });
    await endedWithErrors(c!);
    // The day of d1 was not over, which is no error.
    await record(d!, { key: 'd1', state: 'not_yet' });
    await on.done(d!);
    const [last] = await claimed(job!);
    await endedWithErrors(last!);

    const changes = await retry(on.ledger(), job!);
    expect(changes.map(({ id, state }) => [id, state])).toEqual([
      [job, 'blocked'],
      [broken, 'ready'],
      [partly, 'ready'],
      [early, 'ready'],
    ]);
    expect(await on.state(done!)).toBe('completed');
    expect(await countItems(on.db, job!, ...(await partsOf(on.db, job!)))).toMatchObject({ done: 2, pending: 3, total: 5 });
    for (const again of await on.take()) await on.done(again);
    expect(await on.state(job!)).toBe('ready');
  });

  test('leaves a part whose work another live job does', async () => {
    const { job, a, b } = await download();
    for (const one of await claimed(a, b)) await on.broken(one);
    await on.broken((await claimed(job))[0]!);
    const [other] = await on.add(part('a'));
    const changes = await retry(on.ledger(), job);
    expect(changes.map(({ id }) => id)).toEqual([job, b]);
    expect([await on.state(a), await on.state(other!)]).toEqual(['failed', 'ready']);
  });

  test('by a redrive starts the parts too, each once', async () => {
    const { job, a, b } = await download();
    const [first, second] = await claimed(a, b);
    await on.broken(first!);
    await endedWithErrors(second!);
    await on.broken((await claimed(job))[0]!);
    const { changes } = await redrive(on.ledger(), {});
    expect(changes.map(({ id, state }) => `${id} ${state}`).sort()).toEqual([`${a} ready`, `${b} ready`, `${job} blocked`].sort());
  });
});

describe('the items of a job', () => {
  test('are pending from the beginning, those of its parts among them, in the order of their keys', async () => {
    const { job, a } = await download();
    expect((await readJob(on.db, job))?.items).toMatchObject({ pending: 4, total: 4 });
    expect((await readJob(on.db, a))?.items).toMatchObject({ pending: 2, total: 2 });
    const [first] = await claimed(a);
    await record(first!, { key: 'a2', state: 'failed', reason: 'cut' });
    expect((await readJob(on.db, job))?.items).toMatchObject({ pending: 3, failed: 1, total: 4 });
    const keys = async (filter: Parameters<typeof listItems>[2]) => (await listItems(on.db, job, filter)).map(({ key }) => key);
    expect(await keys({ limit: 3 })).toEqual(['a1', 'a2', 'b1']);
    expect(await keys({ limit: 3, after: 'b1' })).toEqual(['b2']);
    expect(await keys({ limit: 3, state: 'failed' })).toEqual(['a2']);
    expect(await keys({ limit: 2, after: 'a1', state: 'pending' })).toEqual(['b1', 'b2']);
  });

  test('of parts are kept as long as the job that sums them up', async () => {
    const { job, a, b } = await download();
    for (const one of await claimed(a, b)) await on.done(one);
    on.clock.advance({ hours: 24 * 8 });
    expect(await deleteEnded(on.ledger(), 7)).toBe(0);
    await on.done((await claimed(job))[0]!);
    expect((await readJob(on.db, job))?.items).toMatchObject({ total: 4 });
    on.clock.advance({ hours: 24 * 8 });
    await deleteEnded(on.ledger(), 7);
    await deleteEnded(on.ledger(), 7);
    expect(await on.count('job_states')).toBe(0);
  });

  test('of a job without parts are counted by one statement on its own index', async () => {
    const [id] = await on.add({ items: ['x', 'y'] });
    const seen: string[] = [];
    const db = watched(on.db, async ({ sql }) => {
      if (/COUNT.*job_items/.test(sql)) seen.push(sql);
    });
    expect((await readJob(db, id!))?.items).toMatchObject({ pending: 2 });
    expect(seen).toEqual([expect.stringContaining('FORCE INDEX (ix_state) WHERE job_id IN')]);
  });
});
