import { Link, useParams } from '@tanstack/react-router';
import { plain } from '../../format/numbers.ts';
import { wait } from '../../format/times.ts';
import { lastJobsPlace } from '../../parts/jobs/place.ts';
import { Facts, Panel } from '../../parts/panel.tsx';
import { Loaded } from '../../parts/states.tsx';
import { usePageTitle } from '../../parts/title.ts';
import { Copy, Moment, StateMark } from '../../parts/words.tsx';
import { Actions } from './actions.tsx';
import { Attempts } from './attempts.tsx';
import { Items } from './items.tsx';
import { Links } from './links.tsx';
import { Payload } from './payload.tsx';
import { type Detail, useJob } from './queries.ts';
import { Timeline } from './timeline.tsx';
import { Why } from './why.tsx';

/** One job with all that led to it. */
export default function JobPage() {
  const { id } = useParams({ strict: false }) as { id: string };
  const query = useJob(id);
  usePageTitle(query.data ? `${query.data.type} ${query.data.symbol ?? ''}` : 'Job');
  return (
    <div className="page">
      <Loaded query={query}>{(job) => <Job job={job} />}</Loaded>
    </div>
  );
}

function Job({ job }: { job: Detail }) {
  const search = lastJobsPlace()?.search ?? {};
  return (
    <div className="stack">
      <Link to="/jobs" search={search}>
        ← {Object.keys(search).length > 0 ? 'Back to the list' : 'All jobs'}
      </Link>
      <div className="page-head">
        <h1>
          {job.type} {job.symbol}
        </h1>
        <StateMark state={job.state} />
        <span className="grow" />
        <Actions job={job} />
      </div>
      {job.reason !== null && (
        <p className="reason" role="status">
          {job.reason}
          {job.code !== null && (
            <>
              {' '}
              <Link to="/jobs" search={{ code: job.code }} title="All jobs with this code">
                {job.code}
              </Link>
            </>
          )}
        </p>
      )}
      <div className="columns even">
        <Panel title="Job">
          <div className="panel-body">
            <Facts of={facts(job)} />
          </div>
        </Panel>
        <Panel title="Time">
          <Timeline job={job} />
        </Panel>
      </div>
      <Why job={job} />
      <Attempts job={job} />
      {job.items.total > 0 && <Items job={job} />}
      <Links job={job} />
      <Payload job={job} />
    </div>
  );
}

function place({ position, eta_seconds, state, blocked_on }: Detail): string {
  if (state === 'blocked') return blocked_on === 'slot' ? 'waits for a slot of its user' : 'waits for another job';
  if (state !== 'ready' && state !== 'running') return '–';
  const eta = eta_seconds === null ? 'no estimate yet' : `done in about ${wait(eta_seconds)}`;
  return state === 'running' ? eta : `${plain(position)} before it, ${eta}`;
}

function facts(job: Detail): (readonly [string, React.ReactNode])[] {
  return [
    [
      'Id',
      <span key="id">
        <code>{job.id}</code> <Copy text={job.id} name="the id" />
      </span>,
    ],
    [
      'Queue',
      <Link key="queue" to="/jobs" search={{ queue: job.queue }}>
        {job.queue}
      </Link>,
    ],
    ['Place', place(job)],
    ['Attempt', `${job.attempt} of ${job.max_attempts}`],
    ['Asked by', job.triggered_by ?? '–'],
    [
      'User',
      job.user === null ? (
        '–'
      ) : (
        <Link key="user" to="/portfolios/$user" params={{ user: job.user }}>
          {job.user}
        </Link>
      ),
    ],
    ['Who waits', job.subscribers.length === 0 ? 'nobody' : job.subscribers.join(', ')],
    ['Worker', job.worker ?? '–'],
    ...(job.run_at === null ? [] : [['Starts', <Moment key="run_at" at={job.run_at} />] as const]),
  ];
}
