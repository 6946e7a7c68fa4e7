/**
 * Refused logins, counted by code and told on `events/refused`. The first refusal with a code is told at once, and what comes within the next seconds together: a flood
 * costs one message a code in ten seconds.
 */
import { InputError, messageOf } from './errors.ts';
import type { Draft } from './messages.ts';
import { plain } from './text/characters.ts';

/** What the codes of the embedded broker's limits begin with; behind it stands the limit. */
export const LIMIT_CODE = 'broker.limit.';

export interface Refusal {
  code: string;
  /** For people; nothing of what was sent. */
  text: string;
  clientId?: string | undefined;
  account?: string | undefined;
  topic?: string | undefined;
  /** Of the payload. */
  bytes?: number | undefined;
}

export interface Refusals {
  /** Counts a refusal and tells it. */
  add(refusal: Refusal): void;
  /** Counts one that is not told: who was refused is nobody that this mesh knows, and could raise the alert at will. */
  count(code: string): void;
  /** By code, since the start. */
  readonly counts: ReadonlyMap<string, number>;
  /** Tells what is untold, and no more after that. */
  stop(): void;
}

/** Milliseconds in which further refusals with the same code are collected. */
const COLLECT_MS = 10_000;
/** Codes stand in the source; the bound is for one that does not. */
const MOST_CODES = 50;

export function createRefusals({
  source,
  now,
  publish,
}: {
  source: Draft<'refused'>['source'];
  now: () => Date;
  /** Must not throw. */
  publish: (message: Draft<'refused'>) => void;
}): Refusals {
  const counts = new Map<string, number>();
  /** By code: what was refused since it was last told, while it is collected. */
  const collecting = new Map<string, { untold: number; newest: Refusal; timer: NodeJS.Timeout }>();
  let stopped = false;

  function tell({ code, text, clientId, account, topic, bytes }: Refusal, count: number): void {
    publish({
      ...{ source, code, text: shortened(text, 500), count, at: now().toISOString() },
      ...(clientId !== undefined && { client_id: shortened(clientId, 200) }),
      ...(account !== undefined && { account: shortened(account, 200) }),
      ...(topic !== undefined && { topic: shortened(topic, 200) }),
      ...(bytes !== undefined && { bytes }),
    });
  }

  function collect(code: string, newest: Refusal): void {
    const timer = setTimeout(() => {
      const { untold, newest: last } = collecting.get(code)!;
      collecting.delete(code);
      if (untold === 0) return;
      tell(last, untold);
      collect(code, last);
    }, COLLECT_MS);
    timer.unref();
    collecting.set(code, { untold: 0, newest, timer });
  }

  /** The code by which it is counted. */
  function count(given: string): string {
    const code = counts.has(given) || counts.size < MOST_CODES ? given : 'refusal.other';
    counts.set(code, (counts.get(code) ?? 0) + 1);
    return code;
  }

  return {
    counts,
    count,
    add(given) {
      const code = count(given.code);
      const refusal = { ...given, code };
      if (stopped) return;
      const open = collecting.get(code);
      if (open === undefined) {
        tell(refusal, 1);
        collect(code, refusal);
      } else {
        open.untold++;
        open.newest = refusal;
      }
    },
    stop() {
      stopped = true;
      for (const { untold, newest, timer } of collecting.values()) {
        clearTimeout(timer);
        if (untold > 0) tell(newest, untold);
      }
      collecting.clear();
    },
  };
}

/** Why something was refused, for everybody who watches: without what was sent. */
export function refusalText(error: unknown): string {
  return error instanceof InputError ? error.summary : messageOf(error);
}

function shortened(text: string, most: number): string {
  const shown = plain(text);
  return shown.length <= most ? shown : `${shown.slice(0, most - 1)}…`;
}
