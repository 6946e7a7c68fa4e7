/**
 * The audit log over HTTP. Notes refused requests in the audit log without a write for each: the first of a caller and kind within a second, then their number once a minute. However many keys
 * are tried, that is one statement a second.
 */
import type { FastifyRequest } from 'fastify';
import type { Sql } from '../../platform/database/database.ts';
import { codeOf, messageOf } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log/log.ts';
import { type Actor, type Refusal, recordRefusals } from '../../platform/registry/audit.ts';
import type { App } from '../http/app.ts';
import { pathOf, RefusedError } from '../http/problems.ts';

export interface Refusals {
  /** `target`: method and path, without the query. */
  note(refusal: Actor & { code: string; target: string }): void;
  /** Writes what is not written yet. */
  close(): Promise<void>;
}

const WRITE_MS = 1_000;
const WINDOW_MS = 60_000;
/** Callers and kinds of one minute that are told apart. The others are counted together, without their addresses. */
const MOST = 500;

interface Counted {
  refusal: Refusal;
  /** Not written yet. */
  times: number;
  isFirst: boolean;
  endsAt: number;
}

/** The caller of a request. */
export function actorOf({ caller, ip }: FastifyRequest): Actor {
  return { source: 'http', actor: caller?.id ?? null, name: caller?.name ?? null, address: ip };
}

/** Notes every 401 and 403 of a server. */
export function auditRefusals(app: App, { db, log }: { db: Sql; log: Logger }): void {
  const refusals = createRefusals({ db, log });
  app.addHook('onError', async (request, _, error) => {
    if (error instanceof RefusedError && error.status !== 429)
      refusals.note({ ...actorOf(request), code: error.code, target: `${request.method} ${pathOf(request)}` });
  });
  app.addHook('onClose', () => refusals.close());
}

export function createRefusals({ db, log }: { db: Sql; log: Logger }): Refusals {
  const counted = new Map<string, Counted>();
  let timer: NodeJS.Timeout | undefined;
  let writing = Promise.resolve();
  let failed = false;

  function note({ code, target, ...actor }: Parameters<Refusals['note']>[0]): void {
    const isKnown = (key: string): boolean => counted.has(key) || counted.size < MOST;
    const own = `${actor.address} ${actor.actor} ${code}`;
    const key = isKnown(own) ? own : code;
    const refusal: Refusal =
      key === own
        ? { ...actor, code, target, times: 0 }
        : { ...actor, actor: null, name: null, address: null, code, target: null, times: 0 };
    const one = counted.getOrInsertComputed(key, () => ({ refusal, times: 0, isFirst: true, endsAt: performance.now() + WINDOW_MS }));
    one.times++;
    timer ??= setTimeout(write, WRITE_MS);
  }

  function write(): void {
    timer = undefined;
    writing = writeDue(performance.now()).finally(() => {
      if (counted.size > 0) timer ??= setTimeout(write, WRITE_MS);
    });
  }

  async function writeDue(now: number): Promise<void> {
    const due = [...counted].filter(([, { times, isFirst, endsAt }]) => times > 0 && (isFirst || endsAt <= now));
    const rows = due.map(([, { refusal, times }]) => ({ ...refusal, times }));
    try {
      if (rows.length > 0) await recordRefusals(db, rows);
      failed = false;
    } catch (error) {
      if (!failed)
        log.warn({ code: codeOf(error) }, `refused requests are not in the audit log yet, and are written later: ${messageOf(error)}`);
      failed = true;
      return;
    }
    for (const [index, [, one]] of due.entries()) {
      one.times -= rows[index]?.times ?? 0;
      one.isFirst = false;
    }
    for (const [key, { times, endsAt }] of counted) if (times === 0 && endsAt <= now) counted.delete(key);
  }

  return {
    note,
    async close() {
      await writing;
      await writeDue(Number.POSITIVE_INFINITY);
      clearTimeout(timer);
    },
  };
}
