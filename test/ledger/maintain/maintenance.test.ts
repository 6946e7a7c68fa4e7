import { describe, expect, test } from 'vitest';
import { cancel } from '../../../services/ledger/control.ts';
import { idToBytes } from '../../../services/ledger/id.ts';
import { levelOf, priorityOf } from '../../../services/ledger/job.ts';
import { AGED_QUEUES, type Ageing, age } from '../../../services/ledger/maintain/age.ts';
import { deleteEnded } from '../../../services/ledger/maintain/delete.ts';
import { expire } from '../../../services/ledger/maintain/expire.ts';
import { promote } from '../../../services/ledger/maintain/promote.ts';
import { recordItems } from '../../../services/ledger/run/items.ts';
import { setJobs } from '../../support/job-rows.ts';
import { ledgerFixture, TABLES } from '../fixture.ts';

const on = ledgerFixture();
const at = (time: string): Date => new Date(`2026-06-02T${time}Z`);

describe('the promoter', () => {
  test("makes a scheduled job ready at its time, with its queue's time to live", async () => {
    const [id] = await on.add({ runAt: at('14:10:00') });
    on.clock.set('2026-06-02T14:10:00Z');
    expect(await promote(on.ledger())).toMatchObject([{ id, state: 'ready' }]);
    expect(await on.row(id!)).toMatchObject({ state: 'ready', due_at: at('14:15:00') });
  });

  test('leaves it before its time', async () => {
    const [id] = await on.add({ runAt: at('14:10:00') });
    on.clock.set('2026-06-02T14:09:59Z');
    expect(await promote(on.ledger())).toEqual([]);
    expect(await on.state(id!)).toBe('scheduled');
  });

  test('moves at most 500 a call, the longest due first', async () => {
    const late = await on.add(...Array.from({ length: 10 }, () => ({ runAt: at('14:20:00') })));
    await on.add(...Array.from({ length: 495 }, () => ({ runAt: at('14:10:00') })));
    on.clock.set('2026-06-02T15:00:00Z');
    expect(await promote(on.ledger())).toHaveLength(500);
    expect((await promote(on.ledger())).map(({ id }) => id)).toEqual(late.slice(5));
  });

  test('run by two at once, moves each job once', async () => {
    await on.add(...Array.from({ length: 100 }, () => ({ runAt: at('14:10:00') })));
    on.clock.set('2026-06-02T15:00:00Z');
    const moved = (await Promise.all([promote(on.ledger()), promote(on.ledger())])).flat();
    expect(new Set(moved.map(({ id }) => id)).size).toBe(moved.length);
  });
});

describe('the time to live', () => {
  test('ends a ready job with the reason', async () => {
    const [id] = await on.add({});
    on.clock.advance({ seconds: 300 });
    const reason = 'waited 300 s; the limit of foreground is 300 s (queue.priority_queues.foreground.ttl)';
    expect(await expire(on.ledger(), 'ready')).toMatchObject([{ id, state: 'expired', code: 'queue.expired', reason }]);
    expect(await on.row(id!)).toMatchObject({ state: 'expired', ended_at: at('14:05:00') });
    expect(await on.reason(id!)).toEqual({ code: 'queue.expired', reason });
  });

  test("is each queue's own", async () => {
    const [foreground, fetch, analysis] = await on.add({ level: 1 }, { level: 4 }, { level: 7 });
    on.clock.advance({ seconds: 3600 });
    await expire(on.ledger(), 'ready');
    expect([await on.state(foreground!), await on.state(fetch!), await on.state(analysis!)]).toEqual(['expired', 'expired', 'ready']);
  });

  test('ends a blocked job, which leaves the line for its slot', async () => {
    await on.add(...Array.from({ length: 4 }, () => ({ user: 'ada' })));
    await on.take();
    on.clock.advance({ seconds: 300 });
    expect(await expire(on.ledger(), 'blocked')).toHaveLength(1);
    expect(await on.count('slot_waits')).toBe(0);
  });

  test('does not touch a running job', async () => {
    const job = await on.running();
    on.clock.advance({ hours: 5 });
    await expire(on.ledger(), 'ready');
    await expire(on.ledger(), 'blocked');
    expect(await on.state(job.id)).toBe('running');
  });

  test('frees the dedupe key', async () => {
    await on.add({ dedupeKey: 'fetch:AAPL' });
    on.clock.advance({ seconds: 300 });
    await expire(on.ledger(), 'ready');
    expect(await on.ask({ dedupeKey: 'fetch:AAPL' })).toMatchObject([{ outcome: 'queued' }]);
  });
});

describe('ageing', () => {
  const ageing: Ageing = { intervalSeconds: 600, highestLevel: 4 };
  const ageAll = async (rules = ageing): Promise<number> => {
    let raised = 0;
    for (const queue of AGED_QUEUES) {
      let from: Awaited<ReturnType<typeof age>>['next'];
      do {
        const round = await age(on.ledger(), rules, queue, from);
        raised += round.raised;
        from = round.next;
      } while (from !== undefined);
    }
    return raised;
  };

  test('raises a waiting job by a level for each whole interval, its score as before', async () => {
    const [id] = await on.add({ level: 9, score: 0.3 });
    on.clock.advance({ seconds: 1199 });
    expect(await ageAll()).toBe(1);
    expect(await on.row(id!)).toMatchObject({ priority: priorityOf(8, 0.3), aged: 1, queue: 'background_analysis' });
  });

  test('raises once an interval, however often it looks', async () => {
    const [id] = await on.add({ level: 9 });
    on.clock.advance({ seconds: 600 });
    await ageAll();
    expect(await ageAll()).toBe(0);
    on.clock.advance({ seconds: 600 });
    await ageAll();
    expect(levelOf((await on.row(id!)).priority)).toBe(7);
  });

  test('moves a job to the queue of its new level', async () => {
    const [id] = await on.add({ level: 7 });
    on.clock.advance({ seconds: 600 });
    await ageAll();
    expect(await on.row(id!)).toMatchObject({ queue: 'background_fetch', priority: priorityOf(6, 0.5) });
  });

  test('never raises into the foreground', async () => {
    const ids = await on.add({ level: 4, score: 1 }, { level: 5, score: 0.9999 }, { level: 10, score: 1 });
    on.clock.advance({ hours: 1000 });
    await ageAll();
    await ageAll();
    expect(await Promise.all(ids.map(async (id) => levelOf((await on.row(id)).priority)))).toEqual([4, 4, 4]);
    expect(await on.count("job_states WHERE queue = 'foreground'")).toBe(0);
  });

  test('raises no further than allowed in all', async () => {
    const [id] = await on.add({ level: 10 });
    on.clock.advance({ hours: 1000 });
    await ageAll({ ...ageing, levels: 2 });
    expect(levelOf((await on.row(id!)).priority)).toBe(8);
  });

  test('leaves the foreground alone', async () => {
    const [id] = await on.add({ level: 3 });
    on.clock.advance({ hours: 1000 });
    await ageAll();
    expect(levelOf((await on.row(id!)).priority)).toBe(3);
  });

  describe('inside the foreground', () => {
    const foreground: Ageing = { intervalSeconds: 30, highestLevel: 1, toHead: true };
    const ageForeground = () => age(on.ledger(), foreground, 'foreground', undefined);
    const claimNext = async () => (await on.take('worker-1', 1))[0]?.id;

    test('raises a level for each interval, its score as before, and from level 1 to the head of the queue', async () => {
      const [id] = await on.add({ level: 3, score: 0.2 });
      const priorities: number[] = [];
      for (let looks = 0; looks < 4; looks++) {
        on.clock.advance({ seconds: 30 });
        await ageForeground();
        priorities.push((await on.row(id!)).priority);
      }
      const head = priorityOf(1, 1);
      expect(priorities).toEqual([priorityOf(2, 0.2), priorityOf(1, 0.2), head, head]);
      expect(await on.row(id!)).toMatchObject({ queue: 'foreground' });
    });

    test('an old job is claimed before newer ones of users who hold more', async () => {
      const [old] = await on.add({ level: 1, score: 0.1 });
      on.clock.advance({ seconds: 30 });
      const [rich] = await on.add({ level: 1, score: 0.9 });
      expect(await claimNext()).toBe(rich);
      await on.add({ level: 1, score: 0.9 });
      await ageForeground();
      expect(await claimNext()).toBe(old);
    });

    test('at the head the older job comes first', async () => {
      const [first] = await on.add({ level: 2, score: 0.1 });
      on.clock.advance({ seconds: 1 });
      await on.add({ level: 1, score: 0.9 });
      on.clock.advance({ seconds: 89 });
      await ageForeground();
      expect(await claimNext()).toBe(first);
    });

    test('raises nothing twice', async () => {
      await on.add({ level: 1, score: 0.4 });
      on.clock.advance({ seconds: 3_000 });
      expect((await ageForeground()).raised).toBe(1);
      expect((await ageForeground()).raised).toBe(0);
    });
  });

  test('walks a long queue to its end', async () => {
    await on.add(...Array.from({ length: 1201 }, (_, index) => ({ level: 8, score: (index % 7) / 7 })));
    on.clock.advance({ seconds: 600 });
    expect(await ageAll()).toBe(1201);
    expect(await on.count('job_states WHERE aged = 1')).toBe(1201);
  });

  test('hides no job from the workers while it looks', async () => {
    const [id] = await on.add({ level: 8 });
    await on.db.transaction(async (tx) => {
      await tx.rows('SELECT id FROM job_states WHERE id = ? FOR UPDATE', [idToBytes(id!)]);
      on.clock.advance({ seconds: 600 });
      // Does not wait for a job that somebody holds either: it is raised at the next look.
      expect(await ageAll()).toBe(0);
    });
    expect(await ageAll()).toBe(1);
  });
});

describe('retention', () => {
  const day = { hours: 24 };

  test('deletes what ended longer ago than allowed, with everything beside it', async () => {
    const job = await on.running({ type: 'batch_fetch', user: 'ada', dedupeKey: 'batch', dedupeWindowSeconds: 60 });
    await on.db.transaction((tx) => recordItems(tx, on.ledger(), job.id, [{ key: 'AAPL', state: 'failed', reason: 'no' }]));
    await on.add({ after: ['batch'] });
    await on.broken(job);
    on.clock.advance({ hours: 24 * 7 });
    expect(await deleteEnded(on.ledger(), 7)).toBe(2);
    for (const table of TABLES.filter((name) => name !== 'user_slots' && name !== 'dedupe_windows'))
      expect([table, await on.count(table)]).toEqual([table, 0]);
  });

  test('keeps what ended later, and what is live, however old', async () => {
    const [first] = await on.add({}, { level: 7 });
    const job = (await on.take('worker-1', 1))[0]!;
    expect(job.id).toBe(first);
    on.clock.advance(day);
    await on.done(job);
    on.clock.advance({ hours: 24 * 6 + 23 });
    expect(await deleteEnded(on.ledger(), 7)).toBe(0);
    expect(await on.count('job_states')).toBe(2);
  });

  test('works in batches', async () => {
    await on.add(...Array.from({ length: 25 }, () => ({})));
    on.clock.advance({ seconds: 300 });
    await expire(on.ledger(), 'ready');
    on.clock.advance(day);
    expect(await deleteEnded(on.ledger(), 1, 10)).toBe(10);
    expect(await deleteEnded(on.ledger(), 1, 10)).toBe(10);
    expect(await deleteEnded(on.ledger(), 1, 10)).toBe(5);
  });

  test('covers every end state', async () => {
    const [done, failed, cancelled, expired, errors] = await on.add({}, {}, { level: 4 }, { level: 3 }, { type: 'batch_fetch' });
    for (const job of await on.take('worker-1', 2)) await (job.id === done ? on.done(job) : on.broken(job));
    await cancel(on.ledger(), cancelled!, 'by hand');
    await setJobs(on.db, { state: 'completed_with_errors' }, 'id = ?', [idToBytes(errors!)]);
    on.clock.advance({ seconds: 300 });
    await expire(on.ledger(), 'ready');
    expect([await on.state(failed!), await on.state(expired!)]).toEqual(['failed', 'expired']);
    on.clock.advance(day);
    expect(await deleteEnded(on.ledger(), 1)).toBe(5);
  });
});
