/** The one event stream of a browser: opened once, its events gathered and given to all pages, at most four times a second. */
import { type BrokerEvent, EVENT_TYPES, type FromHub, type LiveEvent, type ToHub } from './events.ts';

/** A burst of 1,000 changes a second becomes four messages a second for each page. */
const GATHER_MS = 250;
/** Of one batch, beside states of jobs (one each). A page shows 500 lines at most. */
const MOST = 2_000;
const RETRY_MS = [1_000, 2_000, 4_000, 8_000, 15_000];

export interface Hub {
  attach(send: (message: FromHub) => void): (message: ToHub) => void;
}

export function createHub(open: () => EventSource = () => new EventSource('/v1/events')): Hub {
  const pages = new Set<(message: FromHub) => void>();
  let state: FromHub & { kind: 'state' } = { kind: 'state', state: 'away', since: Date.now(), reason: 'connecting' };
  let source: EventSource | undefined;
  let failures = 0;
  /** Whether an earlier stream ended: what happened meanwhile was missed. */
  let hasGap = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const batch = createBatch((message) => tell(message));

  function tell(message: FromHub): void {
    for (const send of pages) send(message);
  }

  function become(next: 'live' | 'away', reason = ''): void {
    if (state.state === next && state.reason === reason) return;
    state = { kind: 'state', state: next, since: state.state === next ? state.since : Date.now(), reason };
    tell(state);
  }

  function close(): void {
    clearTimeout(timer);
    source?.close();
    source = undefined;
  }

  function connect(): void {
    close();
    const opened = open();
    source = opened;
    opened.addEventListener('open', () => {
      failures = 0;
      become('live');
      if (hasGap) tell({ kind: 'gap' });
      hasGap = false;
    });
    opened.addEventListener('reset', () => tell({ kind: 'gap' }));
    opened.addEventListener('broker', (event) => {
      const isThere = (JSON.parse((event as MessageEvent<string>).data) as BrokerEvent).state === 'online';
      become(isThere ? 'live' : 'away', isThere ? '' : 'the message broker does not answer');
      // The gateway has heard nothing meanwhile.
      if (isThere) tell({ kind: 'gap' });
    });
    for (const type of EVENT_TYPES)
      opened.addEventListener(type, (event) =>
        batch.add({ type, body: JSON.parse((event as MessageEvent<string>).data), received: Date.now() } as LiveEvent),
      );
    opened.addEventListener('error', () => {
      become('away', 'the gateway does not answer');
      // CONNECTING: the browser comes back by itself, with the id of the last event.
      if (opened.readyState !== EventSource.CLOSED) return;
      hasGap = true;
      timer = setTimeout(connect, RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]);
    });
  }

  return {
    attach(send) {
      return (message) => {
        if (message === 'hello') {
          pages.add(send);
          send(state);
          send({ kind: 'events', events: batch.present(), dropped: 0 });
          if (source === undefined) connect();
        } else if (message === 'bye') {
          pages.delete(send);
          if (pages.size === 0) close();
        } else if (message === 'stop') {
          close();
          batch.forget();
          become('away', 'signed out');
        } else {
          batch.forget();
          hasGap = true;
          connect();
        }
      };
    },
  };
}

/** Gathers events: of a job the newest state, of the rest the first `MOST` of a batch. */
function createBatch(send: (message: FromHub) => void) {
  /** For pages that come later: what the stream tells only at its begin. */
  const kept = new Map<string, LiveEvent>();
  let states = new Map<string, LiveEvent>();
  let others: LiveEvent[] = [];
  let dropped = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function flush(): void {
    timer = undefined;
    const events = [...others, ...states.values()];
    send({ kind: 'events', events, dropped });
    states = new Map();
    others = [];
    dropped = 0;
  }

  return {
    present: () => [...kept.values()],
    forget(): void {
      kept.clear();
      states = new Map();
      others = [];
    },
    add(event: LiveEvent): void {
      if (event.type === 'stats') kept.set('stats', event);
      if (event.type === 'alert') kept.set(`alert ${event.body.name}`, event);
      if (event.type === 'status') states.set(event.body.id, event);
      else if (others.length < MOST) others.push(event);
      else dropped += 1;
      if (timer === undefined) timer = setTimeout(flush, GATHER_MS);
    },
  };
}
