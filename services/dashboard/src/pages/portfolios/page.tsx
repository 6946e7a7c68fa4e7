import { useInfiniteQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { answer, api, type Schemas } from '../../data/client.ts';
import { may, useMe } from '../../data/session.ts';
import { count } from '../../format/numbers.ts';
import { age, wait } from '../../format/times.ts';
import { More } from '../../parts/more.tsx';
import { Panel } from '../../parts/panel.tsx';
import { SignUserIn } from '../../parts/sign-user-in.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { usePageTitle } from '../../parts/title.ts';
import { FreshMark, Hint, Moment } from '../../parts/words.tsx';

type User = Schemas['User'];

const useUsers = () =>
  useInfiniteQuery({
    queryKey: ['users'],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) =>
      answer(api.GET('/v1/users', { params: { query: { limit: 200, ...(pageParam !== undefined && { cursor: pageParam }) } }, signal })),
    getNextPageParam: ({ next }) => next ?? undefined,
  });

const total = ({ prices: { fresh, outdated, stale, missing } }: User): number => fresh + outdated + stale + missing;
/** The worst that its symbols are. */
const worst = ({ prices: { stale, missing, outdated } }: User) =>
  missing > 0 ? 'missing' : stale > 0 ? 'stale' : outdated > 0 ? 'outdated' : 'fresh';

const USER: Column<{ user: string }> = {
  id: 'user',
  title: 'User',
  by: ({ user }) => user,
  cell: ({ user }) => (
    <Link to="/portfolios/$user" params={{ user }}>
      {user}
    </Link>
  ),
};
const COLUMNS: Column<User>[] = [
  USER,
  { id: 'held', title: 'Holds', align: 'right', by: ({ held }) => held, cell: ({ held }) => count(held) },
  { id: 'watched', title: 'Watches', align: 'right', by: ({ watched }) => watched, cell: ({ watched }) => count(watched) },
  {
    id: 'fresh',
    title: 'Fresh',
    hint: 'Symbols with a fresh price, of those held and watched',
    by: (row) => (total(row) === 0 ? null : row.prices.fresh / total(row)),
    cell: (row) => <Fresh user={row} />,
  },
  { id: 'state', title: 'Worst', cell: (row) => (total(row) === 0 ? '–' : <FreshMark state={worst(row)} />) },
  {
    id: 'oldest',
    title: 'Oldest price',
    align: 'right',
    by: ({ oldest_price_minutes: minutes }) => minutes,
    cell: ({ oldest_price_minutes: minutes }) => age(minutes === null ? null : minutes * 60),
  },
  {
    id: 'login',
    title: 'Last login',
    align: 'right',
    by: ({ last_login }) => last_login?.at ?? null,
    cell: ({ last_login }) => <Moment at={last_login?.at} />,
  },
  {
    id: 'took',
    title: 'To fresh',
    hint: 'From the last login until all was fresh',
    align: 'right',
    by: ({ last_login }) => last_login?.seconds_to_fresh ?? null,
    cell: ({ last_login }) => wait(last_login?.seconds_to_fresh),
  },
  { id: 'act', title: 'Report a login', cell: ({ user }) => <SignUserIn user={user} /> },
];

function Fresh({ user }: { user: User }) {
  const { fresh, outdated, stale, missing } = user.prices;
  const all = total(user);
  return (
    <Hint text={`${fresh} fresh, ${outdated} outdated (the sources have nothing newer), ${stale} stale, ${missing} missing`}>
      <span className="bar" aria-hidden="true">
        <span style={{ width: `${(100 * fresh) / Math.max(1, all)}%` }} />
      </span>
      {fresh}/{all}
    </Hint>
  );
}

/** All users, the stalest first: who would find old prices now. A key of some users sees these. */
export default function PortfoliosPage() {
  usePageTitle('Portfolios');
  const { data: me } = useMe();
  return (
    <div className="page">
      <div className="page-head">
        <h1>Portfolios</h1>
      </div>
      {me && !may(me, 'read') ? <OwnUsers users={me.users} /> : <AllUsers />}
    </div>
  );
}

function OwnUsers({ users }: { users: readonly string[] }) {
  return (
    <Panel title="Your portfolios">
      <Table
        name="Your portfolios"
        columns={[USER, { id: 'act', title: 'Report a login', cell: ({ user }) => <SignUserIn user={user} /> }]}
        rows={users.map((user) => ({ user }))}
        rowKey={({ user }) => user}
      />
    </Panel>
  );
}

function AllUsers() {
  const query = useUsers();
  return (
    <Panel title="Users">
      <Loaded query={query}>
        {({ pages }) => {
          const users = pages.flatMap((page) => page.users);
          return users.length === 0 ? (
            <Empty title="No portfolio yet">
              <code>npx stockmesh portfolio import holdings.csv</code> takes a file with user, symbol, quantity, cost.
            </Empty>
          ) : (
            <Table name="Users" columns={COLUMNS} rows={users} rowKey={({ user }) => user} sort={{ id: 'fresh' }} height="75vh" />
          );
        }}
      </Loaded>
      <More query={query} />
    </Panel>
  );
}
