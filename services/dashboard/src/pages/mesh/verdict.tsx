import type { Schemas } from '../../data/client.ts';
import { useStreamState } from '../../data/stream.ts';
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

/** One sentence: whether everything is fresh, and if not the worst cause, those that stop most first. */
export function verdictOf({ stats, instances = [], sources = [], alerts = [] }: Known): Verdict {
  const waiting = stats.queues.reduce((sum, { ready }) => sum + ready, 0);
  const oldest = Math.max(0, ...stats.queues.map(({ oldest_s }) => oldest_s ?? 0));
  const jobs = waiting === 1 ? '1 job waits' : `${count(waiting)} jobs wait`;
  const how = waiting === 0 ? '' : `${jobs}, the oldest for ${age(oldest)}`;
  const raised = alerts.filter(({ state }) => state === 'raised');
  if (stats.workers.online === 0)
    return { tone: 'bad', text: `No worker is alive${how === '' ? '' : `: ${how}`}. Start one: npx stockmesh service worker` };
  const paused = sources.find(({ state, is_configured }) => state === 'paused' && is_configured);
  const until = paused?.paused_until ? ` until ${clock(paused.paused_until)}` : '';
  if (oldest > LATE_S) {
    const cause = paused ? `: source ${paused.source} is paused${until}` : raised[0] ? `: ${raised[0].text}` : '';
    return { tone: oldest > 60 ? 'bad' : 'warn', text: `Late: ${how}${cause}` };
  }
  if (raised[0]) return { tone: 'warn', text: `${raised[0].text}${raised.length > 1 ? ` (and ${raised.length - 1} more alerts)` : ''}` };
  const degraded = instances.find(({ degraded: words }) => words !== null && words.length > 0);
  if (degraded) return { tone: 'warn', text: `${degraded.name ?? degraded.instance}: ${degraded.degraded?.[0]}` };
  return freshnessVerdict(stats, how);
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
    text: `Nothing waits. ${count(old)} of ${count(known)} symbols are not fresh: they are fetched when their users sign in`,
  };
}

const MARKS = { good: '✓', warn: '▲', bad: '✕' };

export function VerdictLine() {
  const { data: stats } = useStats();
  const { data: workers } = useWorkers();
  const { data: sources } = useSources();
  const { data: alerts } = useAlerts();
  const { state, reason, since } = useStreamState();
  if (stats === undefined) return <div className="verdict">…</div>;
  const isAway = state === 'away' && reason !== 'connecting';
  const { tone, text } = isAway
    ? { tone: 'bad' as const, text: `No news since ${clock(since)}: ${reason}` }
    : verdictOf({ stats, instances: workers?.instances, sources: sources?.sources, alerts: alerts?.alerts });
  return (
    <div className="verdict" role="status">
      <span data-tone={tone} aria-hidden="true">
        {MARKS[tone]}
      </span>
      <span>{text}</span>
    </div>
  );
}
