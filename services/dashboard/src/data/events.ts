/** What the stream tells: the messages of docs/mqtt.md, as far as the page reads them. */
import type { JobState, Schemas } from './client.ts';

export interface StatusEvent {
  id: string;
  type: string;
  symbol?: string;
  state: JobState;
  attempt: number;
  worker?: string;
  progress?: { done: number; total: number } & Partial<Record<'failed' | 'skipped' | 'no_data' | 'not_entitled' | 'not_yet', number>>;
  reason?: string;
  code?: string;
  queue?: Schemas['JobSummary']['queue'];
  priority?: number;
  user?: string;
  at: string;
}

export interface JobEvent {
  id: string;
  type: string;
  queue: string;
  priority: number;
  score?: number;
  why: { text: string };
  symbol?: string;
  symbols?: string[];
  user?: string;
  triggered_by?: string;
  enqueued_at: string;
}

export interface DataEvent {
  symbol: string;
  kind: string;
  source: string;
  as_of: string;
  rows?: number;
  through?: string;
}

export interface PortfolioEvent {
  user_id: string;
  at: string;
  total: number;
  queued: number;
  fresh: number;
  text: string;
}

export interface PresenceEvent {
  service: string;
  instance: string;
  state: 'online' | 'offline';
  version: string;
  at: string;
}

export interface StatsEvent {
  at: string;
  depth: Record<string, number>;
  queues: { queue: string; ready: number; running: number; scheduled: number; blocked: number; oldest_s: number | null }[];
  rates: { enqueued_per_s: number; completed_per_s: number; failed_per_s: number };
  workers: { online: number; slots: number; busy: number };
  utilisation: number;
}

export interface AlertEvent {
  name: string;
  state: 'raised' | 'cleared';
  value: number;
  threshold: number;
  since: string;
  text: string;
}

/** Whether the gateway has the broker, from which it hears all that it tells. */
export interface BrokerEvent {
  state: 'online' | 'offline';
}

interface Bodies {
  status: StatusEvent;
  job: JobEvent;
  data: DataEvent;
  portfolio: PortfolioEvent;
  presence: PresenceEvent;
  stats: StatsEvent;
  alert: AlertEvent;
}

export type LiveEvent = { [K in keyof Bodies]: { type: K; body: Bodies[K]; received: number } }[keyof Bodies];
export const EVENT_TYPES = ['status', 'job', 'data', 'portfolio', 'presence', 'stats', 'alert'] as const satisfies (keyof Bodies)[];

/** From the worker to a page. */
export type FromHub =
  | { kind: 'events'; events: LiveEvent[]; dropped: number }
  | { kind: 'state'; state: 'live' | 'away'; since: number; reason: string }
  /** Events were missed: read everything again. */
  | { kind: 'gap' };

/** From a page to the worker. `stop`: nobody is signed in any more. */
export type ToHub = 'hello' | 'bye' | 'restart' | 'stop';
