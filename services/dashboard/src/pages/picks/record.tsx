import { NONE, percent, share } from '../../format/numbers.ts';
import { Panel } from '../../parts/panel.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { Change } from '../../parts/words.tsx';
import { type Horizon, useRecord } from './queries.ts';

const inPercent = (value: number | null): number | null => (value === null ? null : value * 100);

const COLUMNS = (index: string): Column<Horizon>[] => [
  { id: 'weeks', title: 'After', cell: ({ weeks }) => (weeks === 1 ? '1 week' : `${weeks} weeks`) },
  { id: 'picks', title: 'n picks', hint: 'Picks that are measured', align: 'right', cell: ({ picks }) => picks },
  { id: 'cohorts', title: 'n reports', hint: 'Reports that are measured', align: 'right', cell: ({ cohorts }) => cohorts },
  {
    id: 'effective',
    title: 'Apart',
    hint: 'Reports whose windows do not overlap: all errors rest on them',
    align: 'right',
    cell: ({ effective }) => effective,
  },
  { id: 'mean', title: 'Return', hint: 'The mean of the picks', align: 'right', cell: ({ mean }) => <Change value={inPercent(mean)} /> },
  {
    id: 'excess',
    title: `Over ${index}`,
    align: 'right',
    cell: ({ excess, standard_error: error }) => (
      <>
        <Change value={inPercent(excess)} />
        {error !== null && <span className="dim"> ± {percent(inPercent(error)).replace('+', '')}</span>}
      </>
    ),
  },
  {
    id: 'universe',
    title: 'Over all',
    hint: 'Over all symbols that could be picked, at equal weights',
    align: 'right',
    cell: ({ excess_over_universe: excess }) => <Change value={inPercent(excess)} />,
  },
  {
    id: 'hits',
    title: `Above ${index}`,
    hint: 'The share of the picks above the index, and the range that it is in with 95 % certainty',
    align: 'right',
    cell: ({ hit_rate: rate, hit_interval: range }) => (
      <>
        {share(inPercent(rate), 0)}
        {range !== null && (
          <span className="dim">
            {' '}
            ({share(inPercent(range[0] ?? null), 0)} – {share(inPercent(range[1] ?? null), 0)})
          </span>
        )}
      </>
    ),
  },
  { id: 'open', title: 'Open', hint: 'Picks whose time is not over', align: 'right', cell: ({ open }) => open },
  {
    id: 'lost',
    title: 'Gone',
    hint: 'Delisted picks, with their last price, and picks without a price',
    align: 'right',
    cell: ({ delisted, missing }) => (delisted + missing === 0 ? NONE : `${delisted} + ${missing}`),
  },
];

const WITHOUT = { no_report: 'no report was made', sample: 'a sample', simulated: 'simulated prices' } as const;

/** How the picks did against the index, with how many that rests on. */
export function Record({ user }: { user: string }) {
  const query = useRecord(user);
  return (
    <Panel title="Track record" aside={<span className="dim">hypothetical: close to close, without fees, spreads and taxes</span>}>
      <Loaded query={query} lines={3}>
        {({ index, horizons, without }) => {
          const notes = [...new Set(horizons.flatMap((horizon) => horizon.notes))];
          const isEmpty = horizons.every(({ returns }) => returns.length === 0);
          return (
            <>
              {isEmpty ? (
                <Empty title="No record yet">
                  It begins with the first report of real prices. Samples and simulated reports have none.
                </Empty>
              ) : (
                <Table name="Track record" columns={COLUMNS(index)} rows={horizons} rowKey={({ weeks }) => String(weeks)} />
              )}
              <div className="panel-body stack">
                {!isEmpty && horizons.some(({ conclusive }) => !conclusive) && (
                  <p data-testid="conclusive">
                    <strong>Too few weeks to say anything.</strong>
                  </p>
                )}
                {!isEmpty && (
                  <ul>
                    {notes.map((note) => (
                      <li key={note}>{note}</li>
                    ))}
                  </ul>
                )}
                {without.length > 0 && (
                  <details>
                    <summary>{without.length} weeks without a record</summary>
                    <p>{without.map(({ week_of, reason }) => `${week_of}: ${WITHOUT[reason]}`).join(' · ')}</p>
                  </details>
                )}
              </div>
            </>
          );
        }}
      </Loaded>
    </Panel>
  );
}
