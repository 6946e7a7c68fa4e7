import { Link } from '@tanstack/react-router';
import { count } from '../../format/numbers.ts';
import { Empty, Loaded } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { Moment } from '../../parts/words.tsx';
import { RedriveAll } from './bulk.tsx';
import type { Filters } from './filters.ts';
import { useCodes } from './queries.ts';

type Group = NonNullable<ReturnType<typeof useCodes>['data']>['groups'][number];

/** What went wrong, by kind: a press on a code shows its jobs. */
export function Codes({ filters, change }: { filters: Filters; change: (changes: Record<string, string | undefined>) => void }) {
  const query = useCodes(filters, true);
  const columns: Column<Group>[] = [
    {
      id: 'code',
      title: 'Code',
      by: ({ code }) => code,
      cell: ({ code }) => (
        <button type="button" className="text-button" onClick={() => change({ code, group: undefined })}>
          {code}
        </button>
      ),
    },
    { id: 'jobs', title: 'Jobs', align: 'right', by: ({ jobs }) => jobs, cell: ({ jobs }) => count(jobs) },
    {
      id: 'first',
      title: 'First',
      align: 'right',
      by: ({ first_ended_at }) => first_ended_at,
      cell: ({ first_ended_at }) => <Moment at={first_ended_at} />,
    },
    {
      id: 'last',
      title: 'Last',
      align: 'right',
      by: ({ last_ended_at }) => last_ended_at,
      cell: ({ last_ended_at }) => <Moment at={last_ended_at} />,
    },
    { id: 'act', title: 'All of it', cell: ({ code }) => <RedriveAll filters={{ ...filters, code }} name="Redrive all" /> },
    {
      id: 'reason',
      title: 'Newest reason',
      grow: true,
      cell: ({ reason, newest_id }) => (
        <Link to="/jobs/$id" params={{ id: newest_id }} title={reason ?? undefined}>
          {reason ?? newest_id}
        </Link>
      ),
    },
  ];
  return (
    <Loaded query={query}>
      {({ groups }) =>
        groups.length === 0 ? (
          <Empty title="No job that matches has ended other than completed" />
        ) : (
          <Table name="Codes" columns={columns} rows={groups} rowKey={({ code }) => code} sort={{ id: 'jobs', desc: true }} />
        )
      }
    </Loaded>
  );
}
