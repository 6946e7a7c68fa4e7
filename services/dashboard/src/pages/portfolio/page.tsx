import { useParams } from '@tanstack/react-router';
import { ApiError } from '../../data/client.ts';
import { money, moneyChange, plain, price, share } from '../../format/numbers.ts';
import { ChoosableTable } from '../../parts/choosable-table.tsx';
import { Panel } from '../../parts/panel.tsx';
import { SignUserIn } from '../../parts/sign-user-in.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { usePageTitle } from '../../parts/title.ts';
import { Change, FreshMark, Mark, Simulated, SymbolLink } from '../../parts/words.tsx';
import { Import } from './import.tsx';
import { LastLogin } from './last-login.tsx';
import { type Portfolio, type Position, usePortfolio } from './queries.ts';

/** What one user holds and watches. */
export default function PortfolioPage() {
  const { user } = useParams({ strict: false }) as { user: string };
  usePageTitle(user);
  const query = usePortfolio(user);
  const isUnknown = query.error instanceof ApiError && query.error.code === 'user.unknown';
  return (
    <div className="page">
      <div className="page-head">
        <h1>{user}</h1>
        <Simulated when={query.data?.positions.some(({ simulated }) => simulated) ?? false} />
        <span className="grow" />
        <a href={`/v1/users/${encodeURIComponent(user)}/portfolio?format=csv`} download={`${user}.csv`}>
          Export as CSV
        </a>
        <SignUserIn user={user} />
      </div>
      {isUnknown ? (
        <Empty title="No holdings yet">Drop a CSV file with user, symbol, quantity, cost below.</Empty>
      ) : (
        <Loaded query={query}>{(portfolio) => <Holdings portfolio={portfolio} />}</Loaded>
      )}
      <LastLogin user={user} />
      <Import user={user} />
    </div>
  );
}

const COLUMNS: Column<Position>[] = [
  {
    id: 'symbol',
    title: 'Symbol',
    by: ({ symbol }) => symbol,
    cell: ({ symbol }) => <SymbolLink symbol={symbol} />,
  },
  {
    id: 'quantity',
    title: 'Quantity',
    align: 'right',
    by: ({ quantity }) => quantity,
    cell: ({ quantity }) => (quantity === 0 ? <span className="dim">watched</span> : plain(quantity)),
  },
  { id: 'cost', title: 'Cost', hint: 'Paid for one share', align: 'right', by: ({ cost }) => cost, cell: ({ cost }) => price(cost) },
  {
    id: 'close',
    title: 'Close',
    align: 'right',
    by: ({ close }) => close,
    cell: ({ close, currency }) => <span title={currency ?? undefined}>{price(close)}</span>,
  },
  {
    id: 'date',
    title: 'Of',
    hint: 'The day of that close',
    align: 'right',
    by: ({ newest_bar }) => newest_bar,
    cell: ({ newest_bar }) => newest_bar ?? '–',
  },
  {
    id: 'day',
    title: 'Day',
    hint: 'Since the close before',
    align: 'right',
    by: ({ day_change_pct }) => day_change_pct,
    cell: ({ day_change_pct }) => <Change value={day_change_pct} />,
  },
  {
    id: 'value',
    title: 'Value',
    align: 'right',
    by: ({ value }) => value,
    cell: ({ value, quantity }) => money(quantity === 0 ? null : value),
  },
  {
    id: 'weight',
    title: 'Weight',
    hint: 'Of all holdings in the same currency',
    align: 'right',
    by: ({ weight_pct }) => weight_pct,
    cell: ({ weight_pct }) => share(weight_pct),
  },
  {
    id: 'result',
    title: 'Result',
    hint: 'Value less what was paid',
    align: 'right',
    by: ({ profit_pct }) => profit_pct,
    cell: ({ profit_pct, profit }) => (
      <span title={moneyChange(profit)}>
        <Change value={profit_pct} />
      </span>
    ),
  },
  {
    id: 'fresh',
    title: 'Price is',
    by: ({ price: { state } }) => state,
    cell: ({ price: { state, reason } }) => <FreshMark state={state} reason={reason} />,
  },
  { id: 'signal', title: 'Signal', by: ({ signal }) => signal, cell: ({ signal }) => <Signal signal={signal} /> },
];

function Signal({ signal }: { signal: Position['signal'] }) {
  if (signal === null) return <>–</>;
  const [tone, mark] = { buy: ['good', '▲'], sell: ['bad', '▼'], hold: ['calm', '■'] }[signal] as [string, string];
  return (
    <Mark tone={tone} mark={mark}>
      {signal}
    </Mark>
  );
}

function Holdings({ portfolio: { positions, totals } }: { portfolio: Portfolio }) {
  const held = positions.filter(({ quantity }) => quantity !== 0);
  const watched = positions.filter(({ quantity }) => quantity === 0);
  const fresh = positions.filter(({ price: { state } }) => state === 'fresh').length;
  return (
    <div className="stack">
      <div className="tiles">
        {totals.map(({ currency, value, day_change, day_change_pct, profit, profit_pct }) => (
          <div key={currency} className="tile">
            <div className="tile-name">Value in {currency ?? 'an unknown currency'}</div>
            <div className="tile-value">{money(value)}</div>
            <div className="tile-note">
              day {moneyChange(day_change)} <Change value={day_change_pct} /> · result {moneyChange(profit)} <Change value={profit_pct} />
            </div>
          </div>
        ))}
        <div className="tile">
          <div className="tile-name">Fresh prices</div>
          <div className="tile-value" data-testid="fresh-count">
            {fresh}/{positions.length}
          </div>
          <div className="tile-note">
            {held.length} held, {watched.length} watched
          </div>
        </div>
      </div>
      <Panel title="Holdings">
        {held.length === 0 ? (
          <Empty title="Nothing is held" />
        ) : (
          <ChoosableTable
            name="Holdings"
            kept={['symbol']}
            columns={COLUMNS}
            rows={held}
            rowKey={({ symbol }) => symbol}
            sort={{ id: 'value', desc: true }}
          />
        )}
      </Panel>
      {watched.length > 0 && (
        <Panel title="Watched">
          <Table name="Watched" columns={COLUMNS} rows={watched} rowKey={({ symbol }) => symbol} sort={{ id: 'symbol' }} />
        </Panel>
      )}
    </div>
  );
}
