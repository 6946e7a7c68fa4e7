/** What can happen to a ledger, each on the real one and on the model. */

import { expect } from 'vitest';
import { cancel, redrive, retry } from '../../../services/ledger/control.ts';
import { type Enqueued, enqueue } from '../../../services/ledger/enqueue/enqueue.ts';
import { idFromBytes } from '../../../services/ledger/id.ts';
import type { Ledger, Queue, State } from '../../../services/ledger/job.ts';
import { expire } from '../../../services/ledger/maintain/expire.ts';
import { promote } from '../../../services/ledger/maintain/promote.ts';
import { reap, rescue } from '../../../services/ledger/maintain/rescue.ts';
import { claim } from '../../../services/ledger/run/claim.ts';
import { complete, fail, handBack } from '../../../services/ledger/run/complete.ts';
import { heartbeat } from '../../../services/ledger/run/heartbeat.ts';
import type { ManualClock } from '../../../services/platform/clock.ts';
import fc from '../../support/fast-check.ts';
import { permanent, request, START, transient } from '../fixture.ts';
import { type Ask, LIMITS, type Model, type ModelJob, REGIONS, type Region, SLOTS } from './model.ts';
import { expectOneStanding } from './standing.ts';

export interface Real {
  ledger: Ledger;
  clock: ManualClock;
}
type Command = fc.AsyncCommand<Model, Real>;

/** Whatever happened: every job is in the one state that the model says, and every running job of a user's holds one slot of one of its users. */
export async function compare(model: Model, { ledger: { db } }: Real): Promise<void> {
  const rows = await db.rows<{
    id: Buffer;
    state: State;
    queue: Queue;
    level: number;
    attempt: number;
    max_attempts: number;
    blocked_on: string | null;
    due_at: Date;
  }>('SELECT id, state, queue, priority DIV 10000 AS level, attempt, max_attempts, blocked_on, due_at FROM job_states');
  const simplified = (state: State, blockedOn: string | null): string =>
    state === 'blocked' ? (blockedOn === 'slot' ? 'waiting' : 'needing') : state === 'ready' ? 'waiting' : state;
  const real = rows.map(({ id, state, blocked_on, max_attempts, due_at, ...row }) => ({
    ...{ id: idFromBytes(id), state: simplified(state, blocked_on), maxAttempts: max_attempts, ...row },
    due: (due_at.getTime() - Date.parse(START)) / 1000,
  }));
  const wanted = [...model.jobs.values()].map(({ id, state, queue, level, attempt, maxAttempts, due }) => ({
    id,
    state,
    queue,
    level,
    attempt,
    maxAttempts,
    due,
  }));
  const byId = (a: { id: string }, b: { id: string }): number => (a.id < b.id ? -1 : 1);
  expect(real.sort(byId)).toEqual(wanted.sort(byId));

  const held = await db.rows<{ user_id: string; id: Buffer }>('SELECT user_id, job_id AS id FROM user_slots WHERE job_id IS NOT NULL');
  const running = wanted.filter(({ id, state }) => state === 'running' && model.jobs.get(id)?.owned).map(({ id }) => id);
  expect(held.map(({ id }) => idFromBytes(id)).sort()).toEqual(running.sort());
  for (const { user_id, id } of held) expect(model.jobs.get(idFromBytes(id))?.users).toContain(user_id);
  for (const count of Map.groupBy(held, ({ user_id }) => user_id).values()) expect(count.length).toBeLessThanOrEqual(SLOTS);
  // Jobs come back above the limit (a lost lease, a retry); new ones do not come in.
  for (const [queue, count] of Map.groupBy(
    real.filter(({ state }) => ['scheduled', 'needing', 'waiting'].includes(state)),
    (job) => job.queue,
  ))
    expect(count.length).toBeLessThanOrEqual(LIMITS[queue].maxJobs + model.held.length);
  await noSlotForgotten(real, held, { db });
  await expectOneStanding(db);
}

/** A user with a free slot and a job that waits for one also has a job that was woken for it. */
async function noSlotForgotten(
  real: readonly { id: string }[],
  held: readonly { user_id: string }[],
  { db }: Pick<Ledger, 'db'>,
): Promise<void> {
  const waits = await db.rows<{ user_id: string }>('SELECT DISTINCT user_id FROM slot_waits');
  for (const { user_id } of waits) {
    if (held.filter((slot) => slot.user_id === user_id).length === SLOTS) continue;
    const [woken] = await db.rows<{ n: number }>(
      "SELECT COUNT(*) AS n FROM job_states j JOIN job_subscribers s ON s.job_id = j.id WHERE s.user_id = ? AND j.state = 'ready' AND j.blocked_on = 'slot'",
      [user_id],
    );
    expect(woken?.n, `of ${real.length} jobs, those of ${user_id} wait although a slot is free`).toBeGreaterThan(0);
  }
}

const command = (name: string, work: (model: Model, real: Real) => Promise<void>): Command => ({
  check: () => true,
  async run(model, real) {
    await work(model, real);
    await compare(model, real);
  },
  toString: () => name,
});

const pick = <T>(all: readonly T[], at: number): T | undefined => all[at % Math.max(all.length, 1)];

function askCommand(ask: Ask): Command {
  return command(`ask ${JSON.stringify(ask)}`, async (model, { ledger, clock }) => {
    const runAt = ask.startsIn === undefined ? undefined : new Date(clock.now().epochMilliseconds + ask.startsIn * 1000);
    const { level, user, region } = ask;
    const payload = { symbol: 'AAPL', region };
    const [answer] = await enqueue(ledger, [
      request({
        level,
        user,
        payload,
        runAt,
        dedupeKey: ask.key,
        after: ask.after === undefined ? undefined : [ask.after],
        whenFull: ask.whenFull,
      }),
    ]);
    expect(answer?.outcome).toBe(model.ask(ask, (answer as Enqueued).id));
  });
}

function wholeCommand(name: string, parts: readonly string[]): Command {
  return command(`ask for ${name} of ${parts.join()}`, async (model, { ledger }) => {
    const one = { level: 9, user: undefined, symbol: undefined } as const;
    const answers = await enqueue(ledger, [
      request({ ...one, dedupeKey: name, parts }),
      ...parts.map((dedupeKey) => request({ ...one, dedupeKey })),
    ]);
    model.askWhole(
      name,
      parts,
      answers.map((answer) => (answer as Enqueued).id),
    );
  });
}

const REGIONS_OF: Record<string, readonly Region[]> = { 'worker-1': [], 'worker-2': ['region:eu'], 'worker-3': REGIONS };

/** `tied`: whether the worker knows of jobs that need a capability, right or wrong. */
function claimCommand(worker: string, limit: number, tied: boolean): Command {
  return command(`${worker} claims ${limit}${tied ? ' by kinds' : ''}`, async (model, { ledger }) => {
    const capabilities = REGIONS_OF[worker] as Region[];
    const { jobs, undecided } = await claim(ledger, worker, limit, undefined, undefined, { capabilities, tied });
    for (const { id, attempt } of jobs) model.claimed({ id, attempt, worker }, capabilities);
    const order = jobs.map(({ queue, level }) => ['foreground', 'background_fetch', 'background_analysis'].indexOf(queue) * 100 + level);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    // Alone, a worker gets all that can run.
    if (jobs.length < limit && !undecided) {
      const left = "SELECT id FROM job_states WHERE state = 'ready' AND (capability IS NULL OR capability IN (?))";
      expect(await ledger.db.rows(left, [['', ...capabilities]])).toEqual([]);
    }
  });
}

/** Ends one of the attempts that were ever handed out: mostly the newest, sometimes one that was lost long ago. */
function endCommand(how: 'complete' | 'permanent' | 'transient' | 'hand back', at: number): Command {
  return command(`${how} ${at}`, async (model, { ledger }) => {
    const held = pick(model.held.toReversed(), at);
    if (held === undefined) return;
    const known = model.jobs.get(held.id) as ModelJob;
    const owned = model.owns(held);
    const job = {
      id: held.id,
      attempt: held.attempt,
      type: 'fetch',
      symbol: null,
      maxAttempts: known.maxAttempts,
      queue: known.queue,
      startedAt: new Date(0),
    };
    const error = how === 'permanent' ? permanent() : transient();
    const { lost } =
      how === 'complete'
        ? await complete(ledger, held.worker, [{ job }])
        : how === 'hand back'
          ? await handBack(ledger, held.worker, [job], 'shutdown')
          : await fail(ledger, held.worker, [{ job, error }], () => 0.5);
    expect(lost).toEqual(owned === undefined ? [job] : []);
    if (owned === undefined) return;
    if (how === 'complete') model.end(owned, 'completed');
    else if (how === 'hand back') model.handBack(owned);
    else model.fail(owned, how === 'permanent');
  });
}

function heartbeatCommand(worker: string): Command {
  return command(`${worker} beats`, async (model, { ledger }) => {
    const mine = model.held.filter((held) => held.worker === worker);
    const lost = await heartbeat(ledger, worker, mine);
    expect(lost).toEqual(mine.filter((held) => model.owns(held) === undefined));
    for (const held of mine) {
      const job = model.owns(held);
      if (job !== undefined) job.due = model.now + 60;
    }
  });
}

const inState = (model: Model, ...states: string[]): ModelJob[] => [...model.jobs.values()].filter(({ state }) => states.includes(state));

const timeCommands: Record<string, () => Command> = {
  reap: () =>
    command('reap', async (model, { ledger }) => {
      await reap(ledger);
      for (const job of inState(model, 'running')) if (job.due < model.now) model.loseLease(job);
    }),
  promote: () =>
    command('promote', async (model, { ledger }) => {
      await promote(ledger);
      model.promote();
    }),
  expire: () =>
    command('expire', async (model, real) => {
      const due = inState(model, 'waiting', 'needing').filter((job) => job.due <= model.now);
      // A job that expires may pass its slot on to one that is too old as well.
      while ((await expire(real.ledger, 'ready')).length + (await expire(real.ledger, 'blocked')).length > 0);
      // Of a job and its need that are too old at once, the job expires or fails with its need, whichever is looked at first: both are ends.
      const rows = await real.ledger.db.rows<{ id: Buffer; state: State }>(
        "SELECT id, state FROM job_states WHERE state IN ('expired', 'failed')",
      );
      const ended = new Map(rows.map(({ id, state }) => [idFromBytes(id), state as 'expired' | 'failed']));
      for (const job of due) expect(ended.has(job.id)).toBe(true);
      for (const job of due) if (ended.get(job.id) === 'expired') job.state = 'expired';
      for (const job of due) if (model.isLive(job)) job.state = 'failed';
      for (const job of due) model.end(job, job.state as 'expired' | 'failed');
    }),
  redrive: () =>
    command('redrive', async (model, { ledger }) => {
      const { changes } = await redrive(ledger, {});
      const started = changes.map(({ id }) => model.jobs.get(id) as ModelJob);
      // Parts start with the failed jobs that they belong to, however they ended.
      const parts = new Set(started.filter(({ state }) => state === 'failed').flatMap((job) => [...job.parts]));
      for (const { id, state } of started) expect(state === 'failed' || parts.has(id)).toBe(true);
      for (const job of started) Object.assign(job, { state: 'waiting' });
      for (const job of started) model.restart(job);
      for (const job of inState(model, 'failed')) expect(model.live(job.key)).toBeDefined();
    }),
};

function handCommand(how: 'cancel' | 'retry', at: number): Command {
  return command(`${how} ${at}`, async (model, { ledger }) => {
    const job = pick([...model.jobs.values()], at);
    if (job === undefined) return;
    const outcome = await (how === 'cancel' ? cancel(ledger, job.id, 'by hand') : retry(ledger, job.id)).then(
      () => 'done',
      ({ code }) => code,
    );
    if (how === 'cancel') {
      expect(outcome).toBe(model.isLive(job) ? 'done' : 'job.ended');
      if (outcome === 'done') model.cancel(job);
      return;
    }
    const other = model.live(job.key);
    const expected =
      model.isLive(job) && job.state !== 'scheduled' ? 'job.live' : other !== undefined && other !== job ? 'job.superseded' : 'done';
    expect(outcome).toBe(expected);
    if (outcome === 'done') model.restart(job);
  });
}

const worker = fc.constantFrom('worker-1', 'worker-2', 'worker-3');
const key = fc.option(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { nil: undefined, freq: 2 });
const user = fc.option(fc.constantFrom('ada', 'bob'), { nil: undefined, freq: 7 });
const which = fc.nat(30);
const recent = fc.oneof({ weight: 3, arbitrary: fc.nat(3) }, { weight: 1, arbitrary: fc.nat(30) });

export const commands: fc.Arbitrary<Command>[] = [
  ...Array.from({ length: 8 }, () =>
    fc
      .record({
        level: fc.constantFrom(1 as const, 5 as const, 8 as const),
        key,
        user,
        after: fc.option(fc.constantFrom('a', 'b'), { nil: undefined, freq: 2 }),
        startsIn: fc.option(fc.constantFrom(20, 200), { nil: undefined, freq: 2 }),
        region: fc.option(fc.constantFrom(...REGIONS), { nil: undefined, freq: 2 }),
        whenFull: fc.constantFrom('next_queue' as const, 'refuse' as const),
      })
      // A cycle of needs would wait for its time to live; the callers make none.
      .map((ask) =>
        askCommand(ask.after !== undefined && ask.key !== undefined && ask.key <= ask.after ? { ...ask, after: undefined } : ask),
      ),
  ),
  ...Array.from({ length: 2 }, () =>
    fc
      .constantFrom<[string, string[]]>(['whole:1', ['part:a', 'part:b']], ['whole:2', ['part:b', 'part:c']])
      .map(([name, parts]) => wholeCommand(name, parts)),
  ),
  ...Array.from({ length: 3 }, () =>
    fc.tuple(worker, fc.integer({ min: 1, max: 4 }), fc.boolean()).map(([name, limit, tied]) => claimCommand(name, limit, tied)),
  ),
  ...Array.from({ length: 2 }, () => recent.map((at) => endCommand('complete', at))),
  fc
    .tuple(fc.constantFrom('permanent' as const, 'transient' as const, 'hand back' as const), recent)
    .map(([how, at]) => endCommand(how, at)),
  worker.map(heartbeatCommand),
  fc.constantFrom(10, 61, 301, 3601).map((seconds) =>
    command(`${seconds} s pass`, async (model, { clock }) => {
      clock.advance({ seconds });
      model.now += seconds;
    }),
  ),
  fc.constantFrom(...Object.values(timeCommands)).map((make) => make()),
  worker.map((name) =>
    command(`${name} dies`, async (model, { ledger }) => {
      await rescue(ledger, name, 'gone');
      for (const job of inState(model, 'running')) if (job.worker === name) model.loseLease(job);
    }),
  ),
  fc.tuple(fc.constantFrom('cancel' as const, 'retry' as const), which).map(([how, at]) => handCommand(how, at)),
];
