import { Button } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { answer, api } from '../../data/client.ts';
import { lacks, may, mayForUser, useMe } from '../../data/session.ts';
import { count, decimal, exact, NONE } from '../../format/numbers.ts';
import { wait } from '../../format/times.ts';
import { Panel } from '../../parts/panel.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { Hint, Moment, StateMark } from '../../parts/words.tsx';
import { inWords } from './dataset.ts';
import { Failed } from './failed.tsx';
import type { Change } from './page.tsx';
import { type Download, ownUser, RETRIED, readAgain, useDownloads } from './queries.ts';

export const isLive = ({ state }: Download): boolean => ['scheduled', 'blocked', 'ready', 'running'].includes(state);
export const retriable = ({ items }: Download): number => RETRIED.reduce((sum, state) => sum + items[state], 0);

/** The downloads, each with a bar, and the failed items of one of them. */
export function Downloads({ chosen, change }: { chosen: string | undefined; change: Change }) {
  const { data: me } = useMe();
  const query = useDownloads(ownUser(me));
  return (
    <Loaded query={query} lines={3}>
      {({ downloads }) => {
        // The one of the address, else the newest with something to see.
        const open = downloads.find(({ job_id }) => job_id === chosen) ?? downloads.find((one) => retriable(one) > 0);
        return (
          <div className="stack">
            <Panel
              title="Downloads"
              aside={
                <Link to="/jobs" search={{ type: 'history' }}>
                  All their jobs
                </Link>
              }
            >
              {downloads.length === 0 ? (
                <Empty title="Nothing was downloaded yet">
                  Fill in the form above, or{' '}
                  <code>npx stockmesh history option AAPL --from 2026-01-05 --to 2026-01-09 --schema quote --interval 15m</code>
                </Empty>
              ) : (
                <Table
                  name="Downloads"
                  columns={columns(change)}
                  rows={downloads}
                  rowKey={({ job_id }) => job_id}
                  height={420}
                  marked={({ job_id }) => job_id === open?.job_id && retriable(open) > 0}
                />
              )}
            </Panel>
            {open && retriable(open) > 0 && <Failed key={open.job_id} download={open} />}
          </div>
        );
      }}
    </Loaded>
  );
}

function columns(change: Change): Column<Download>[] {
  return [
    {
      id: 'what',
      title: 'Data',
      cell: (row) => (
        <Link to="/jobs/$id" params={{ id: row.job_id }} title="To its job">
          {inWords(row)}
        </Link>
      ),
    },
    { id: 'progress', title: 'Progress', cell: (row) => <Progress download={row} /> },
    {
      id: 'state',
      title: 'State',
      cell: ({ state, reason }) =>
        reason === null ? (
          <StateMark state={state} />
        ) : (
          <Hint text={reason}>
            <StateMark state={state} />
          </Hint>
        ),
    },
    {
      id: 'days',
      title: 'Days',
      cell: ({ from, to }) => (
        <span>
          {from} – {to}
        </span>
      ),
    },
    {
      id: 'failed',
      title: 'Failed',
      align: 'right',
      cell: (row) =>
        retriable(row) === 0 ? (
          '0'
        ) : (
          <button type="button" className="text-button" onClick={() => change({ download: row.job_id })} title="Show the reasons">
            {count(retriable(row))}
          </button>
        ),
    },
    {
      id: 'rate',
      title: 'Pace',
      hint: 'Objects a minute, by the last five minutes',
      align: 'right',
      cell: ({ items_per_minute: pace }) => (pace === null ? NONE : `${pace < 10 ? decimal(pace, 1) : exact(Math.round(pace))}/min`),
    },
    {
      id: 'left',
      title: 'Time left',
      align: 'right',
      cell: (row) => (isLive(row) ? wait(row.eta_seconds) : NONE),
    },
    { id: 'asked', title: 'Asked for', align: 'right', cell: ({ enqueued_at }) => <Moment at={enqueued_at} /> },
    { id: 'act', title: 'Action', cell: (row) => <Act download={row} /> },
  ];
}

/** In the order of the bar. The words say the same as the colours. */
const SEGMENTS = [
  ['done', 'done'],
  ['skipped', 'skipped'],
  ['no_data', 'no data'],
  ['not_yet', 'not yet'],
  ['not_entitled', 'not entitled'],
  ['failed', 'failed'],
] as const;

function Progress({ download: { items, ...dataset } }: { download: Download }) {
  const ended = items.total - items.pending;
  const words = SEGMENTS.filter(([state]) => items[state] > 0).map(([state, word]) => `${exact(items[state])} ${word}`);
  const text = [...(words.length === 0 ? ['0 done'] : words), `of ${exact(items.total)}`].join(' · ').replace(' · of', ' of');
  return (
    <span className="progress">
      <span
        className="progress-bar"
        role="progressbar"
        aria-label={`Progress of ${inWords(dataset)}`}
        aria-valuemin={0}
        aria-valuemax={items.total}
        aria-valuenow={ended}
        aria-valuetext={text}
      >
        {SEGMENTS.map(([state]) =>
          items[state] === 0 ? null : <span key={state} data-part={state} style={{ width: `${(100 * items[state]) / items.total}%` }} />,
        )}
      </span>
      <span>{text}</span>
    </span>
  );
}

/** Cancels a live one, and starts one again that ended with objects untried; those that failed have a button of their own. */
function Act({ download }: { download: Download }) {
  const { data: me } = useMe();
  const path = { params: { path: { id: download.job_id } }, body: {} };
  const canCancel = isLive(download);
  const act = useMutation({
    mutationFn: async () => {
      if (canCancel) await answer(api.POST('/v1/jobs/{id}/cancel', path));
      else await answer(api.POST('/v1/jobs/{id}/retry', path));
    },
    onSettled: readAgain,
  });
  const mayAct = download.user === null ? may(me, 'jobs') : mayForUser(me, 'jobs', download.user);
  if (!canCancel && download.items.pending === 0) return <>{NONE}</>;
  return (
    <>
      <Button
        size="compact-xs"
        variant="default"
        disabled={!mayAct}
        title={mayAct ? (canCancel ? 'What is stored stays' : 'What is done stays done') : lacks('jobs')}
        loading={act.isPending}
        onClick={() => act.mutate()}
      >
        {canCancel ? 'Cancel' : 'Go on'}
      </Button>
      {act.error && <span data-tone="bad"> {act.error.message}</span>}
    </>
  );
}
