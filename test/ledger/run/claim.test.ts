import { describe, expect, test } from 'vitest';
import { idToBytes } from '../../../services/ledger/id.ts';
import { claim } from '../../../services/ledger/run/claim.ts';
import { ledgerFixture, START, stoppingAtCommit } from '../fixture.ts';

const on = ledgerFixture();

describe('order', () => {
  test('the smaller level is claimed first', async () => {
    const [later, first] = await on.add({ level: 3 }, { level: 2 });
    expect((await on.take()).map(({ id }) => id)).toEqual([first, later]);
  });

  test('in one level the greater score is claimed first', async () => {
    const [later, first] = await on.add({ score: 0.1 }, { score: 0.9 });
    expect((await on.take()).map(({ id }) => id)).toEqual([first, later]);
  });

  test('equally urgent jobs are claimed in the order of their arrival', async () => {
    const [first] = await on.add({});
    const [second, third] = await on.add({}, {});
    expect((await on.take()).map(({ id }) => id)).toEqual([first, second, third]);
  });

  test('the queues are emptied from the foreground down', async () => {
    const [analysis, fetch, foreground] = await on.add({ level: 7, score: 1 }, { level: 4, score: 1 }, { level: 3, score: 0 });
    expect((await on.take()).map(({ id, queue }) => [id, queue])).toEqual([
      [foreground, 'foreground'],
      [fetch, 'background_fetch'],
      [analysis, 'background_analysis'],
    ]);
  });

  test('a worker for some types gets the next jobs while another one claims the first', async () => {
    const ids = await on.add({}, {}, {}, {});
    const stopping = stoppingAtCommit(on.db);
    const first = claim(on.ledger({ db: stopping.db }), 'worker-1', 2, ['fetch']);
    await stopping.arrived;
    const second = await claim(on.ledger(), 'worker-2', 2, ['fetch']);
    expect([second.jobs.map(({ id }) => id), second.undecided]).toEqual([ids.slice(2), false]);
    stopping.open();
    expect((await first).jobs.map(({ id }) => id)).toEqual(ids.slice(0, 2));
  });

  test('of a type with little room no more are claimed, and what waits behind them comes next', async () => {
    const long = { type: 'batch_fetch', level: 1 };
    const ids = await on.add(long, long, long, { level: 2 });
    const types = ['fetch', 'batch_fetch'];
    const first = await claim(on.ledger(), 'worker-1', 3, types, undefined, { room: new Map([['batch_fetch', 1]]) });
    expect([first.jobs.map(({ id }) => id), first.undecided]).toEqual([[ids[0]], true]);
    const next = await claim(on.ledger(), 'worker-1', 2, ['fetch'], undefined, { room: new Map([['batch_fetch', 0]]) });
    expect(next.jobs.map(({ id }) => id)).toEqual([ids[3]]);
    expect([await on.state(ids[1]!), await on.state(ids[2]!)]).toEqual(['ready', 'ready']);
  });

  test('no more are claimed than asked for', async () => {
    await on.add({}, {}, { level: 5 });
    expect(await on.take('worker-1', 2)).toHaveLength(2);
  });
});

describe('a claimed job', () => {
  test('carries what its handler needs', async () => {
    const [id] = await on.add({
      symbol: 'MSFT',
      payload: { symbol: 'MSFT', days: 3 },
      level: 2,
      score: 1,
      triggeredBy: 'login',
      user: 'ada',
    });
    const [job] = await on.take();
    expect(job).toEqual({
      id,
      trace: null,
      type: 'fetch',
      symbol: 'MSFT',
      queue: 'foreground',
      level: 2,
      score: 1,
      attempt: 1,
      maxAttempts: 4,
      deaths: 0,
      hasDependents: false,
      userId: 'ada',
      dedupeKey: null,
      payload: { symbol: 'MSFT', days: 3 },
      triggeredBy: 'login',
      enqueuedAt: new Date(START),
      startedAt: new Date(START),
    });
  });

  test('is running under its worker until its lease ends', async () => {
    const { id } = await on.running();
    expect(await on.row(id)).toMatchObject({
      state: 'running',
      worker_id: 'worker-1',
      attempt: 1,
      due_at: new Date('2026-06-02T14:01:00Z'),
    });
  });

  test('is not claimed again', async () => {
    await on.running();
    expect(await on.take('worker-2')).toEqual([]);
  });
});

test('only the types that the worker supports are claimed', async () => {
  const [, analysis] = await on.add({ type: 'fetch' }, { type: 'analysis' });
  const { jobs } = await claim(on.ledger(), 'worker-1', 10, ['analysis']);
  expect(jobs.map(({ id }) => id)).toEqual([analysis]);
});

test('of the types that a worker supports the most urgent jobs are claimed first, in the order of arrival', async () => {
  const types = ['analysis', 'batch_fetch', 'fetch'] as const;
  const ids = await on.add(...Array.from({ length: 9 }, (_, index) => ({ type: types[index % 3], level: 3 - (index % 3) })));
  const { jobs } = await claim(on.ledger(), 'worker-1', 5, ['analysis', 'batch_fetch']);
  expect(jobs.map(({ id }) => id)).toEqual([1, 4, 7, 0, 3].map((index) => ids[index]));
});

test('a worker for some types that finds its jobs locked is told to ask again, and takes those behind them', async () => {
  const [first] = await on.add({ type: 'analysis' }, { type: 'fetch' });
  const stopping = stoppingAtCommit(on.db);
  const other = claim(on.ledger({ db: stopping.db }), 'worker-1', 1, ['analysis']);
  await stopping.arrived;
  expect(await claim(on.ledger(), 'worker-2', 1, ['analysis'])).toEqual({ jobs: [], blocked: [], undecided: true, tied: false });
  const [second] = await on.add({ type: 'analysis' });
  expect((await claim(on.ledger(), 'worker-2', 2, ['analysis'])).jobs.map(({ id }) => id)).toEqual([second]);
  stopping.open();
  expect((await other).jobs.map(({ id }) => id)).toEqual([first]);
});

test('the jobs of each queue are handed over as soon as they are claimed, and nothing where there is none', async () => {
  const handed: string[][] = [];
  const take = () => claim(on.ledger(), 'worker-1', 10, undefined, (jobs) => void handed.push(jobs.map(({ id }) => id)));
  await take();
  expect(handed).toEqual([]);
  const [background, foreground, other] = await on.add({ level: 5 }, {}, { level: 2 });
  expect((await take()).jobs).toHaveLength(3);
  expect(handed).toEqual([[foreground, other], [background]]);
});

test('two workers that claim at the same moment each get rows at once', async () => {
  const ids = await on.add({}, {}, {}, {});
  const stopping = stoppingAtCommit(on.db);
  const first = claim(on.ledger({ db: stopping.db }), 'worker-1', 2);
  await stopping.arrived;
  const second = await claim(on.ledger(), 'worker-2', 2);
  stopping.open();
  expect((await first).jobs.map(({ id }) => id)).toEqual(ids.slice(0, 2));
  expect(second.jobs.map(({ id }) => id)).toEqual(ids.slice(2));
});

test('a worker that finds its job held by somebody for a moment is told to ask again', async () => {
  const [id] = await on.add({});
  await on.db.transaction(async (tx) => {
    await tx.rows('SELECT id FROM job_states WHERE id = ? FOR UPDATE', [idToBytes(id as string)]);
    expect(await claim(on.ledger(), 'worker-1', 10)).toEqual({ jobs: [], blocked: [], undecided: true, tied: false });
  });
});

test('a worker that finds nothing is not told to ask again', async () => {
  expect(await claim(on.ledger(), 'worker-1', 10)).toEqual({ jobs: [], blocked: [], undecided: false, tied: false });
});

test('a job of a type that the worker does not support is no reason to ask again', async () => {
  await on.add({ type: 'analysis' });
  expect((await claim(on.ledger(), 'worker-1', 10, ['fetch'])).undecided).toBe(false);
});

test('eight workers share 400 jobs: each job has one owner', async () => {
  await on.add(...Array.from({ length: 400 }, (_, index) => ({ level: 1 + (index % 10) })));
  const owned = await Promise.all(
    Array.from({ length: 8 }, async (_, index) => {
      const mine: string[] = [];
      for (;;) {
        const { jobs, undecided } = await claim(on.ledger(), `worker-${index}`, 7);
        if (jobs.length === 0 && !undecided) return mine;
        mine.push(...jobs.map(({ id }) => id));
      }
    }),
  );
  expect(owned.flat()).toHaveLength(400);
  expect(new Set(owned.flat()).size).toBe(400);
});
