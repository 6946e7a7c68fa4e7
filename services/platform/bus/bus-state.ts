import { EventEmitter, once } from 'node:events';
import type { Clock } from '../clock.ts';
import { TransientError } from '../errors.ts';
import type { Logger } from '../log/log.ts';

export type BusState = 'online' | 'offline';

/** Whether the bus is online, since when, and everybody who waits for a change. Logs once an outage. */
export interface BusStateKeeper {
  readonly state: BusState;
  readonly since: Temporal.Instant;
  /** Why the bus is or was last offline. */
  readonly reason: string;
  readonly closing: boolean;
  set(online: boolean): void;
  /** Notes why a connection was lost or could not be made. `set` follows. */
  lost(reason: string): void;
  /** Rejects everybody who waits for the bus to be online. `set` follows. */
  close(): void;
  online(signal?: AbortSignal): Promise<void>;
  onState(callback: (state: BusState) => void): () => void;
}

export function keepBusState(clock: Clock, log: Logger): BusStateKeeper {
  const current = { state: 'offline' as BusState, since: clock.now(), reason: 'not connected yet', outageLogged: false };
  const closing = new AbortController();
  const events = new EventEmitter<{ state: [BusState] }>().setMaxListeners(0);
  return {
    get state() {
      return current.state;
    },
    get since() {
      return current.since;
    },
    get reason() {
      return current.reason;
    },
    get closing() {
      return closing.signal.aborted;
    },
    set(online) {
      const next: BusState = online && !closing.signal.aborted ? 'online' : 'offline';
      if (next === current.state) return;
      current.state = next;
      current.since = clock.now();
      if (next === 'online') {
        log.info('broker connected');
        current.outageLogged = false;
      }
      events.emit('state', next);
    },
    lost(reason) {
      current.reason = reason;
      if (!current.outageLogged && !closing.signal.aborted)
        log.warn({ reason }, `broker not reachable (${reason}): going on without it, and trying to connect for as long as it takes`);
      current.outageLogged = true;
    },
    close: () => closing.abort(new TransientError('bus.closed', 'this process has closed its connection to the broker')),
    async online(signal) {
      const over = AbortSignal.any(signal === undefined ? [closing.signal] : [closing.signal, signal]);
      over.throwIfAborted();
      while (current.state !== 'online') await once(events, 'state', { signal: over }).catch(() => over.throwIfAborted());
    },
    onState(callback) {
      events.on('state', callback);
      return () => events.off('state', callback);
    },
  };
}
