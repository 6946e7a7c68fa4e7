import { Link } from '@tanstack/react-router';
import { useMemo } from 'react';
import { count, decimal } from '../../format/numbers.ts';
import { wait } from '../../format/times.ts';
import { Panel } from '../../parts/panel.tsx';
import { Sparkline } from '../../parts/sparkline.tsx';
import { Loaded } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';

import { type History, type Stats, useHistory, useStats } from './queries.ts';

type Queue = Stats['queues'][number];
type Count = 'ready' | 'running' | 'scheduled' | 'blocked';

const NAMES: Record<string, string> = {
  foreground: 'Somebody waits for it',
  background_fetch: 'Prices, in the background',
  background_analysis: 'Analyses, in the background',
};

export function Queues() {
  const query = useStats();
  const { data: history } = useHistory('1h');
  const columns = useMemo(() => columnsOf(history), [history]);
  return (
    <Panel title="Queues">
      <Loaded query={query}>
        {({ queues }) => (
          <Table name="Queues" columns={columns} rows={queues} rowKey={({ queue }) => queue} sort={{ id: 'oldest', desc: true }} />
        )}
      </Loaded>
    </Panel>
  );
}

function columnsOf(history: History | undefined): Column<Queue>[] {
  const counted = (state: Count, title: string, hint: string): Column<Queue> => ({
    id: state,
    title,
    hint,
    align: 'right',
    by: (row) => row[state],
    cell: (row) => (
      <Link to="/jobs" search={{ state, queue: row.queue }}>
        {count(row[state])}
      </Link>
    ),
  });
  return [
    { id: 'queue', title: 'Queue', by: ({ queue }) => queue, cell: ({ queue }) => <span title={NAMES[queue]}>{queue}</span> },
    counted('ready', 'Ready', 'Wait for a free slot of a worker'),
    counted('running', 'Running', 'A worker is at them'),
    counted('scheduled', 'Scheduled', 'Start later: at a time, or after a failed attempt'),
    counted('blocked', 'Blocked', 'Wait for another job, or for a slot of their user'),
    {
      id: 'oldest',
      title: 'Oldest',
      hint: 'How long the oldest ready job has waited',
      align: 'right',
      by: ({ oldest_s }) => oldest_s,
      cell: ({ oldest_s }) => wait(oldest_s),
    },
    rate(history, 'in', 'In/s', 'Jobs that were asked for, a second, in the last minute that is over'),
    rate(history, 'out', 'Out/s', 'Jobs that ended, a second, in the last minute that is over'),
    {
      id: 'spark',
      title: '1 h',
      hint: 'Ready jobs in the last 60 minutes',
      cell: ({ queue }) => <Sparkline values={history?.series[`ready.${queue}`] ?? []} />,
    },
  ];
}

function rate(history: History | undefined, name: 'in' | 'out', title: string, hint: string): Column<Queue> {
  // A queue that neither took nor gave a job in that minute is not named in it.
  const isKnown = (history?.series.ready ?? []).at(-1) != null || (history?.series.ready ?? []).at(-2) != null;
  const of = ({ queue }: Queue): number | null => (isKnown ? (lastOf(history?.series[`${name}.${queue}`]) ?? 0) / 60 : null);
  return { id: name, title, hint, align: 'right', by: of, cell: (row) => perSecond(of(row)) };
}

/** The present minute is not over and has no row. */
const lastOf = (values: readonly (number | null)[] = []): number | null => values.at(-1) ?? values.at(-2) ?? null;
const perSecond = (value: number | null): string => (value === 0 ? '0' : decimal(value, value !== null && value >= 100 ? 0 : 2));
