import { Link, Navigate } from '@tanstack/react-router';
import { may, useMe } from '../../data/session.ts';
import { More } from '../../parts/more.tsx';
import { Panel } from '../../parts/panel.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { usePageTitle } from '../../parts/title.ts';
import { Mark, Moment, Simulated } from '../../parts/words.tsx';
import { type PicksUser, usePicksUsers } from './queries.ts';
import { SpendPanel } from './spend.tsx';
import { MADE_BY } from './words.ts';
import './picks.css';

/** For operators everybody's newest report; a key of a user is led to its own. */
export default function PicksUsersPage() {
  usePageTitle('Picks');
  const { data: me } = useMe();
  const [only, ...others] = me?.users ?? [];
  if (may(me, 'read')) return <Users />;
  if (only !== undefined && others.length === 0) return <Navigate to="/picks/$user" params={{ user: only }} replace />;
  return (
    <div className="page">
      <h1>Weekly picks</h1>
      <Panel title="Reports that this key may see">
        <ul>
          {me?.users.map((user) => (
            <li key={user}>
              <Link to="/picks/$user" params={{ user }}>
                {user}
              </Link>
            </li>
          ))}
        </ul>
      </Panel>
    </div>
  );
}

const columns = (thisWeek: string): Column<PicksUser>[] => [
  {
    id: 'user',
    title: 'User',
    by: ({ user }) => user,
    cell: ({ user }) => (
      <Link to="/picks/$user" params={{ user }}>
        {user}
      </Link>
    ),
  },
  {
    id: 'week',
    title: 'Newest report',
    by: ({ newest }) => newest?.week_of ?? null,
    cell: ({ newest }) =>
      newest === null ? (
        <Mark tone="calm" mark="○">
          none yet
        </Mark>
      ) : newest.week_of === thisWeek ? (
        <Mark tone="good" mark="●">
          this week, version {newest.version}
        </Mark>
      ) : (
        <Mark tone="warn" mark="◔">
          week of {newest.week_of}
        </Mark>
      ),
  },
  {
    id: 'made',
    title: 'Words',
    by: ({ newest }) => newest?.source ?? null,
    cell: ({ newest }) => (newest === null ? '–' : <span title={MADE_BY[newest.source].about}>{MADE_BY[newest.source].word}</span>),
  },
  { id: 'picks', title: 'Picks', cell: ({ newest }) => newest?.tickers.join(', ') ?? '–' },
  {
    id: 'data',
    title: 'Prices of',
    align: 'right',
    by: ({ newest }) => newest?.data_date ?? null,
    cell: ({ newest }) => (
      <>
        <Simulated when={newest?.simulated ?? false} /> {newest?.data_date ?? '–'}
      </>
    ),
  },
  {
    id: 'at',
    title: 'Made',
    align: 'right',
    by: ({ newest }) => newest?.generated_at ?? null,
    cell: ({ newest }) => <Moment at={newest?.generated_at} />,
  },
];

function Users() {
  const query = usePicksUsers();
  return (
    <div className="page">
      <div className="page-head">
        <h1>Weekly picks</h1>
        <span className="dim">A report for each user, each Monday before the session. Not investment advice.</span>
      </div>
      <Panel title="Users">
        <Loaded query={query}>
          {({ pages }) => {
            const users = pages.flatMap((page) => page.users);
            return users.length === 0 ? (
              <Empty title="Nobody gets a report yet">
                Who has a profile, holds or watches something, or has signed in gets one: <code>npx stockmesh picks make alice</code>
              </Empty>
            ) : (
              <Table
                name="Users with their newest report"
                columns={columns(pages[0]?.this_week ?? '')}
                rows={users}
                rowKey={({ user }) => user}
                sort={{ id: 'user' }}
                height="60vh"
              />
            );
          }}
        </Loaded>
        <More query={query} />
      </Panel>
      <SpendPanel />
    </div>
  );
}
