import { plain } from '../../format/numbers.ts';
import { Panel } from '../../parts/panel.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { Mark, Moment } from '../../parts/words.tsx';
import { type Alert, useAlerts } from './queries.ts';

const COLUMNS: Column<Alert>[] = [
  {
    id: 'state',
    title: 'State',
    by: ({ state }) => (state === 'raised' ? 0 : 1),
    cell: ({ state }) =>
      state === 'raised' ? (
        <Mark tone="bad" mark="▲">
          raised
        </Mark>
      ) : (
        <Mark tone="calm" mark="✓">
          over
        </Mark>
      ),
  },
  { id: 'text', title: 'What', grow: true, cell: ({ text }) => <span title={text}>{text}</span> },
  { id: 'value', title: 'Value / limit', align: 'right', cell: ({ value, threshold }) => `${plain(value)} / ${plain(threshold)}` },
  { id: 'since', title: 'Since', align: 'right', by: ({ since }) => since, cell: ({ since }) => <Moment at={since} /> },
];

export function Alerts() {
  const query = useAlerts();
  return (
    <Panel title="Alerts">
      <Loaded query={query} lines={3}>
        {({ alerts }) =>
          alerts.length === 0 ? (
            <Empty title="No alert has been raised" />
          ) : (
            <Table name="Alerts" columns={COLUMNS} rows={alerts} rowKey={({ name }) => name} sort={{ id: 'state' }} />
          )
        }
      </Loaded>
    </Panel>
  );
}
