import { secondsBetween, wait } from '../../format/times.ts';
import { Panel } from '../../parts/panel.tsx';
import { Empty } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { Mark, Moment } from '../../parts/words.tsx';
import type { Detail } from './queries.ts';

type Attempt = Detail['attempts'][number];

const COLUMNS: Column<Attempt>[] = [
  { id: 'attempt', title: 'Attempt', align: 'right', by: ({ attempt }) => attempt, cell: ({ attempt }) => attempt },
  {
    id: 'outcome',
    title: 'Outcome',
    cell: ({ outcome }) =>
      outcome === 'completed' ? (
        <Mark tone="good" mark="✓">
          {outcome}
        </Mark>
      ) : (
        <Mark tone="bad" mark="✕">
          {outcome.replaceAll('_', ' ')}
        </Mark>
      ),
  },
  { id: 'started', title: 'Started', align: 'right', cell: ({ started_at }) => <Moment at={started_at} /> },
  {
    id: 'took',
    title: 'Took',
    align: 'right',
    cell: ({ started_at, ended_at }) => (started_at === null ? '–' : wait(secondsBetween(started_at, ended_at))),
  },
  { id: 'worker', title: 'Worker', cell: ({ worker }) => worker ?? '–' },
  {
    id: 'reason',
    title: 'Reason',
    grow: true,
    cell: ({ reason, code }) => (
      <span title={reason ?? undefined}>
        {reason ?? ''} {code !== null && <code>{code}</code>}
      </span>
    ),
  },
];

export function Attempts({ job: { attempts } }: { job: Detail }) {
  return (
    <Panel title="Attempts">
      {attempts.length === 0 ? (
        <Empty title="No attempt has ended yet" />
      ) : (
        <Table
          name="Attempts"
          columns={COLUMNS}
          rows={attempts}
          rowKey={({ attempt }) => String(attempt)}
          sort={{ id: 'attempt', desc: true }}
        />
      )}
    </Panel>
  );
}
