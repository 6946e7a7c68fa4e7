/** Publishes committed changes. A lost, late or doubled message costs latency, never a job, so a message that cannot be published is only counted. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Bus } from '../platform/bus/bus.ts';
import type { Clock } from '../platform/clock.ts';
import { fromJson, type Sql } from '../platform/database/database.ts';
import { codeOf, TransientError } from '../platform/errors.ts';
import type { Logger } from '../platform/log/log.ts';
import type { Draft } from '../platform/messages.ts';
import { spanOf, startSpan } from '../platform/monitoring/traces.ts';
import type { EnqueueAnswer, Enqueued, JobRequest } from './enqueue/enqueue.ts';
import { idFromBytes, sortedBytes } from './id.ts';
import { type Change, levelOf, type Queue, scoreOf } from './job.ts';

/** Milliseconds between two calls of one process. In a burst the announcements wake the workers. */
const CALL_EVERY_MS = 10;

/**
 * Calls the workers to jobs whose commit begins (`Ledger.coming`). The message takes as long as the commit, so the workers claim the jobs as soon as they are there: 2 of 6 ms before
 * their announcements have come. A call that comes too early finds nothing, and the announcement wakes the workers again.
 */
export function callWorkers(bus: Pick<Bus, 'publish' | 'state'>, now: () => number = () => performance.now()): () => void {
  let calledAt = Number.NEGATIVE_INFINITY;
  return () => {
    if (bus.state === 'offline' || now() - calledAt < CALL_EVERY_MS) return;
    calledAt = now();
    void bus.publish('work', {});
  };
}

export interface Announcer {
  /** Publishes new jobs, each on its `stock/…` topic, and their states on `jobs/{id}/status`. Joined and refused ones are left out. */
  enqueued(answers: readonly EnqueueAnswer[]): Promise<void>;
  /** Publishes new states, and announces jobs that have become ready. */
  changed(changes: readonly Change[]): Promise<void>;
  /** Announces jobs that are ready already. */
  ring(ids: readonly string[]): Promise<void>;
  /** Messages that could not be published, by error code. */
  readonly missed: ReadonlyMap<string, number>;
}

interface Row {
  id: Buffer;
  type: string;
  queue: Queue;
  priority: number;
  symbol: string | null;
  user_id: string | null;
  enqueued_at: Date;
  why: unknown;
  payload: unknown;
  triggered_by: string;
  trace: string | null;
}

type JobType = Draft<'job'>['type'];

export function createAnnouncer({
  bus,
  sql,
  clock,
  log,
}: {
  bus: Pick<Bus, 'publish' | 'state'>;
  sql: Sql;
  clock: Clock;
  log: Logger;
}): Announcer {
  const missed = new Map<string, number>();

  async function quietly(publishing: Promise<void>): Promise<void> {
    try {
      await publishing;
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      const code = codeOf(error);
      // Logged once an error code: the bus itself logs the outage.
      if (!missed.has(code)) log.warn({ code }, `${error.message}; jobs are found by polling meanwhile`);
      missed.set(code, (missed.get(code) ?? 0) + 1);
    }
  }

  async function ring(ids: readonly string[]): Promise<void> {
    if (ids.length === 0 || bus.state === 'offline') return;
    const rows = await sql.rows<Row>(
      `SELECT id, type, queue, priority, symbol, user_id, enqueued_at, why, payload, triggered_by, trace
         FROM jobs FORCE INDEX (PRIMARY) WHERE id IN (?) ORDER BY priority, id`,
      [sortedBytes(ids)],
    );
    await inSlices(rows, (row) => quietly(announce(bus, fromRow(row))));
  }

  async function publishStates(changes: readonly Change[]): Promise<void> {
    const at = clock.now().toString({ smallestUnit: 'millisecond' });
    await inSlices(changes, ({ id, type, symbol, state, attempt, worker, reason, code, place }) =>
      quietly(
        bus.publish('status', {
          id,
          type: type as JobType,
          state,
          attempt,
          at,
          ...(symbol === null ? {} : { symbol }),
          ...(worker === undefined ? {} : { worker }),
          ...(reason === undefined ? {} : { reason: reason.slice(0, 2000) }),
          ...(code === undefined ? {} : { code: code.slice(0, 64) }),
          ...(place === undefined ? {} : { queue: place.queue, priority: place.level }),
          ...(place === undefined || place.user === null ? {} : { user: place.user }),
        }),
      ),
    );
  }

  return {
    missed,
    ring,
    async enqueued(answers) {
      const fresh = answers.flatMap((answer) => (answer.outcome === 'queued' ? [answer] : []));
      const unique = [...new Map(fresh.map((answer) => [answer.id, answer])).values()];
      // From memory and not from the row: a read would delay the worker.
      await Promise.all([
        inSlices(unique, (answer) => quietly(announce(bus, answer))),
        publishStates(
          unique.map(({ id, type, symbol, state, queue, level, request: { user = null } }) => ({
            ...{ id, type, symbol, state, attempt: 0 },
            place: { queue, level, user },
          })),
        ),
      ]);
    },
    async changed(changes) {
      if (bus.state === 'offline') return;
      await Promise.all([publishStates(changes), ring(changes.filter(({ state }) => state === 'ready').map(({ id }) => id))]);
    },
  };
}

/** Publishes a few hundred in a turn of the event loop: a login of a thousand symbols has four thousand messages, which would keep others waiting for 70 ms. */
async function inSlices<One>(all: readonly One[], publish: (one: One) => Promise<void>): Promise<void> {
  let published: Promise<unknown> = Promise.resolve();
  for (let start = 0; start < all.length; start += SLICE) {
    if (start > 0) await nextTurn();
    published = Promise.all([published, ...all.slice(start, start + SLICE).map(publish)]);
    // An error is thrown below, once all are on their way.
    published.catch(() => undefined);
  }
  await published;
}

const SLICE = 250;

type Announced = Pick<Enqueued, 'id' | 'type' | 'symbol' | 'queue' | 'level' | 'score' | 'enqueuedAt'> & {
  request: Pick<JobRequest, 'why' | 'payload' | 'triggeredBy' | 'user' | 'trace'>;
};

function fromRow(row: Row): Announced {
  return {
    id: idFromBytes(row.id),
    type: row.type,
    symbol: row.symbol,
    queue: row.queue,
    level: levelOf(row.priority),
    score: scoreOf(row.priority),
    enqueuedAt: row.enqueued_at,
    request: {
      why: fromJson(row.why) as Record<string, unknown>,
      payload: fromJson(row.payload) as Record<string, unknown>,
      triggeredBy: row.triggered_by,
      user: row.user_id ?? undefined,
      trace: row.trace ?? undefined,
    },
  };
}

/** In a span of its own when the job is traced. */
function announce(bus: Pick<Bus, 'publish'>, job: Announced): Promise<void> {
  const span = startSpan('job.announce', job.request.trace, { kind: 'PRODUCER', attributes: { 'job.id': job.id, 'job.type': job.type } });
  if (span === undefined) return bus.publish('job', announcement(job));
  return spanOf(span, bus.publish('job', { ...announcement(job), traceparent: span.traceparent }));
}

function announcement({ id, type, symbol, queue, level, score, enqueuedAt, request }: Announced): Draft<'job'> {
  const symbols = request.payload.symbols as string[] | undefined;
  return {
    id,
    type: type as JobType,
    queue,
    priority: level,
    score: Number(score.toFixed(4)),
    why: request.why as Draft<'job'>['why'],
    triggered_by: request.triggeredBy,
    enqueued_at: enqueuedAt.toISOString(),
    ...(symbol === null ? {} : { symbol }),
    ...(symbols === undefined ? {} : { symbols: symbols.slice(0, 500) }),
    ...(request.user === undefined ? {} : { user: request.user }),
  };
}
