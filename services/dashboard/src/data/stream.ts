/** The page's end of the stream: its state, its events for those who listen, and the cache that is patched by them. */
import type { QueryClient } from '@tanstack/react-query';
import { useEffect, useEffectEvent, useSyncExternalStore } from 'react';
import type { FromHub, LiveEvent, ToHub } from './events.ts';
import { createHub } from './hub.ts';
import { arrived, paced } from './pace.ts';
import { createPatches } from './patches.ts';

/** While the stream is away, what is shown is read again so often. */
const POLL_MS = 10_000;
/** All pages of all browsers hear of a gap at once and must not ask at once. */
const JITTER_MS = 1_000;

export interface StreamState {
  state: 'live' | 'away' | 'paused';
  /** When it became so, milliseconds. */
  since: number;
  reason: string;
}

let hubState: StreamState = { state: 'away', since: Date.now(), reason: 'connecting' };
let pausedSince: number | undefined;
let shown: StreamState = hubState;
let say: (message: ToHub) => void = () => {};
let client: QueryClient;
const watchers = new Set<() => void>();
const listeners = new Set<(events: LiveEvent[], dropped: number) => void>();

function changed(): void {
  shown = pausedSince === undefined ? hubState : { state: 'paused', since: pausedSince, reason: 'paused by you' };
  for (const watch of watchers) watch();
}

export function startStream(queries: QueryClient): void {
  client = queries;
  const patch = createPatches(queries);
  const hear = (message: FromHub): void => {
    if (message.kind === 'state') {
      hubState = message;
      changed();
      // In another tab: this one asks whether it still may, and shows the form.
      if (message.reason === 'signed out') void queries.invalidateQueries({ queryKey: ['me'] });
    } else if (pausedSince === undefined && message.kind === 'gap') setTimeout(readAgain, Math.random() * JITTER_MS);
    else if (pausedSince === undefined && message.kind === 'events') {
      arrived(message.events.length);
      paced(() => {
        if (pausedSince !== undefined) return;
        patch(message.events);
        for (const listen of listeners) listen(message.events, message.dropped);
      });
    }
  };
  connect(hear);
  setInterval(() => {
    if (shown.state === 'away' && document.visibilityState === 'visible' && queries.getQueryData(['me'])) readAgain();
  }, POLL_MS);
  keepAwake();
}

/** One stream for the whole browser where shared workers exist; else one of this page alone, while it is looked at: a browser opens six connections to a server. */
function connect(hear: (message: FromHub) => void): void {
  if ('SharedWorker' in window) {
    const { port } = new SharedWorker(new URL('./stream-worker.ts', import.meta.url), { type: 'module', name: 'stockmesh' });
    port.onmessage = ({ data }: MessageEvent<FromHub>) => hear(data);
    say = (message) => port.postMessage(message);
    window.addEventListener('pagehide', () => say('bye'));
    window.addEventListener('pageshow', ({ persisted }) => persisted && say('hello'));
  } else {
    say = createHub().attach(hear);
    document.addEventListener('visibilitychange', () => say(document.visibilityState === 'visible' ? 'hello' : 'bye'));
  }
}

/** After the sleep of a computer a connection may be dead without knowing it. */
function keepAwake(): void {
  let hidden = Date.now();
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'hidden') hidden = Date.now();
    else if (Date.now() - hidden > 60_000 && shown.state !== 'paused') readAgain();
  });
}

let said = false;
/** Opens the stream, with the first page that somebody is signed in on. */
export function openStream(): void {
  if (said) return;
  said = true;
  say('hello');
}

function readAgain(): void {
  void client.invalidateQueries({ refetchType: 'active', predicate: ({ queryKey }) => queryKey[0] !== 'me' });
}

/** Another session: the stream of the earlier one ends. */
export function restartStream(): void {
  if (said) say('restart');
}

export function stopStream(): void {
  if (said) say('stop');
}

export function pauseStream(pause: boolean): void {
  pausedSince = pause ? Date.now() : undefined;
  changed();
  if (!pause) readAgain();
}

const watch = (callback: () => void) => {
  watchers.add(callback);
  return () => watchers.delete(callback);
};

export const useStreamState = (): StreamState => useSyncExternalStore(watch, () => shown);

/** Calls back with each batch of events while the component is there. */
export function useEvents(callback: (events: LiveEvent[], dropped: number) => void): void {
  const listen = useEffectEvent(callback);
  useEffect(() => {
    const listener = (events: LiveEvent[], dropped: number) => listen(events, dropped);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  }, []);
}
