import type { Schemas } from '../../data/client.ts';
import { type StreamState, useStreamState } from '../../data/stream.ts';
import { count } from '../../format/numbers.ts';
import { age, clock } from '../../format/times.ts';
import { type Alert, type Instance, type Stats, useAlerts, useSources, useStats, useWorkers } from './queries.ts';

export interface Verdict {
  tone: 'good' | 'warn' | 'bad';
  text: string;
}

interface Known {
  stats: Stats;
  instances?: readonly Instance[] | undefined;
  sources?: readonly Schemas['Source'][] | undefined;
  alerts?: readonly Alert[] | undefined;
}

/** Seconds that a job of the foreground may wait before the mesh is called late. */
const LATE_S = 5;

/** One sentence: whether everything is fresh, and if not the worst cause, those that stop most first: no worker, a source, a queue, what an alert or an instance says. */
export function verdictOf({ stats, instances = [], sources = [], alerts = [] }: Known): Verdict {
  const waiting = stats.queues.reduce((sum, { ready }) => sum + ready, 0);
  const oldest = Math.max(0, ...stats.queues.map(({ oldest_s }) => oldest_s ?? 0));
  const jobs = waiting === 1 ? '1 job waits' : `${count(waiting)} jobs wait`;
  const how = waiting === 0 ? '' : `${jobs}, the oldest for ${age(oldest)}`;
  if (stats.workers.online === 0)
    return { tone: 'bad', text: `No worker is alive${how === '' ? '' : `: ${how}`}. Start one: npx stockmesh service worker` };
  const [raised, ...others] = alerts.filter(({ state }) => state === 'raised');
  const source = pausedSource(sources);
  if (oldest > LATE_S) {
    const cause = source ?? raised?.text;
    return { tone: oldest > 60 ? 'bad' : 'warn', text: `Late: ${how}${cause === undefined ? '' : `: ${cause}`}` };
  }
  if (source !== undefined) return { tone: 'warn', text: `${source[0]?.toUpperCase()}${source.slice(1)}` };
  if (raised !== undefined)
    return {
      tone: 'warn',
      text: `${raised.text}${others.length === 0 ? '' : ` (and ${others.length} more alert${others.length === 1 ? '' : 's'})`}`,
    };
  const degraded = instances.find(({ degraded: words }) => words !== null && words.length > 0);
  if (degraded) return { tone: 'warn', text: `${degraded.name ?? degraded.instance}: ${degraded.degraded?.[0]}` };
  return freshnessVerdict(stats, how);
}

/** Of those that prices are fetched from, the first that is asked. */
function pausedSource(sources: readonly Schemas['Source'][]): string | undefined {
  const paused = sources.find(({ state, is_configured }) => state === 'paused' && is_configured);
  return paused && `source ${paused.source} is paused${paused.paused_until ? ` until ${clock(paused.paused_until)}` : ''}`;
}

function freshnessVerdict({ freshness, queues }: Stats, how: string): Verdict {
  const running = queues.reduce((sum, { running }) => sum + running, 0);
  const old = freshness.stale + freshness.missing;
  const known = freshness.fresh + freshness.outdated + old;
  if (how !== '' || running > 0)
    return { tone: 'good', text: `At work: ${[how, running > 0 ? `${count(running)} running` : ''].filter(Boolean).join(', ')}` };
  if (known === 0) return { tone: 'good', text: 'Nothing to do: no portfolio holds a symbol yet' };
  if (old === 0) return { tone: 'good', text: `All fresh: ${count(known)} symbols` };
  return {
    tone: 'good',
    text: `Nothing waits. ${count(old)} of ${count(known)} symbols ${old === 1 ? 'is' : 'are'} not fresh: fetched when somebody who holds ${old === 1 ? 'it' : 'them'} signs in`,
  };
}

const MARKS = { good: '✓', warn: '▲', bad: '✕' };

/** What the page itself knows stands before what it was told last: without the gateway, the database or the broker that is old. */
function ownVerdict(stream: StreamState, error: Error | null): Verdict | undefined {
  if (stream.state === 'away' && stream.reason !== 'connecting')
    return { tone: 'bad', text: `No news since ${clock(stream.since)}: ${stream.reason}` };
  if (error !== null) return { tone: 'bad', text: error.message };
  return undefined;
}

export function VerdictLine() {
  const { data: stats, error } = useStats();
  const { data: workers } = useWorkers();
  const { data: sources } = useSources();
  const { data: alerts } = useAlerts();
  const own = ownVerdict(useStreamState(), error);
  if (stats === undefined && own === undefined) return <div className="verdict">…</div>;
  const { tone, text } =
    own ?? verdictOf({ stats: stats as Stats, instances: workers?.instances, sources: sources?.sources, alerts: alerts?.alerts });
  return (
    <div className="verdict" role="status">
      <span data-tone={tone} aria-hidden="true">
        {MARKS[tone]}
      </span>
      <span>{text}</span>
    </div>
  );
}
