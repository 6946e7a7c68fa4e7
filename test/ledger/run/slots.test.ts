import { describe, expect, test } from 'vitest';
import { cancel } from '../../../services/ledger/control.ts';
import { enqueue } from '../../../services/ledger/enqueue/enqueue.ts';
import { idToBytes } from '../../../services/ledger/id.ts';
import { expire } from '../../../services/ledger/maintain/expire.ts';
import { reap } from '../../../services/ledger/maintain/rescue.ts';
import { type ClaimedJob, claim } from '../../../services/ledger/run/claim.ts';
import { complete, fail, handBack } from '../../../services/ledger/run/complete.ts';
import { healSlots } from '../../../services/ledger/run/slots.ts';
import { setJobs } from '../../support/job-rows.ts';
import { ledgerFixture, request, stoppingAtCommit, transient } from '../fixture.ts';

const on = ledgerFixture();
const ada = { user: 'ada' };
const idsOf = (jobs: readonly { id: string }[]): string[] => jobs.map(({ id }) => id);
const states = (ids: readonly string[]): Promise<string[]> => Promise.all(ids.map((id) => on.state(id)));

/** Five of Ada's jobs: three run, two are blocked. */
async function fiveOfAda() {
  const ids = await on.add(ada, ada, ada, { ...ada, level: 3 }, { ...ada, level: 2 });
  const jobs = await on.take();
  return { jobs, blocked: ids.slice(3) };
}

describe('the limit', () => {
  test('three jobs of a user run, the others are blocked', async () => {
    const { jobs, blocked } = await fiveOfAda();
    expect(jobs).toHaveLength(3);
    expect(await on.row(blocked[0]!)).toMatchObject({ state: 'blocked', blocked_on: 'slot' });
    expect(await states(blocked)).toEqual(['blocked', 'blocked']);
  });

  test('the most urgent ones run', async () => {
    const [low, high, middle] = await on.add({ ...ada, level: 3 }, { ...ada, level: 1 }, { ...ada, level: 2 });
    const { jobs, blocked } = await claim(on.ledger({ slotsPerUser: 2 }), 'worker-1', 10);
    expect(idsOf(jobs)).toEqual([high, middle]);
    expect(blocked).toEqual([low]);
  });

  test('a job without a user needs no slot', async () => {
    await on.add({}, {}, {}, {}, {});
    expect(await on.take()).toHaveLength(5);
  });

  test('the jobs of a user who is over it do not hold up those behind them', async () => {
    await on.add(...Array.from({ length: 50 }, () => ada), { user: 'bob', level: 3 });
    expect((await on.take('worker-1', 4)).map(({ userId }) => userId)).toEqual(['ada', 'ada', 'ada', 'bob']);
  });

  test('thousands of jobs of one user cost one claim, not one each', async () => {
    await on.add(...Array.from({ length: 2000 }, () => ada), { user: 'bob', level: 3 });
    let statements = 0;
    const counted = {
      ...on.db,
      transaction: (work: Parameters<typeof on.db.transaction>[0]) =>
        on.db.transaction((tx) => {
          const rows: typeof tx.rows = (...args) => {
            statements++;
            return tx.rows(...args);
          };
          return work({ ...tx, rows });
        }),
    } as typeof on.db;
    const { jobs } = await claim(on.ledger({ db: counted }), 'worker-1', 4);
    expect(jobs).toHaveLength(4);
    expect(statements).toBeLessThan(60);
  });

  test('may be raised while jobs wait', async () => {
    await fiveOfAda();
    const ledger = on.ledger({ slotsPerUser: 4 });
    expect(await on.db.transaction((tx) => healSlots(tx, ledger))).toHaveLength(1);
    expect((await claim(ledger, 'worker-1', 10)).jobs).toHaveLength(1);
  });

  test('of a new user is known at the first claim', async () => {
    await on.add(ada);
    await on.take();
    expect(await on.count("user_slots WHERE user_id = 'ada'")).toBe(3);
  });
});

describe('the release of a slot', () => {
  test('makes the most urgent blocked job ready', async () => {
    const { jobs, blocked } = await fiveOfAda();
    await on.done(jobs[0]!);
    expect(await states(blocked)).toEqual(['blocked', 'ready']);
  });

  test('is told', async () => {
    const { jobs, blocked } = await fiveOfAda();
    const { changes } = await complete(on.ledger(), 'worker-1', [{ job: jobs[0]! }]);
    expect(changes).toMatchObject([{ id: jobs[0]!.id }, { id: blocked[1], state: 'ready' }]);
  });

  test('of two at once makes two ready', async () => {
    const { jobs, blocked } = await fiveOfAda();
    await complete(on.ledger(), 'worker-1', [{ job: jobs[0]! }, { job: jobs[1]! }]);
    expect(await states(blocked)).toEqual(['ready', 'ready']);
  });

  const ways: [string, (job: ClaimedJob) => Promise<unknown>][] = [
    ['a failure for good', (job) => on.broken(job)],
    ['a failure that is tried again', (job) => fail(on.ledger(), 'worker-1', [{ job, error: transient() }])],
    ['a cancel', (job) => cancel(on.ledger(), job.id, 'by hand')],
  ];
  test.each(ways)('comes with %s', async (_, end) => {
    const { jobs, blocked } = await fiveOfAda();
    await end(jobs[0]!);
    expect(await states(blocked)).toEqual(['blocked', 'ready']);
  });

  test('comes with handing back', async () => {
    const { jobs } = await fiveOfAda();
    await handBack(on.ledger(), 'worker-1', jobs, 'shutdown');
    expect(await on.take('worker-2')).toHaveLength(3);
  });

  test('comes with a crash: the reaper frees the slots of a dead worker', async () => {
    await fiveOfAda();
    on.clock.advance({ seconds: 61 });
    await reap(on.ledger());
    expect(await on.take('worker-2')).toHaveLength(3);
  });

  test('is not missed by a claim that is about to block a job for it', async () => {
    await on.add(ada, ada, ada);
    const jobs = await on.take();
    const [late] = await on.add(ada);
    const stopping = stoppingAtCommit(on.db);
    const claiming = claim(on.ledger({ db: stopping.db }), 'worker-2', 10);
    await stopping.arrived;
    const completing = complete(on.ledger(), 'worker-1', [{ job: jobs[0]! }]);
    await on.untilWaiting();
    stopping.open();
    await Promise.all([claiming, completing]);
    // Ready, or already taken: the claim looks behind a job that it blocked, and may find it woken there.
    expect(['ready', 'running']).toContain(await on.state(late!));
  });

  test('lets a claim that cannot see all slots ask again instead of blocking the job', async () => {
    await on.add(ada, ada, ada);
    const jobs = await on.take();
    const [late] = await on.add(ada);
    const stopping = stoppingAtCommit(on.db);
    const completing = complete(on.ledger({ db: stopping.db }), 'worker-1', [{ job: jobs[0]! }]);
    await stopping.arrived;
    expect(await claim(on.ledger(), 'worker-2', 10)).toEqual({ jobs: [], blocked: [], undecided: true, tied: false });
    stopping.open();
    await completing;
    expect(idsOf(await on.take('worker-2'))).toEqual([late]);
  });

  test('passes over a waiting job that is cancelled at this moment, and wakes the next', async () => {
    const { jobs, blocked } = await fiveOfAda();
    const stopping = stoppingAtCommit(on.db);
    const cancelling = cancel(on.ledger({ db: stopping.db }), blocked[1]!, 'by hand');
    await stopping.arrived;
    await on.done(jobs[0]!);
    stopping.open();
    await cancelling;
    expect(await states(blocked)).toEqual(['ready', 'cancelled']);
  });

  test('does not wait for a waiting job that somebody holds; if it is left as it is, healing wakes it', async () => {
    await on.add(ada, ada, ada);
    const jobs = await on.take();
    const [late] = await on.add(ada);
    await on.take();
    await on.db.transaction(async (tx) => {
      await tx.rows('SELECT id FROM job_states WHERE id = ? FOR UPDATE', [idToBytes(late!)]);
      await on.done(jobs[0]!);
    });
    expect(await on.state(late!)).toBe('blocked');
    expect(await on.db.transaction((tx) => healSlots(tx, on.ledger()))).toMatchObject([{ id: late, state: 'ready' }]);
  });

  test('reaches a waiting job that is held as the need of a new one: its holder wakes it', async () => {
    await on.add(ada, ada, ada);
    const jobs = await on.take();
    const [late] = await on.add({ ...ada, dedupeKey: 'fetch:AAPL' });
    await on.take();
    const stopping = stoppingAtCommit(on.db);
    const asking = enqueue(on.ledger({ db: stopping.db }), [request({ type: 'analysis', after: ['fetch:AAPL'] })]);
    await stopping.arrived;
    await on.done(jobs[0]!);
    stopping.open();
    await asking;
    expect(await on.state(late!)).toBe('ready');
  });

  test('wakes the most urgent of a very long line', async () => {
    await on.add(ada, ada, ada);
    const jobs = await on.take();
    await on.add(...Array.from({ length: 600 }, () => ({ ...ada, level: 3 })));
    const [urgent] = await on.add({ ...ada, level: 2 });
    await on.take();
    await on.done(jobs[0]!);
    expect(await on.state(urgent!)).toBe('ready');
    expect(await on.count("job_states WHERE state = 'blocked'")).toBe(600);
  });
});

describe('a woken job that does not use the slot', () => {
  /** The most urgent blocked job has been woken and is ready; the other one waits. */
  async function woken() {
    const { jobs, blocked } = await fiveOfAda();
    await on.done(jobs[0]!);
    return { ready: blocked[1]!, waiting: blocked[0]! };
  }

  test('because it is cancelled, leaves it to the next', async () => {
    const { ready, waiting } = await woken();
    await cancel(on.ledger(), ready, 'by hand');
    expect(await on.state(waiting)).toBe('ready');
  });

  test('because it expires, leaves it to the next', async () => {
    const { ready, waiting } = await woken();
    await setJobs(on.db, { due_at: new Date('2026-06-02T14:00:00Z') }, 'id = ?', [idToBytes(ready)]);
    await expire(on.ledger(), 'ready');
    expect([await on.state(ready), await on.state(waiting)]).toEqual(['expired', 'ready']);
  });

  test('because it must wait for another job, leaves it to the next', async () => {
    await on.add(ada, ada, ada);
    const jobs = await on.take();
    const [first, second] = await on.add({ ...ada, dedupeKey: 'analysis:AAPL' }, ada);
    await on.take();
    await on.done(jobs[0]!);
    expect(await states([first!, second!])).toEqual(['ready', 'blocked']);
    await on.ask({ dedupeKey: 'fetch:AAPL' }, { ...ada, dedupeKey: 'analysis:AAPL', after: ['fetch:AAPL'] });
    expect(await states([first!, second!])).toEqual(['blocked', 'ready']);
  });

  test('because it took that of another subscriber, leaves it to the next', async () => {
    // Ada and Bob have all slots taken; one job waits for either of them, one for Ada alone.
    await on.add(ada, ada, ada, ...Array.from({ length: 3 }, () => ({ user: 'bob' })));
    const jobs = await on.take();
    const [shared] = await on.add({ user: 'bob', dedupeKey: 'fetch:AAPL' });
    await on.ask({ ...ada, dedupeKey: 'fetch:AAPL' });
    const [alone] = await on.add(ada);
    await on.take();
    expect(await states([shared!, alone!])).toEqual(['blocked', 'blocked']);
    await on.done(jobs.find(({ userId }) => userId === 'ada')!);
    await on.done(jobs.find(({ userId }) => userId === 'bob')!);
    // It takes Bob's, who asked first; Ada's is for another job of Ada's.
    expect((await on.take()).map(({ id }) => id)).toContain(shared);
    await on.take();
    expect(await on.state(alone!)).toBe('running');
  });

  test('is blocked again when a more urgent job of the user was faster', async () => {
    const { ready } = await woken();
    const [urgent] = await on.add(ada);
    expect(idsOf(await on.take())).toEqual([urgent]);
    expect(await on.state(ready)).toBe('blocked');
  });
});

describe('a job with several subscribers', () => {
  test('counts against the one who is under the limit', async () => {
    await on.add(ada, ada, ada);
    await on.take();
    const [shared] = await on.add({ ...ada, dedupeKey: 'fetch:AAPL' });
    await on.ask({ user: 'bob', dedupeKey: 'fetch:AAPL' });
    expect(idsOf(await on.take())).toEqual([shared]);
    expect(await on.count("user_slots WHERE user_id = 'bob' AND job_id = ?", [idToBytes(shared!)])).toBe(1);
  });

  test('is blocked when all of them are over the limit, and woken by whoever is first', async () => {
    await on.add(ada, ada, ada, ...Array.from({ length: 3 }, () => ({ user: 'bob' })));
    const jobs = await on.take();
    const [shared] = await on.add({ ...ada, dedupeKey: 'fetch:AAPL' });
    await on.ask({ user: 'bob', dedupeKey: 'fetch:AAPL' });
    await on.take();
    expect(await on.state(shared!)).toBe('blocked');
    await on.done(jobs.find(({ userId }) => userId === 'bob')!);
    expect(await on.state(shared!)).toBe('ready');
  });

  test('being blocked, is tried again when a new one joins who has a slot', async () => {
    await on.add(ada, ada, ada);
    await on.take();
    const [shared] = await on.add({ ...ada, dedupeKey: 'fetch:AAPL' });
    await on.take();
    expect(await on.state(shared!)).toBe('blocked');
    await on.ask({ user: 'bob', dedupeKey: 'fetch:AAPL' });
    expect(idsOf(await on.take())).toEqual([shared]);
  });

  test("being blocked, keeps one place in each user's line, at its new priority", async () => {
    await on.add(ada, ada, ada);
    const jobs = await on.take();
    const [, raised] = await on.add({ ...ada, level: 2 }, { ...ada, level: 9, dedupeKey: 'fetch:AAPL' });
    await on.take();
    await on.ask({ ...ada, level: 1, dedupeKey: 'fetch:AAPL' });
    await on.take();
    await on.done(jobs[0]!);
    expect(await on.state(raised!)).toBe('ready');
  });

  test('being cancelled while it is blocked, leaves all lines', async () => {
    const { blocked } = await fiveOfAda();
    for (const id of blocked) await cancel(on.ledger(), id, 'by hand');
    expect(await on.count('slot_waits')).toBe(0);
  });
});

describe('healing', () => {
  test('finds nothing to do on a healthy ledger', async () => {
    await fiveOfAda();
    expect(await on.db.transaction((tx) => healSlots(tx, on.ledger()))).toEqual([]);
    expect(await on.count('user_slots WHERE job_id IS NOT NULL')).toBe(3);
  });

  test('frees a slot whose job does not run, and wakes who waits for it', async () => {
    const { jobs, blocked } = await fiveOfAda();
    await setJobs(on.db, { state: 'failed' }, 'id = ?', [idToBytes(jobs[0]!.id)]);
    expect(await on.db.transaction((tx) => healSlots(tx, on.ledger()))).toMatchObject([{ id: blocked[1], state: 'ready' }]);
  });

  test('does not take the slot of a running job that is held locked', async () => {
    const { jobs } = await fiveOfAda();
    await on.db.transaction(async (tx) => {
      await tx.rows('SELECT id FROM job_states WHERE id = ? FOR UPDATE', [idToBytes(jobs[0]!.id)]);
      await on.db.transaction((other) => healSlots(other, on.ledger()));
    });
    expect(await on.count('user_slots WHERE job_id IS NOT NULL')).toBe(3);
  });
});

test('under four concurrent workers no user ever runs more than the limit, and every job runs', async () => {
  const users = ['ada', 'bob', 'cyd', 'dee', 'eve'];
  // A third of the jobs has two subscribers.
  const keys = Array.from({ length: 120 }, (_, index) => `job:${index}`);
  await on.add(...keys.map((dedupeKey, index) => ({ user: users[index % 5]!, dedupeKey, level: 1 + (index % 3) })));
  await on.ask(...keys.filter((_, index) => index % 3 === 0).map((dedupeKey, index) => ({ user: users[(index + 2) % 5]!, dedupeKey })));
  const workers = ['worker-0', 'worker-1', 'worker-2', 'worker-3'];
  const held = () => on.db.rows<{ n: number }>('SELECT COUNT(*) AS n FROM user_slots WHERE job_id IS NOT NULL GROUP BY user_id');
  // Before anything ends, all four take what they can: exactly three jobs of each user.
  const first = await Promise.all(
    workers.map(async (worker) => {
      const jobs: ClaimedJob[] = [];
      for (;;) {
        const taken = await claim(on.ledger(), worker, 3);
        jobs.push(...taken.jobs);
        if (taken.jobs.length === 0 && !taken.undecided) return jobs;
      }
    }),
  );
  expect((await held()).map(({ n }) => n)).toEqual([3, 3, 3, 3, 3]);

  let ended = 0;
  let most = 0;
  const watching = (async () => {
    while (ended < 120) {
      most = Math.max(most, ...(await held()).map(({ n }) => n));
      // A running job of a user's holds a slot of one of its users.
      const [without] = await on.db.rows<{ n: number }>(
        "SELECT COUNT(*) AS n FROM job_states j LEFT JOIN user_slots s ON s.job_id = j.id WHERE j.state = 'running' AND s.slot IS NULL",
      );
      expect(without?.n).toBe(0);
    }
  })();
  await Promise.all([
    watching,
    ...workers.map(async (worker, index) => {
      for (let jobs = first[index]!; ended < 120; { jobs } = await claim(on.ledger(), worker, 3))
        for (const job of jobs) {
          await complete(on.ledger(), worker, [{ job }]);
          ended++;
        }
    }),
  ]);
  expect(most).toBeLessThanOrEqual(3);
  expect(await on.count("job_states WHERE state = 'completed'")).toBe(120);
  expect(await on.count('user_slots WHERE job_id IS NOT NULL')).toBe(0);
  expect(await on.count('slot_waits')).toBe(0);
});

test('a type that takes no slot runs beside the jobs of its user, and leaves them theirs', async () => {
  const { types } = on.ledger();
  const ledger = on.ledger({ types: { ...types, batch_fetch: { ...types.batch_fetch!, takesNoSlot: true } } });
  const user = 'ada';
  await on.add(...Array.from({ length: 4 }, () => ({ type: 'batch_fetch', user })), ...Array.from({ length: 3 }, () => ({ user })));
  const { jobs, blocked } = await claim(ledger, 'worker-1', 10);
  expect([jobs.length, blocked]).toEqual([7, []]);
  await complete(
    ledger,
    'worker-1',
    jobs.map((job) => ({ job })),
  );
  expect(await on.count('user_slots WHERE job_id IS NOT NULL')).toBe(0);
});
