import { plain } from '../../format/numbers.ts';
import { Panel } from '../../parts/panel.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { Copy, Mark, Moment } from '../../parts/words.tsx';
import { type Alert, useAlerts } from './queries.ts';

const columnsOf = (withAdvice: boolean): Column<Alert>[] => [
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
  {
    id: 'text',
    title: 'What',
    grow: true,
    cell: ({ text, state, advice }) => (
      <>
        <span title={text}>{text}</span>
        {withAdvice && state === 'raised' && advice !== null && <WhatToDo advice={advice} />}
      </>
    ),
  },
  { id: 'value', title: 'Value / limit', align: 'right', cell: ({ value, threshold }) => `${plain(value)} / ${plain(threshold)}` },
  { id: 'since', title: 'Since', align: 'right', by: ({ since }) => since, cell: ({ since }) => <Moment at={since} /> },
];

const COLUMNS = columnsOf(true);
const BRIEF = columnsOf(false);

function WhatToDo({ advice: { means, todo, command } }: { advice: NonNullable<Alert['advice']> }) {
  return (
    <details className="alert-advice">
      <summary>What to do</summary>
      <p>{means}</p>
      <p>{todo}</p>
      <p>
        <code>{command}</code> <Copy text={command} name="command" />
      </p>
    </details>
  );
}

/** `isBrief`: where nothing is pressed. */
export function Alerts({ isBrief = false }: { isBrief?: boolean }) {
  const query = useAlerts();
  return (
    <Panel title="Alerts">
      <Loaded query={query} lines={3}>
        {({ alerts }) =>
          alerts.length === 0 ? (
            <Empty title="No alert has been raised" />
          ) : (
            <Table name="Alerts" columns={isBrief ? BRIEF : COLUMNS} rows={alerts} rowKey={({ name }) => name} sort={{ id: 'state' }} />
          )
        }
      </Loaded>
    </Panel>
  );
}
