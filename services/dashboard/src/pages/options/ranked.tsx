import { Button, NativeSelect, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { Link } from '@tanstack/react-router';
import { useEffect, useMemo, useState } from 'react';
import { count, decimal, plain, price, share } from '../../format/numbers.ts';
import { ChoosableTable } from '../../parts/choosable-table.tsx';
import { Panel } from '../../parts/panel.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { Change, Mark } from '../../parts/words.tsx';
import { type Asking, isNotThere, NotRanked } from './ask.tsx';
import { FILTER_NAMES, filtersOf, passes, type Search } from './filters.ts';
import type { Mode, Rank, Ranking, useRanking } from './queries.ts';
import { BANDS, contractName, dayName, REASONS, rankOf, SIGNAL_NAMES, SIGNALS, signalWord } from './words.ts';

interface RankedProps {
  ranking: ReturnType<typeof useRanking>;
  search: Search;
  change: (changes: Search) => void;
  contract: string | undefined;
  asking: Asking;
}

/** The best of the newest run, filtered. */
export function RankedTab({ ranking, search, change, contract, asking }: RankedProps) {
  return (
    <div className="stack">
      <Panel title="Ranked" aside={<Csv ranking={ranking.data} />}>
        {isNotThere(ranking.error) && ranking.data === undefined ? (
          <NotRanked state={null} asking={asking} />
        ) : (
          <Loaded query={ranking}>
            {(data) =>
              data.run_at === null ? (
                <NotRanked state={data.state} asking={asking} />
              ) : (
                <List ranking={data} search={search} change={change} contract={contract} />
              )
            }
          </Loaded>
        )}
      </Panel>
      {ranking.data?.mode === 'exit' && (ranking.data.left_out?.length ?? 0) > 0 && <LeftOut of={ranking.data.left_out ?? []} />}
    </div>
  );
}

function Csv({ ranking }: { ranking: Ranking | undefined }) {
  if (ranking === undefined || ranking.run_at === null) return null;
  const { symbol, mode } = ranking;
  return (
    <a href={`/v1/rankings?${new URLSearchParams({ symbol, mode, limit: '500', format: 'csv' })}`} download={`${symbol}-${mode}.csv`}>
      CSV
    </a>
  );
}

function List({ ranking, search, change, contract }: Pick<RankedProps, 'search' | 'change' | 'contract'> & { ranking: Ranking }) {
  const filters = filtersOf(search);
  const { ranks, mode } = ranking;
  const shown = ranks.filter((rank) => passes(rank, filters));
  const columns = useMemo(() => columnsOf(mode), [mode]);
  if (ranks.length === 0)
    return (
      <Empty title={mode === 'exit' ? 'No position is ranked' : 'No contract could be ranked'}>
        {mode === 'exit' ? 'Add a position in the tab Positions, then rank again.' : 'The line above says why.'}
      </Empty>
    );
  return (
    <>
      <Fields ranks={ranks} search={search} change={change} shown={shown.length} />
      {shown.length === 0 ? (
        <Empty title="No contract passes the filters">Take one of them away.</Empty>
      ) : (
        <ChoosableTable
          key={mode}
          name="Ranked contracts"
          kept={['contract']}
          columns={columns}
          rows={shown}
          rowKey={({ place }) => String(place)}
          height="min(680px, 70vh)"
          marked={(rank) => rank.contract === contract}
        />
      )}
    </>
  );
}

function columnsOf(mode: Mode): Column<Rank>[] {
  const number = (
    id: string,
    title: string,
    by: (rank: Rank) => number | null,
    text: (value: number | null) => string,
    hint?: string,
  ): Column<Rank> => ({
    ...{ id, title, by, align: 'right', cell: (rank) => text(by(rank)) },
    ...(hint !== undefined && { hint }),
  });
  return [
    number('place', '#', ({ place }) => place, plain, 'Place in the ranking'),
    {
      id: 'contract',
      title: 'Contract',
      by: ({ contract }) => contract,
      cell: ({ contract }) => (
        <Link to="." search={(before: Search) => ({ ...before, contract })} replace resetScroll={false} title={contract}>
          {contractName(contract)}
        </Link>
      ),
    },
    number('rank', 'Rank', rankOf, (value) => decimal(value, 1), '0 to 100'),
    { id: 'band', title: 'Band', by: rankOf, cell: ({ band }) => <Mark {...BANDS[band]}>{band}</Mark> },
    { id: 'signals', title: 'Signals', cell: ({ signals }) => <Signals of={signals} /> },
    ...(mode === 'exit'
      ? ([
          { id: 'user', title: 'User', by: ({ user_id }) => user_id, cell: ({ user_id }) => user_id },
          { id: 'pnl', title: 'Result', align: 'right', by: ({ pnl_pct }) => pnl_pct, cell: ({ pnl_pct }) => <Change value={pnl_pct} /> },
        ] satisfies Column<Rank>[])
      : []),
    number('bid', 'Bid', ({ bid }) => bid, price, 'Dollars a share'),
    number('ask', 'Ask', ({ ask }) => ask, price, 'Dollars a share'),
    number(
      'spread',
      'Spread',
      ({ spread_pct }) => spread_pct,
      (value) => share(value),
      'Of the middle between bid and ask',
    ),
    number(
      'iv',
      'IV',
      ({ iv }) => iv * 100,
      (value) => share(value),
      'Implied volatility, a year',
    ),
    number(
      'delta',
      'Delta',
      ({ delta }) => delta,
      (value) => decimal(value, 3),
      'Dollars for a dollar of the underlying',
    ),
    number(
      'theta',
      'Theta',
      ({ theta }) => theta,
      (value) => decimal(value, 3),
      'Dollars a day',
    ),
    number('volume', 'Volume', ({ volume }) => volume, count, 'Contracts traded on the day'),
    number('oi', 'Open', ({ open_interest }) => open_interest, count, 'Open interest, contracts'),
    number(
      'quality',
      'Measured',
      ({ data_quality }) => data_quality * 100,
      (value) => share(value, 0),
      'Share of the rank that could be measured',
    ),
  ];
}

function Signals({ of }: { of: Rank['signals'] }) {
  if (of.length === 0) return <>–</>;
  return (
    <>
      {of.map((signal) => (
        <span key={signal} className="chip signal" title={SIGNALS[signal]}>
          {signalWord(signal)}
        </span>
      ))}
    </>
  );
}

interface FieldsProps {
  ranks: readonly Rank[];
  search: Search;
  change: (changes: Search) => void;
  shown: number;
}

function Fields({ ranks, search, change, shown }: FieldsProps) {
  const byExpiry = [...Map.groupBy(ranks, ({ expiration }) => expiration)].sort(([a], [b]) => a.localeCompare(b));
  const has = (signal: string) => ranks.filter(({ signals }) => signals.some((one) => one === signal)).length;
  const signals = SIGNAL_NAMES.filter((signal) => has(signal) > 0 || signal === search.signal);
  const known = byExpiry.some(([expiry]) => expiry === search.expiry);
  return (
    <div className="fields panel-body" role="search">
      <Select
        name="expiry"
        label="Expiration"
        search={search}
        change={change}
        options={[
          ['', `any expiration (${ranks.length})`],
          ...(search.expiry && !known ? [[search.expiry, `${dayName(search.expiry)} (0)`] as const] : []),
          ...byExpiry.map(([expiry, of]) => [expiry, `${dayName(expiry)} · ${of[0]?.dte} d (${of.length})`] as const),
        ]}
      />
      <Select
        name="side"
        label="Side"
        search={search}
        change={change}
        options={[
          ['', 'calls and puts'],
          ['call', 'calls'],
          ['put', 'puts'],
        ]}
      />
      <Select
        name="signal"
        label="Signal"
        search={search}
        change={change}
        options={[['', 'any signal'], ...signals.map((signal) => [signal, `${signalWord(signal)} (${has(signal)})`] as const)]}
      />
      <LeastRank search={search} change={change} />
      <Select
        name="quality"
        label="Data quality"
        search={search}
        change={change}
        options={[
          ['', 'any data quality'],
          ['50', 'measured ≥ 50 %'],
          ['75', 'measured ≥ 75 %'],
          ['100', 'measured in full'],
        ]}
      />
      <span className="dim" role="status">
        {shown} of {ranks.length}
      </span>
      {FILTER_NAMES.some((name) => search[name]) && (
        <Button size="xs" variant="subtle" onClick={() => change(Object.fromEntries(FILTER_NAMES.map((name) => [name, undefined])))}>
          Clear
        </Button>
      )}
    </div>
  );
}

interface SelectProps extends Pick<FieldsProps, 'search' | 'change'> {
  name: (typeof FILTER_NAMES)[number];
  label: string;
  options: readonly (readonly [string, string])[];
}

function Select({ name, label, options, search, change }: SelectProps) {
  return (
    <NativeSelect
      size="xs"
      aria-label={label}
      value={search[name] ?? ''}
      onChange={({ currentTarget }) => change({ [name]: currentTarget.value || undefined })}
      data={options.map(([value, text]) => ({ value, label: text }))}
    />
  );
}

function LeastRank({ search, change }: Pick<FieldsProps, 'search' | 'change'>) {
  const [text, setText] = useState(search.min_rank ?? '');
  const write = useDebouncedCallback((value: string) => change({ min_rank: value.trim() || undefined }), 300);
  useEffect(() => setText(search.min_rank ?? ''), [search.min_rank]);
  return (
    <TextInput
      size="xs"
      w={110}
      aria-label="Lowest rank"
      placeholder="rank at least"
      inputMode="decimal"
      value={text}
      onChange={({ currentTarget: { value } }) => {
        setText(value);
        write(value);
      }}
    />
  );
}

/** Positions that the exit ranking could not rank. */
function LeftOut({ of }: { of: NonNullable<Ranking['left_out']> }) {
  return (
    <Panel title="Positions that are not ranked">
      <Table
        name="Positions that are not ranked"
        columns={[
          { id: 'contract', title: 'Contract', cell: ({ contract }) => contractName(contract) },
          { id: 'user', title: 'User', cell: ({ user }) => user ?? '–' },
          { id: 'reason', title: 'Because', cell: ({ reason }) => REASONS[reason] },
          { id: 'why', title: 'Why', grow: true, cell: ({ why }) => <span title={why}>{why}</span> },
        ]}
        rows={of}
        rowKey={({ position }) => position}
      />
    </Panel>
  );
}
