import { answer, api } from '../../data/client.ts';
import { count } from '../../format/numbers.ts';
import { Panel } from '../../parts/panel.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { Hint, Mark, Moment } from '../../parts/words.tsx';
import { Confirm } from './confirm.tsx';
import { LastChange } from './last-change.tsx';
import { changed, type Schedule, useAutoFetch, useSchedules } from './queries.ts';

export function Schedules() {
  const query = useSchedules();
  return (
    <>
      <AutoFetch />
      <Panel title="Schedules" aside={<LastChange action="schedule.run" words="Last run by hand" />}>
        <Loaded query={query}>
          {({ schedules }) =>
            schedules.length === 0 ? (
              <Empty title="No schedule is configured">
                They stand in <code>scheduler.schedules</code> of the configuration.
              </Empty>
            ) : (
              <Table name="Schedules" columns={COLUMNS} rows={schedules} rowKey={({ name }) => name} sort={{ id: 'next' }} />
            )
          }
        </Loaded>
      </Panel>
    </>
  );
}

/** The switch that stops all schedules. */
function AutoFetch() {
  const query = useAutoFetch();
  const set = (enabled: boolean) => () =>
    answer(api.POST('/v1/auto-fetch', { body: { enabled } })).then(() => changed('auto-fetch', 'schedules'));
  return (
    <Panel title="Automatic fetching">
      <Loaded query={query} lines={1}>
        {({ enabled, changed_by, changed_at }) => (
          <div className="panel-body switch">
            {enabled ? (
              <Mark tone="good" mark="●">
                on
              </Mark>
            ) : (
              <Mark tone="warn" mark="○">
                off
              </Mark>
            )}
            <span>
              {enabled ? 'Schedules start their jobs by themselves.' : 'Every run of a schedule is skipped. Logins go on as ever.'}
            </span>
            {changed_by !== null && (
              <span className="dim">
                changed by {changed_by}, <Moment at={changed_at} />
              </span>
            )}
            <span className="grow" />
            {enabled ? (
              <Confirm name="Switch off" about="automatic fetching" title="Switch automatic fetching off" right="jobs" run={set(false)}>
                <p>From now on every run of a schedule is skipped, until it is switched on again. Jobs that wait or run are not touched.</p>
              </Confirm>
            ) : (
              <Confirm name="Switch on" about="automatic fetching" title="Switch automatic fetching on" right="jobs" run={set(true)}>
                <p>Each schedule starts its next run at its time. Runs that were skipped are not made up for.</p>
              </Confirm>
            )}
          </div>
        )}
      </Loaded>
    </Panel>
  );
}

const COLUMNS: readonly Column<Schedule>[] = [
  { id: 'name', title: 'Schedule', by: ({ name }) => name, cell: ({ name }) => name },
  { id: 'job', title: 'Job', by: ({ job }) => job, cell: ({ job }) => job.replaceAll('_', ' ') },
  {
    id: 'when',
    title: 'When',
    cell: ({ cron, time_zone, skip_holidays }) => (
      <Hint text={`${time_zone}${skip_holidays ? '\nnot on days without a session' : ''}`}>
        <code>{cron}</code>
      </Hint>
    ),
  },
  {
    id: 'next',
    title: 'Next run',
    align: 'right',
    by: ({ next_run_at }) => next_run_at,
    cell: ({ next_run_at, next_skipped }) => (
      <>
        <Moment at={next_run_at} />
        {next_skipped !== null && (
          <>
            {' '}
            <Hint text={`It will be skipped: ${next_skipped}`}>
              <Mark tone="warn" mark="⊘">
                skipped
              </Mark>
            </Hint>
          </>
        )}
      </>
    ),
  },
  {
    id: 'last',
    title: 'Last run',
    align: 'right',
    by: ({ last_run_at }) => last_run_at,
    cell: ({ last_run_at }) => <Moment at={last_run_at} />,
  },
  { id: 'outcome', title: 'What became of it', grow: true, cell: (row) => <Outcome row={row} /> },
  {
    id: 'run',
    title: 'By hand',
    align: 'right',
    cell: ({ name }) => (
      <Confirm
        name="Run now"
        about={name}
        title={`Run “${name}” now`}
        right="jobs"
        run={() =>
          answer(api.POST('/v1/schedules/{name}/run', { params: { path: { name } }, body: null })).finally(
            () => void changed('schedules', 'jobs'),
          )
        }
        result={({ queued, joined, refused, reason }) => (
          <p>
            {count(queued)} jobs queued, {count(joined)} were under way already
            {refused > 0 ? `, ${count(refused)} refused` : ''}.{reason !== null && ` ${reason}`}
          </p>
        )}
      >
        <p>Its jobs are asked for at once, also on a holiday and while automatic fetching is off. Its next run stays where it is.</p>
      </Confirm>
    ),
  },
];

function Outcome({ row: { last_run_at, skipped, queued, joined, refused } }: { row: Schedule }) {
  if (last_run_at === null) return <span className="dim">it has not run yet</span>;
  if (skipped !== null)
    return (
      <span title={skipped}>
        <Mark tone="warn" mark="⊘">
          skipped:
        </Mark>{' '}
        {skipped}
      </span>
    );
  return (
    <>
      {count(queued)} queued, {count(joined)} joined
      {refused !== null && refused > 0 && <span data-tone="bad">, {count(refused)} refused</span>}
    </>
  );
}
