import { Button } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { lacks, may, useMe } from '../../data/session.ts';
import { money, moneyChange, plain, price, share } from '../../format/numbers.ts';
import { Panel } from '../../parts/panel.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { Change, Moment, Simulated } from '../../parts/words.tsx';
import type { Search } from './filters.ts';
import { PositionDialog, type Target } from './position-dialog.tsx';
import { type OptionPosition, usePositions, useUsers } from './queries.ts';
import { contractName, partsOf } from './words.ts';

interface PositionsProps {
  symbol: string;
  search: Search;
  change: (changes: Search) => void;
}

/** The option positions of a user in this symbol: what exit mode ranks. */
export function PositionsTab({ symbol, search, change }: PositionsProps) {
  const { data: me } = useMe();
  const seesAll = may(me, 'read');
  const { data: known = [] } = useUsers(seesAll);
  const users = seesAll ? known : (me?.users ?? []);
  const user = search.user ?? users[0] ?? '';
  const query = usePositions(user);
  const [target, setTarget] = useState<Target | undefined>(search.add === undefined ? undefined : { kind: 'add', contract: search.add });
  const mayChange = may(me, 'admin') || (me?.users.includes(user) ?? false);
  const own = query.data?.positions.filter((one) => isOf(symbol, one)) ?? [];
  const others = (query.data?.positions.length ?? 0) - own.length;
  const because = mayChange ? undefined : lacks('admin');
  return (
    <Panel
      title={user === '' ? 'Positions' : `Positions of ${user}`}
      aside={
        <>
          <Simulated when={own.some(({ simulated }) => simulated)} />
          <UserField users={users} user={user} change={change} />
          <Button
            size="xs"
            variant="default"
            disabled={!mayChange || user === '' || query.data === undefined}
            title={because}
            onClick={() => setTarget({ kind: 'add', contract: '' })}
          >
            Add …
          </Button>
        </>
      }
    >
      {user === '' ? (
        <Empty title="No user is known yet">
          A user is known after a login or with a portfolio. <Link to="/portfolios">Portfolios</Link>
        </Empty>
      ) : (
        <Loaded query={query}>
          {() =>
            own.length === 0 ? (
              <Empty title={`${user} holds no options of ${symbol}`}>Add one, and “Manage exit” ranks what to close.</Empty>
            ) : (
              <Table name={`Positions of ${user}`} columns={columnsOf(because, setTarget)} rows={own} rowKey={({ id }) => id} />
            )
          }
        </Loaded>
      )}
      {others > 0 && (
        <p className="more dim">{others === 1 ? 'One more position is' : `${others} more positions are`} in options of other symbols.</p>
      )}
      {target !== undefined && query.data !== undefined && (
        <PositionDialog
          key={JSON.stringify(target)}
          user={user}
          symbol={symbol}
          held={query.data}
          target={target}
          close={() => {
            setTarget(undefined);
            if (search.add !== undefined) change({ add: undefined });
          }}
          refetch={() => query.refetch()}
        />
      )}
    </Panel>
  );
}

/** Options of BRK.B have the root BRKB, adjusted ones a digit behind it, weekly ones of an index a W. */
function isOf(symbol: string, { contract }: OptionPosition): boolean {
  const root = symbol.replace(/^\^/, '').replaceAll(/[^A-Z0-9]/g, '');
  const own = partsOf(contract)?.root ?? '';
  return own === root || own === `${root}W` || (own.startsWith(root) && /^\d$/.test(own.slice(root.length)));
}

interface UserFieldProps {
  users: readonly string[];
  user: string;
  change: (changes: Search) => void;
}

function UserField({ users, user, change }: UserFieldProps) {
  if (users.length < 2) return null;
  const all = users.includes(user) ? users : [user, ...users];
  return (
    <label className="fields">
      <span className="dim">User</span>
      <select className="tab" value={user} onChange={({ currentTarget }) => change({ user: currentTarget.value })}>
        {all.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
    </label>
  );
}

function columnsOf(because: string | undefined, show: (target: Target) => void): Column<OptionPosition>[] {
  const number = (
    id: string,
    title: string,
    of: (row: OptionPosition) => number | null,
    text: (value: number | null) => string,
    hint?: string,
  ): Column<OptionPosition> => ({
    ...{ id, title, by: of, align: 'right', cell: (row) => text(of(row)) },
    ...(hint !== undefined && { hint }),
  });
  return [
    {
      id: 'contract',
      title: 'Contract',
      by: ({ contract }) => contract,
      cell: ({ contract }) => (
        <Link to="." search={(before: Search) => ({ ...before, tab: undefined, mode: 'exit', contract })} title={contract}>
          {contractName(contract)}
        </Link>
      ),
    },
    number('quantity', 'Contracts', ({ quantity }) => quantity, plain),
    number('entry', 'Entry', ({ entry_price }) => entry_price, price, 'Dollars a share'),
    number('mid', 'Now', ({ mid }) => mid, price, 'Between bid and ask in the newest ranking that has the contract'),
    { id: 'quoted', title: 'Quoted', cell: ({ quoted_at }) => <Moment at={quoted_at} /> },
    number('value', 'Value', ({ value }) => value, money, 'Dollars: 100 shares a contract'),
    {
      id: 'result',
      title: 'Result',
      align: 'right',
      by: ({ profit_pct }) => profit_pct,
      cell: ({ profit, profit_pct }) => (
        <span title={moneyChange(profit)}>
          <Change value={profit_pct} />
        </span>
      ),
    },
    number('target', 'Target', ({ target }) => target, price, 'Of the underlying'),
    number(
      'stop',
      'Stop',
      ({ stop }) => (stop === null ? null : stop * 100),
      (value) => share(value, 0),
      'Loss at which it is stopped',
    ),
    { id: 'opened', title: 'Opened', by: ({ opened_at }) => opened_at, cell: ({ opened_at }) => <Moment at={opened_at} /> },
    {
      id: 'change',
      title: 'Change',
      head: <span className="unseen">Change</span>,
      cell: ({ id, contract }) => (
        <span className="chips">
          <button
            type="button"
            className="copy"
            disabled={because !== undefined}
            title={because}
            aria-label={`Edit ${contractName(contract)}`}
            onClick={() => show({ kind: 'edit', id })}
          >
            edit
          </button>
          <button
            type="button"
            className="copy"
            disabled={because !== undefined}
            title={because}
            aria-label={`Remove ${contractName(contract)}`}
            onClick={() => show({ kind: 'remove', id })}
          >
            remove
          </button>
        </span>
      ),
    },
  ];
}
