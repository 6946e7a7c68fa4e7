import { useState } from 'react';
import { bytes, count, exact } from '../../format/numbers.ts';
import { Panel } from '../../parts/panel.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { Mark } from '../../parts/words.tsx';
import { type Detail, useItems } from './queries.ts';

type Item = NonNullable<ReturnType<typeof useItems>['data']>['items'][number];
type ItemState = Item['state'];

/** Those that went wrong first. */
const STATES: Record<ItemState, { tone: string; mark: string }> = {
  failed: { tone: 'bad', mark: '✕' },
  not_entitled: { tone: 'warn', mark: '⊘' },
  pending: { tone: 'calm', mark: '○' },
  not_yet: { tone: 'calm', mark: '◷' },
  done: { tone: 'good', mark: '✓' },
  skipped: { tone: 'calm', mark: '»' },
  no_data: { tone: 'calm', mark: '∅' },
};
const word = (state: ItemState): string => state.replaceAll('_', ' ');

const COLUMNS: Column<Item>[] = [
  {
    id: 'state',
    title: 'State',
    by: ({ state }) => Object.keys(STATES).indexOf(state),
    cell: ({ state }) => <Mark {...STATES[state]}>{word(state)}</Mark>,
  },
  { id: 'key', title: 'Item', by: ({ key }) => key, cell: ({ key }) => <code>{key}</code> },
  { id: 'attempts', title: 'Attempts', align: 'right', cell: ({ attempts }) => attempts },
  { id: 'rows', title: 'Rows', align: 'right', by: ({ rows }) => rows, cell: ({ rows }) => exact(rows) },
  { id: 'bytes', title: 'Size', align: 'right', by: ({ bytes: size }) => size, cell: ({ bytes: size }) => bytes(size) },
  { id: 'reason', title: 'Reason', grow: true, cell: ({ reason }) => <span title={reason ?? undefined}>{reason}</span> },
];

export function Items({ job }: { job: Detail }) {
  const [state, setState] = useState<ItemState | undefined>(job.items.failed > 0 ? 'failed' : undefined);
  const query = useItems(job.id, state);
  const { percentage } = job.progress;
  return (
    <Panel
      title={`Items: ${count(job.items.total)}`}
      aside={
        <>
          <progress value={percentage} max={100} aria-label="Progress" /> {percentage.toFixed(0)} %
        </>
      }
    >
      <div className="panel-body tabs">
        <button type="button" className="tab" aria-pressed={state === undefined} onClick={() => setState(undefined)}>
          all
        </button>
        {(Object.keys(STATES) as ItemState[])
          .filter((one) => job.items[one] > 0)
          .map((one) => (
            <button key={one} type="button" className="tab" aria-pressed={state === one} onClick={() => setState(one)}>
              {word(one)} <span className="tab-count">{count(job.items[one])}</span>
            </button>
          ))}
      </div>
      <Loaded query={query}>
        {({ items, next }) =>
          items.length === 0 ? (
            <Empty title="No item has this state" />
          ) : (
            <>
              <Table name="Items" columns={COLUMNS} rows={items} rowKey={({ key }) => key} sort={{ id: 'state' }} height={480} />
              {next !== null && <p className="panel-body dim">The first {items.length} are shown; choose a state to see others.</p>}
            </>
          )
        }
      </Loaded>
    </Panel>
  );
}
