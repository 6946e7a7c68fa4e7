import { Button, TextInput } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';
import { decimal, share } from '../../format/numbers.ts';
import { OptionsLink } from '../../parts/options-link.tsx';
import { Panel } from '../../parts/panel.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { usePageTitle } from '../../parts/title.ts';
import { Moment, Simulated } from '../../parts/words.tsx';
import { type RankedSymbol, useRankedSymbols } from './queries.ts';
import { MODE_NAMES, MODES } from './words.ts';

const newest = ({ rankings }: RankedSymbol): string | null =>
  rankings
    .map(({ run_at }) => run_at)
    .sort()
    .at(-1) ?? null;

const COLUMNS: Column<RankedSymbol>[] = [
  { id: 'symbol', title: 'Symbol', by: ({ symbol }) => symbol, cell: ({ symbol }) => <OptionsLink symbol={symbol}>{symbol}</OptionsLink> },
  ...MODE_NAMES.map(
    (name): Column<RankedSymbol> => ({
      ...{ id: name, title: MODES[name].name, hint: `${MODES[name].about}: when it was ranked` },
      by: ({ rankings }) => rankings.find(({ mode }) => mode === name)?.run_at ?? null,
      cell: ({ rankings }) => <Moment at={rankings.find(({ mode }) => mode === name)?.run_at} />,
    }),
  ),
  {
    id: 'iv',
    title: 'IV',
    hint: 'At the money in 30 days, a year',
    align: 'right',
    by: ({ atm_iv }) => atm_iv,
    cell: ({ atm_iv }) => share(atm_iv === null ? null : atm_iv * 100),
  },
  {
    id: 'iv_rank',
    title: 'IV rank',
    hint: 'From 20 sessions on',
    align: 'right',
    by: ({ iv_rank }) => iv_rank,
    cell: ({ iv_rank }) => decimal(iv_rank, 1),
  },
  { id: 'held', title: 'Held', by: ({ held }) => (held ? 0 : 1), cell: ({ held }) => (held ? 'held' : '–') },
  { id: 'data', title: 'Data', cell: ({ simulated, rankings }) => (rankings.length === 0 ? '–' : simulated ? <Simulated when /> : 'real') },
];

/** Symbols whose options somebody may want to see: those that are ranked, then those that are held. */
export function Chooser() {
  usePageTitle('Options');
  const query = useRankedSymbols();
  return (
    <div className="page options">
      <div className="page-head">
        <h1>Options</h1>
        <span className="dim">Each contract of a symbol with a rank from 0 to 100, and why</span>
        <span className="grow" />
        <Another />
      </div>
      <Panel title="Symbols">
        <Loaded query={query}>
          {({ symbols }) =>
            symbols.length === 0 ? (
              <Empty title="No symbol is ranked or held yet">Type one above, such as AAPL: its options are ranked at once.</Empty>
            ) : (
              <Table
                name="Symbols with options"
                columns={COLUMNS}
                rows={symbols.toSorted(order)}
                rowKey={({ symbol }) => symbol}
                height={720}
              />
            )
          }
        </Loaded>
      </Panel>
    </div>
  );
}

/** Newest ranking first, then what is held. */
function order(one: RankedSymbol, other: RankedSymbol): number {
  const [a, b] = [newest(one) ?? '', newest(other) ?? ''];
  return a === b ? one.symbol.localeCompare(other.symbol) : a < b ? 1 : -1;
}

function Another() {
  const [text, setText] = useState('');
  const navigate = useNavigate();
  const symbol = text.trim().toUpperCase();
  function submit(event: FormEvent): void {
    event.preventDefault();
    if (symbol !== '') void navigate({ to: '/options/$symbol', params: { symbol }, state: { ask: true } });
  }
  return (
    <form className="fields" onSubmit={submit}>
      <TextInput
        size="xs"
        w={130}
        aria-label="Another symbol"
        placeholder="another symbol"
        value={text}
        onChange={({ currentTarget }) => setText(currentTarget.value)}
      />
      <Button size="xs" type="submit" variant="default" disabled={symbol === ''}>
        Show
      </Button>
    </form>
  );
}
