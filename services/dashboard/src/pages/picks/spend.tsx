import { Link } from '@tanstack/react-router';
import { Panel } from '../../parts/panel.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { Mark, Moment } from '../../parts/words.tsx';
import { type Spend, useSpend } from './queries.ts';
import { dollars } from './words.ts';

type Call = Spend['calls'][number];

const STATES: Record<Call['state'], { tone: string; mark: string; word: string }> = {
  reserved: { tone: 'calm', mark: '○', word: 'reserved' },
  sent: { tone: 'busy', mark: '▶', word: 'sent' },
  answered: { tone: 'busy', mark: '◑', word: 'answered' },
  settled: { tone: 'good', mark: '✓', word: 'settled' },
  released: { tone: 'calm', mark: '⊘', word: 'not run' },
  unknown: { tone: 'warn', mark: '?', word: 'unknown: counts as paid' },
};

const columns = (withUser: boolean): Column<Call>[] => [
  { id: 'at', title: 'When', cell: ({ reserved_at }) => <Moment at={reserved_at} /> },
  ...(withUser
    ? [
        {
          id: 'user',
          title: 'For',
          cell: ({ user }: Call) =>
            user === null ? (
              '–'
            ) : (
              <Link to="/picks/$user" params={{ user }}>
                {user}
              </Link>
            ),
        },
      ]
    : []),
  { id: 'state', title: 'State', cell: ({ state }) => <Mark {...STATES[state]}>{STATES[state].word}</Mark> },
  { id: 'cost', title: 'Cost', align: 'right', cell: ({ cost_usd }) => dollars(cost_usd) },
  { id: 'reserved', title: 'At most', align: 'right', cell: ({ reserved_usd }) => dollars(reserved_usd) },
  { id: 'model', title: 'Model', cell: ({ model }) => model },
  { id: 'error', title: 'Error', grow: true, cell: ({ error }) => <span title={error ?? undefined}>{error}</span> },
];

/** What the words of reports cost: of one user, or of all. The caps are seen by keys that see all users. */
export function SpendPanel({ user }: { user?: string }) {
  const query = useSpend(user);
  return (
    <Panel title="Spend" {...(query.data && { aside: <Caps totals={query.data.totals} /> })}>
      <Loaded query={query} lines={2}>
        {({ calls }) =>
          calls.length === 0 ? (
            <Empty title="Nothing was paid for">Reports without a language model cost nothing.</Empty>
          ) : (
            <Table name="Paid calls" columns={columns(user === undefined)} rows={calls} rowKey={({ id }) => String(id)} height={320} />
          )
        }
      </Loaded>
    </Panel>
  );
}

/** What is left of the caps of picks; undefined for a key that does not see them. */
export function leftOf({ totals }: Pick<Spend, 'totals'>): number | undefined {
  const own = totals.filter(({ purpose }) => purpose === 'picks');
  return own.length === 0 ? undefined : Math.max(0, Math.min(...own.map(({ cap_usd, spent_usd }) => cap_usd - spent_usd)));
}

function Caps({ totals }: Pick<Spend, 'totals'>) {
  const own = totals.filter(({ purpose }) => purpose === 'picks');
  if (own.length === 0) return null;
  return (
    <span className="dim">
      {own
        .map(({ window, spent_usd, cap_usd }) => `${window === 'day' ? 'today' : 'this week'} ${dollars(spent_usd)} of ${dollars(cap_usd)}`)
        .join(' · ')}
    </span>
  );
}
