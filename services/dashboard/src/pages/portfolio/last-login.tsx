import { Link } from '@tanstack/react-router';
import type { Schemas } from '../../data/client.ts';
import { Panel } from '../../parts/panel.tsx';
import { StopWatch, useLogins } from '../../parts/sign-user-in.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { Mark, Moment, StateMark, SymbolLink } from '../../parts/words.tsx';

type Decision = Schemas['LoginDecision'];

const OUTCOMES: Record<Decision['outcome'], { tone: string; mark: string; word: string }> = {
  queued: { tone: 'busy', mark: '+', word: 'queued' },
  joined: { tone: 'calm', mark: '=', word: 'already on its way' },
  fresh: { tone: 'good', mark: '●', word: 'was fresh' },
  outdated: { tone: 'calm', mark: '◑', word: 'nothing newer' },
  missing: { tone: 'warn', mark: '○', word: 'no source has it' },
  unknown: { tone: 'warn', mark: '?', word: 'source failed lately' },
  refused: { tone: 'bad', mark: '✕', word: 'refused' },
};

const COLUMNS: Column<Decision>[] = [
  {
    id: 'symbol',
    title: 'Symbol',
    by: ({ symbol }) => symbol,
    cell: ({ symbol }) => <SymbolLink symbol={symbol} />,
  },
  {
    id: 'outcome',
    title: 'Decision',
    by: ({ outcome }) => outcome,
    cell: ({ outcome }) => {
      const { word, ...mark } = OUTCOMES[outcome];
      return <Mark {...mark}>{word}</Mark>;
    },
  },
  {
    id: 'jobs',
    title: 'Jobs',
    cell: ({ jobs }) => (
      <span className="running">
        {jobs.map(({ id, type, state }) => (
          <span key={id}>
            <Link to="/jobs/$id" params={{ id }}>
              {type}
            </Link>{' '}
            {state === null ? 'not kept' : <StateMark state={state} />}{' '}
          </span>
        ))}
      </span>
    ),
  },
  { id: 'reason', title: 'Reason', grow: true, cell: ({ reason }) => <span title={reason ?? undefined}>{reason}</span> },
];

/** What the last login asked for, symbol by symbol, and how long it took. */
export function LastLogin({ user }: { user: string }) {
  const query = useLogins(user);
  const login = query.data?.logins[0];
  return (
    <Panel
      title="Last login"
      aside={
        login && (
          <span>
            <Moment at={login.at} /> · <StopWatch login={login} />
          </span>
        )
      }
    >
      <Loaded query={query}>
        {() =>
          login === undefined ? (
            <Empty title="No login yet">Press “Sign {user} in”: the symbols that are not fresh are fetched at once.</Empty>
          ) : (
            <Table
              name="Decisions of the last login"
              columns={COLUMNS}
              rows={login.decisions}
              rowKey={({ symbol }) => symbol}
              height={420}
            />
          )
        }
      </Loaded>
    </Panel>
  );
}
