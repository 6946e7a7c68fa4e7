import { Link } from '@tanstack/react-router';
import { count, exact } from '../../format/numbers.ts';
import { wait } from '../../format/times.ts';
import { Hint } from '../../parts/words.tsx';
import { type History, type Stats, useHistory, useStats } from './queries.ts';

/** Of the last hour. */
function loginToFresh({ series }: History): { text: string; slow?: string; note: string } {
  const logins = (series.login_fresh_count ?? []).reduce<number>((sum, value) => sum + (value ?? 0), 0);
  const last = (name: string) => (series[name] ?? []).findLast((value) => value !== null) ?? null;
  if (last('login_fresh_p50') === null) return { text: '–', note: 'no login in the last hour' };
  return {
    text: wait(last('login_fresh_p50')),
    slow: wait(last('login_fresh_p99')),
    note: logins > 0 ? `p50 · p99 of ${count(logins)} logins` : 'p50 · p99, newest minute with a login',
  };
}

const sum = (stats: Stats | undefined, of: 'ready' | 'running') => stats?.queues.reduce((total, queue) => total + queue[of], 0);

export function Tiles() {
  const { data: stats } = useStats();
  const { data: history } = useHistory('1h');
  const waiting = sum(stats, 'ready');
  const oldest = stats && Math.max(-1, ...stats.queues.map(({ oldest_s }) => oldest_s ?? -1));
  const failed = history && (history.series.failed ?? []).reduce<number>((total, value) => total + (value ?? 0), 0);
  const fresh = history && loginToFresh(history);
  return (
    <div className="tiles">
      <Link to="/jobs" search={{ state: 'ready' }} className="tile">
        <div className="tile-name">Jobs that wait</div>
        <div className="tile-value" title={exact(waiting)}>
          {count(waiting)}
        </div>
        <div className="tile-note">
          {stats ? `${count(sum(stats, 'running'))} run on ${stats.workers.busy} of ${stats.workers.slots} slots` : ' '}
        </div>
      </Link>
      <Link to="/jobs" search={{ state: 'ready', sort: 'oldest' }} className="tile">
        <div className="tile-name">Oldest of them</div>
        <div className="tile-value">{oldest === undefined || oldest < 0 ? '–' : wait(oldest)}</div>
        <div className="tile-note">{oldest === undefined || oldest < 0 ? 'none waits' : 'has waited so long'}</div>
      </Link>
      <div className="tile">
        <div className="tile-name">
          <Hint text="From the login of a user until the prices of all symbols that the user holds or watches are fresh. p50: half of the logins were faster; p99: 99 of 100 were.">
            Login to fresh
          </Hint>
        </div>
        <div className="tile-value">
          {fresh?.text ?? '–'}
          {fresh?.slow && <span className="tile-more"> · {fresh.slow}</span>}
        </div>
        <div className="tile-note">{fresh?.note ?? ' '}</div>
      </div>
      <Link to="/jobs" search={{ state: 'failed', sort: 'ended' }} className="tile">
        <div className="tile-name">Failed in the last hour</div>
        <div className="tile-value">{count(failed)}</div>
        <div className="tile-note">{stats ? `${count(stats.failed)} are kept in all` : ' '}</div>
      </Link>
    </div>
  );
}
