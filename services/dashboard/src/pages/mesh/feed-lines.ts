/** The lines of the feed: messages and jobs as sentences. */
import type { Job, JobState } from '../../data/client.ts';
import type { LiveEvent } from '../../data/events.ts';

export interface Line {
  key: string;
  /** Milliseconds. */
  at: number;
  kind: LiveEvent['type'];
  tone: 'good' | 'bad' | 'warn' | 'busy' | 'calm';
  text: string;
  /** The job that it is about. */
  job?: string;
}

const TONES: Record<JobState, Line['tone']> = {
  scheduled: 'calm',
  blocked: 'calm',
  ready: 'calm',
  running: 'busy',
  completed: 'good',
  completed_with_errors: 'warn',
  failed: 'bad',
  cancelled: 'calm',
  expired: 'warn',
};

const words = (...parts: (string | null | undefined)[]): string => parts.filter(Boolean).join(' ');

function ofState(job: Pick<Job, 'type' | 'state'> & { symbol?: string | null; worker?: string | null; reason?: string | null }): string {
  const text = words(job.type, job.symbol, job.state.replaceAll('_', ' '), job.worker && `on ${job.worker}`);
  return job.reason ? `${text}: ${job.reason}` : text;
}

export function lineOf(event: LiveEvent, number: number): Line {
  const { at, ...rest } = { at: event.received, key: `${number}`, kind: event.type };
  switch (event.type) {
    case 'job': {
      const { type, symbol, priority, why, id } = event.body;
      return { at, ...rest, tone: 'calm', job: id, text: `${words(type, symbol)} asked for, priority ${priority}: ${why.text}` };
    }
    case 'status':
      return { at, ...rest, tone: TONES[event.body.state], job: event.body.id, text: ofState(event.body) };
    case 'data': {
      const { symbol, kind, source, rows } = event.body;
      return { at, ...rest, tone: 'calm', text: `${symbol} ${kind} from ${source}${rows === undefined ? '' : `, ${rows} rows`}` };
    }
    case 'portfolio':
      return { at, ...rest, tone: 'calm', text: event.body.text };
    case 'presence': {
      const { service, instance, state } = event.body;
      return { at, ...rest, tone: state === 'online' ? 'good' : 'warn', text: `${service} ${instance} is ${state}` };
    }
    case 'alert':
      return { at, ...rest, tone: event.body.state === 'raised' ? 'bad' : 'good', text: `${event.body.state}: ${event.body.text}` };
    case 'stats':
      return { at, ...rest, tone: 'calm', text: '' };
  }
}

/** A job that ended before the page was opened. */
export function lineOfJob(job: Job): Line[] {
  if (job.ended_at === null) return [];
  return [{ key: job.id, at: new Date(job.ended_at).getTime(), kind: 'status', tone: TONES[job.state], job: job.id, text: ofState(job) }];
}
