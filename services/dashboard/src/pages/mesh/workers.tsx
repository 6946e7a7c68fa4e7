import { Link } from '@tanstack/react-router';
import { age, secondsBetween, wait } from '../../format/times.ts';
import { useNow } from '../../parts/now.ts';
import { Panel } from '../../parts/panel.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { Hint, Mark } from '../../parts/words.tsx';
import { type Instance, useWorkers } from './queries.ts';

/** More are a number with a link. */
const CHIPS = 4;

export function Workers() {
  const query = useWorkers();
  const now = useNow(1_000);
  const columns = columnsOf(now);
  return (
    <Panel title="Instances">
      <Loaded query={query}>
        {({ instances }) =>
          instances.length === 0 ? (
            <Empty title="No instance is alive">
              <code>npx stockmesh service worker</code> starts one.
            </Empty>
          ) : (
            <Table
              name="Instances"
              columns={columns}
              rows={instances}
              rowKey={({ instance }) => instance}
              sort={{ id: 'slots', desc: true }}
            />
          )
        }
      </Loaded>
    </Panel>
  );
}

function columnsOf(now: number): Column<Instance>[] {
  return [
    {
      id: 'name',
      title: 'Instance',
      by: ({ instance }) => instance,
      cell: ({ instance, service, version, capabilities }) => (
        <>
          <Hint text={`${instance}\nversion ${version ?? 'unknown'}`}>{service}</Hint>
          {capabilities.length > 0 && <span className="dim"> {capabilities.join(', ')}</span>}
        </>
      ),
    },
    {
      id: 'slots',
      title: 'Slots',
      by: ({ service, running }) => (service === 'worker' ? running : -1),
      cell: ({ service, running, capacity }) =>
        service === 'worker' ? <Slots running={running} capacity={capacity} /> : <span className="dim">–</span>,
    },
    { id: 'jobs', title: 'Runs', grow: true, cell: (row) => <Running instance={row} now={now} /> },
    {
      id: 'heartbeat',
      title: 'Heard',
      hint: 'How long ago it was heard of',
      align: 'right',
      by: ({ heartbeat_at }) => heartbeat_at,
      cell: ({ heartbeat_at }) => age(secondsBetween(heartbeat_at, now)),
    },
  ];
}

function Slots({ running, capacity }: { running: number; capacity: number }) {
  return (
    <>
      <span className="bar" aria-hidden="true">
        <span style={{ width: `${(100 * running) / Math.max(1, capacity)}%` }} />
      </span>
      {running}/{capacity}
    </>
  );
}

/** What it cannot do stands before what it does. */
function Running({ instance: { jobs, running, degraded, instance }, now }: { instance: Instance; now: number }) {
  return (
    <span className="running">
      {degraded !== null && degraded.length > 0 && (
        <Hint text={degraded.join('\n')}>
          <Mark tone="warn" mark="▲">
            {degraded.join('; ')}
          </Mark>
        </Hint>
      )}
      {jobs.slice(0, CHIPS).map(({ id, type, symbol, started_at }) => (
        <Link key={id} to="/jobs/$id" params={{ id }} className="chip">
          {type} {symbol} {started_at === null ? '' : wait(secondsBetween(started_at, now))}
        </Link>
      ))}
      {running > CHIPS && (
        <Link to="/jobs" search={{ state: 'running', worker: instance }}>
          and {running - Math.min(CHIPS, jobs.length)} more
        </Link>
      )}
    </span>
  );
}
