/** The open event streams, of all kinds: how many one key and one user may have, and what became of readers that do not read. */
import type { FastifyReply } from 'fastify';
import type { Config } from '../../platform/config/load.ts';
import { TransientError } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log/log.ts';
import type { Caller } from '../auth/access.ts';
import { usersOf } from '../auth/request-limits.ts';
import { RefusedError } from '../http/problems.ts';
import { openStream, type Stream } from './sse.ts';

export interface Streams {
  /** Counts a request that waits as a stream does, such as one for the end of a job, until the function that it gives is called. Errors: as `open`. */
  hold(caller: Caller): () => void;
  /**
   * Takes the response over as an event stream of this caller. Errors: `RefusedError('events.too_many_of_key' | 'events.too_many_of_user')`,
   * `TransientError('events.too_many')`.
   */
  open(reply: FastifyReply, caller: Caller): Stream;
  readonly size: number;
  /** Streams that were cut because their reader did not read. */
  readonly cut: number;
}

/** Seconds: a stream may end at any moment. */
const RETRY_SECONDS = 10;

export function createStreams(
  { max_clients, max_per_key, max_per_user, max_behind, heartbeat }: Config['gateway']['events'],
  log: Logger,
): Streams {
  const counts = new Map<string, number>();
  let size = 0;
  let cut = 0;

  function hold({ id, scopes }: Caller): () => void {
    if (size >= max_clients)
      throw new TransientError('events.too_many', `${max_clients} event streams are open (gateway.events.max_clients); close one`);
    const holders = [`key ${id}`, ...usersOf(scopes).map((user) => `user ${user}`)];
    for (const holder of holders) {
      const [kind, most] = holder.startsWith('key ') ? (['key', max_per_key] as const) : (['user', max_per_user] as const);
      if ((counts.get(holder) ?? 0) < most) continue;
      const quota = `gateway.events.max_per_${kind}`;
      throw new RefusedError(429, `events.too_many_of_${kind}`, `${holder} has ${most} event streams open (${quota}); close one`, {
        retryAfterSeconds: RETRY_SECONDS,
        quota,
      });
    }
    size++;
    for (const holder of holders) counts.set(holder, (counts.get(holder) ?? 0) + 1);
    return () => {
      size--;
      for (const holder of holders) {
        const left = (counts.get(holder) as number) - 1;
        if (left === 0) counts.delete(holder);
        else counts.set(holder, left);
      }
    };
  }

  return {
    hold,
    open(reply, caller) {
      const release = hold(caller);
      const stream = openStream(reply, {
        heartbeatMs: heartbeat * 1000,
        maxBehind: max_behind,
        onCut(reason) {
          cut++;
          log.info({ key: caller.id }, `an event stream was cut: ${reason}`);
        },
      });
      void stream.closed.then(release);
      return stream;
    },
    get size() {
      return size;
    },
    get cut() {
      return cut;
    },
  };
}
