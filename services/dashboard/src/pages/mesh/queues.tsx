import { Link } from '@tanstack/react-router';
import { useMemo } from 'react';
import { count } from '../../format/numbers.ts';
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
    { id: 'spark', title: '1 h', cell: ({ queue }) => <Sparkline values={history?.series[`ready.${queue}`] ?? []} /> },
  ];
}
