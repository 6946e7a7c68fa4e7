/** Tells what this worker sees of the market sources: how often they answered, the last failure, and whether it asks them at all. */
import type { Clock } from '../platform/clock.ts';
import type { Sql } from '../platform/database/database.ts';
import { codeOf, messageOf } from '../platform/errors.ts';
import type { Logger } from '../platform/log/log.ts';
import { type SourceHealth, writeHealth } from '../platform/monitoring/source-health.ts';

/** One request to a source, or one that was not made. `retryAfterMs`: until its circuit lets a request through. */
export interface Asked {
  source: string;
  ok: boolean;
  code?: string;
  reason?: string;
  retryAfterMs?: number;
}

export interface SourceWatch {
  asked(attempt: Asked): void;
  /** Writes what is not written, and stops. */
  close(): Promise<void>;
}

const WRITE_MS = 5_000;
/** Says nothing about the source: it was not asked. */
const NOT_ASKED = /^source\.(?:circuit_open|budget_)/;

export function watchSources({ db, clock, instance, log }: { db: Sql; clock: Clock; instance: string; log: Logger }): SourceWatch {
  const seen = new Map<string, Omit<SourceHealth, 'instance'>>();
  const changed = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  let writing = Promise.resolve();
  let isClosed = false;

  function write(): void {
    timer = undefined;
    const rows = [...changed].flatMap((source) => seen.get(source) ?? []);
    changed.clear();
    writing = writeHealth(db, instance, rows).catch((error: unknown) => {
      log.debug({ code: codeOf(error) }, `the state of the sources was not written: ${messageOf(error)}`);
      for (const { source } of rows) changed.add(source);
      writeSoon();
    });
  }

  function writeSoon(): void {
    if (!isClosed && changed.size > 0) timer ??= setTimeout(write, WRITE_MS);
  }

  return {
    asked({ source, ok, code = 'internal', reason = code, retryAfterMs }) {
      const now = new Date(clock.now().epochMilliseconds);
      const one = seen.getOrInsertComputed(source, () => ({
        ...{ source, answers: 0, errors: 0 },
        ...{ open_until: null, last_ok_at: null, last_error_at: null, last_code: null, last_error: null },
      }));
      if (code === 'source.circuit_open' && !ok) one.open_until = new Date(now.getTime() + (retryAfterMs ?? 0));
      else if (ok) Object.assign(one, { answers: one.answers + 1, last_ok_at: now, open_until: null });
      else if (!NOT_ASKED.test(code))
        Object.assign(one, { errors: one.errors + 1, last_error_at: now, last_code: code, last_error: reason });
      changed.add(source);
      writeSoon();
    },
    async close() {
      isClosed = true;
      clearTimeout(timer);
      await writing;
      if (changed.size > 0) write();
      await writing;
    },
  };
}
