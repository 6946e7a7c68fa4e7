import { Button } from '@mantine/core';
import { useState } from 'react';
import { answer, api } from '../../data/client.ts';
import { lacks, may, useMe } from '../../data/session.ts';
import { More } from '../../parts/more.tsx';
import { Panel } from '../../parts/panel.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { Mark, Moment } from '../../parts/words.tsx';
import { Confirm } from './confirm.tsx';
import { LastChange } from './last-change.tsx';
import { NewKey } from './new-key.tsx';
import { type ApiKey, changed, useKeys } from './queries.ts';
import { Secret } from './secret.tsx';

const STATES: Record<ApiKey['state'], { tone: string; mark: string }> = {
  'in force': { tone: 'good', mark: '●' },
  expired: { tone: 'warn', mark: '⌛' },
  revoked: { tone: 'calm', mark: '⊘' },
};

/** Who may speak to the API. */
export function Keys() {
  const { data: me } = useMe();
  const isAllowed = may(me, 'admin');
  const [isMaking, setMaking] = useState(false);
  const query = useKeys(isAllowed);
  const make = (
    <>
      <LastChange action="key.create" words="Last made" />
      <Button
        size="xs"
        variant="default"
        disabled={!isAllowed}
        title={isAllowed ? undefined : lacks('admin')}
        onClick={() => setMaking(true)}
      >
        New key …
      </Button>
    </>
  );
  return (
    <Panel title="Keys" aside={make}>
      {!isAllowed ? (
        <Empty title="Not for this key">{lacks('admin')}</Empty>
      ) : (
        <Loaded query={query}>
          {({ pages }) => (
            <>
              <Table name="Keys" columns={COLUMNS} rows={pages.flatMap(({ keys }) => keys)} rowKey={({ id }) => id} />
              <More query={query}>Show older ones</More>
            </>
          )}
        </Loaded>
      )}
      {isMaking && <NewKey close={() => setMaking(false)} />}
    </Panel>
  );
}

const COLUMNS: readonly Column<ApiKey>[] = [
  { id: 'name', title: 'Key', grow: true, cell: ({ name, id }) => <span title={id}>{name}</span> },
  { id: 'state', title: 'State', cell: ({ state }) => <Mark {...STATES[state]}>{state}</Mark> },
  {
    id: 'scopes',
    title: 'Scopes',
    cell: ({ scopes }) => (
      <span className="chips">
        {scopes.slice(0, 4).map((scope) => (
          <span key={scope} className="chip">
            {scope}
          </span>
        ))}
        {scopes.length > 4 && <span title={scopes.join('\n')}>+{scopes.length - 4}</span>}
      </span>
    ),
  },
  { id: 'made', title: 'Made', align: 'right', cell: ({ created_at }) => <Moment at={created_at} /> },
  { id: 'used', title: 'Last used', align: 'right', cell: ({ last_used_at }) => <Moment at={last_used_at} /> },
  { id: 'end', title: 'Ends', align: 'right', cell: ({ expires_at, revoked_at }) => <Moment at={revoked_at ?? expires_at} /> },
  { id: 'change', title: 'Change', align: 'right', cell: (row) => <Changes row={row} /> },
];

function Changes({ row: { id, name, state } }: { row: ApiKey }) {
  const { data: me } = useMe();
  const path = { params: { path: { id } } };
  const why = state === 'in force' ? undefined : `It is ${state}.`;
  const isOwn = me?.key.id === id;
  return (
    <span className="chips" style={{ justifyContent: 'flex-end' }}>
      <Confirm
        name="New secret"
        about={name}
        title={`New secret for “${name}”`}
        right="admin"
        why={why}
        run={() => answer(api.POST('/v1/keys/{id}/rotate', { ...path, body: {} })).finally(() => void changed('keys'))}
        result={({ key, signing_secret, old_until }) => (
          <>
            <p>
              The old secret {old_until === null ? 'works no more' : 'works until '}
              {old_until !== null && <Moment at={old_until} />}. These are shown this once:
            </p>
            <Secret name="Key" text={key} />
            <Secret name="Webhook secret" text={signing_secret} />
          </>
        )}
      >
        <p>
          The key gets a new secret, and its webhooks too. The old ones go on working for a while (
          <code>gateway.keys.rotation_overlap</code>).
        </p>
      </Confirm>
      <Confirm
        name="Revoke"
        about={name}
        title={`Revoke “${name}”`}
        right="admin"
        why={why}
        run={() => answer(api.POST('/v1/keys/{id}/revoke', { ...path, body: null })).then(() => changed('keys'))}
      >
        <p>
          Every gateway refuses it within a second and ends its event streams within two. This cannot be taken back.
          {isOwn && <strong> It is the key that you are signed in with: you will be signed out.</strong>}
        </p>
      </Confirm>
    </span>
  );
}
