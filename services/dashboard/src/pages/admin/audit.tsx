import { NativeSelect } from '@mantine/core';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { lacks, may, useMe } from '../../data/session.ts';
import { More } from '../../parts/more.tsx';
import { Panel } from '../../parts/panel.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { Mark, Moment } from '../../parts/words.tsx';
import { whoOf } from './last-change.tsx';
import { type AuditFilter, type AuditRow, useAudit } from './queries.ts';

const COLUMNS: readonly Column<AuditRow>[] = [
  { id: 'at', title: 'When', cell: ({ at }) => <Moment at={at} /> },
  { id: 'who', title: 'Who', cell: (row) => <span title={row.address ?? undefined}>{whoOf(row)}</span> },
  { id: 'source', title: 'From', cell: ({ source }) => (source === 'cli' ? 'command line' : 'HTTP') },
  { id: 'action', title: 'What', cell: ({ action }) => action },
  {
    id: 'outcome',
    title: 'Outcome',
    cell: ({ outcome, code, times }) =>
      outcome === 'done' ? (
        <Mark tone="good" mark="✓">
          done
        </Mark>
      ) : (
        <span title={code ?? undefined}>
          <Mark tone="bad" mark="✕">
            refused
          </Mark>
          {times > 1 && ` ${times} times`}
        </span>
      ),
  },
  {
    id: 'target',
    title: 'At what',
    grow: true,
    cell: ({ target, details, code }) => {
      const text = [target, details, code].filter((one) => one !== null).join(' · ');
      return <span title={text}>{text || '–'}</span>;
    },
  },
];

/** Who changed what by hand, and who was refused. */
export function Audit() {
  const { data: me } = useMe();
  const { outcome } = useSearch({ strict: false }) as { outcome?: string };
  const navigate = useNavigate();
  const isAllowed = may(me, 'admin');
  const filter: AuditFilter = outcome === 'done' || outcome === 'refused' ? { outcome } : {};
  const query = useAudit(filter, isAllowed);
  const choice = (
    <NativeSelect
      size="xs"
      aria-label="Outcome"
      value={filter.outcome ?? ''}
      onChange={({ currentTarget: { value } }) => void navigate({ to: '.', search: value === '' ? {} : { outcome: value }, replace: true })}
      data={[
        { value: '', label: 'done and refused' },
        { value: 'done', label: 'done' },
        { value: 'refused', label: 'refused' },
      ]}
    />
  );
  return (
    <Panel title="Changes by hand" aside={choice}>
      {!isAllowed ? (
        <Empty title="Not for this key">{lacks('admin')}</Empty>
      ) : (
        <Loaded query={query}>
          {({ pages }) => {
            const rows = pages.flatMap((page) => page.rows);
            if (rows.length === 0) return <Empty title="Nothing was changed by hand" />;
            return (
              <>
                <Table name="Changes" columns={COLUMNS} rows={rows} rowKey={({ id }) => id} />
                <More query={query}>Show earlier ones</More>
              </>
            );
          }}
        </Loaded>
      )}
    </Panel>
  );
}
