import { TextInput } from '@mantine/core';
import { useState } from 'react';
import { lacks, may, useMe } from '../../data/session.ts';
import { count } from '../../format/numbers.ts';
import { Panel } from '../../parts/panel.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { Mark, Moment } from '../../parts/words.tsx';
import { Confirm } from './confirm.tsx';
import {
  changed,
  type Notification,
  type NotificationRoute,
  type StoppedAddress,
  tryRoute,
  useNotificationRoutes,
  useNotifications,
} from './queries.ts';

/** Who is told of what, and what people were told lately. */
export function Messages() {
  const { data: me } = useMe();
  const isAllowed = may(me, 'admin');
  const routes = useNotificationRoutes(isAllowed);
  const messages = useNotifications(isAllowed);
  if (!isAllowed)
    return (
      <Panel title="Messages">
        <Empty title="Not for this key">{lacks('admin')}</Empty>
      </Panel>
    );
  return (
    <>
      <Panel title="Routes">
        <Loaded query={routes}>
          {({ routes: rows }) =>
            rows.length === 0 ? (
              <Empty title="Nobody is told of anything">
                Routes stand in <code>notify.routes</code> of the configuration: an address, and the events that are told there.
              </Empty>
            ) : (
              <Table name="Routes" columns={ROUTES} rows={rows} rowKey={({ name }) => name} />
            )
          }
        </Loaded>
      </Panel>
      <Panel title="Last messages">
        <Loaded query={messages}>
          {({ messages: rows }) =>
            rows.length === 0 ? (
              <Empty title="Nobody was told of anything yet" />
            ) : (
              <Table name="Last messages" columns={MESSAGES} rows={rows} rowKey={({ id }) => id} />
            )
          }
        </Loaded>
      </Panel>
      {messages.data !== undefined && messages.data.stopped.length > 0 && (
        <Panel title="Not written to any more">
          <Table
            name="Not written to any more"
            columns={STOPS}
            rows={messages.data.stopped}
            rowKey={({ stopped_at, address }) => `${stopped_at} ${address}`}
          />
          <p className="panel-body dim">
            A mail server said for good that nothing arrives there. <code>npx stockmesh notify resume ADDRESS</code> writes there again.
          </p>
        </Panel>
      )}
    </>
  );
}

const ROUTES: readonly Column<NotificationRoute>[] = [
  { id: 'name', title: 'Route', cell: ({ name }) => name },
  { id: 'on', title: 'Of what', grow: true, cell: ({ on }) => on.join(', ') },
  { id: 'severity', title: 'From', cell: ({ min_severity }) => min_severity },
  { id: 'to', title: 'Who is told', cell: ({ to }) => to.join(', ') },
  { id: 'when', title: 'When', cell: (row) => whenOf(row) },
  { id: 'test', title: 'By hand', align: 'right', cell: (row) => <TestRoute route={row} /> },
];

function whenOf({ wait_s, repeat_s, quiet }: NotificationRoute): string {
  const parts = [
    wait_s === 0 ? 'at once' : `after ${count(wait_s)} s`,
    repeat_s === null ? undefined : `again every ${count(repeat_s)} s`,
    quiet === null ? undefined : `quiet ${quiet}`,
  ];
  return parts.filter((part) => part !== undefined).join(', ');
}

/** A test of a route: what became of it stands in the dialog. */
function TestRoute({ route: { name, to, asks_for_user } }: { route: NotificationRoute }) {
  const [user, setUser] = useState('');
  return (
    <Confirm
      name="Send a test"
      about={name}
      title={`Send a test by “${name}”`}
      right="admin"
      run={() => tryRoute(name, asks_for_user ? user.trim() : undefined).finally(() => void changed('notifications'))}
      result={(messages) => <Outcome messages={messages} />}
    >
      <p>A message that says that nothing is wrong goes to {asks_for_user ? 'this user' : to.join(', ')}, now, also in quiet hours.</p>
      {asks_for_user && <TextInput label="User" value={user} onChange={({ currentTarget: { value } }) => setUser(value)} />}
    </Confirm>
  );
}

function Outcome({ messages }: { messages: readonly Notification[] }) {
  if (messages.length === 0)
    return (
      <p>
        Nobody was told yet. Is a notifier running? <code>npx stockmesh service notifier</code> starts one; the message is sent then. Where
        one runs, each receiver has ended messages of this kind: <code>npx stockmesh notify subscribe USER notify.test</code> undoes that.
      </p>
    );
  return messages.map(({ id, recipient, state, reason }) => (
    <p key={id}>
      {recipient}: <Mark {...STATES[state]}>{WORDS[state]}</Mark>
      {reason !== null && ` ${reason}`}
    </p>
  ));
}

const STATES: Record<Notification['state'], { tone: string; mark: string }> = {
  open: { tone: 'calm', mark: '○' },
  sending: { tone: 'busy', mark: '◐' },
  sent: { tone: 'good', mark: '✓' },
  failed: { tone: 'bad', mark: '✕' },
  suppressed: { tone: 'warn', mark: '⊘' },
  bounced: { tone: 'bad', mark: '↩' },
};
const WORDS: Record<Notification['state'], string> = {
  open: 'waits',
  sending: 'is tried',
  sent: 'sent',
  failed: 'failed',
  suppressed: 'not sent',
  bounced: 'came back',
};

const MESSAGES: readonly Column<Notification>[] = [
  { id: 'at', title: 'When', cell: ({ at }) => <Moment at={at} /> },
  { id: 'route', title: 'Route', cell: ({ route }) => route },
  { id: 'to', title: 'To', cell: ({ recipient }) => recipient },
  {
    id: 'event',
    title: 'Of what',
    cell: ({ event, events }) => `${event ?? 'events that were deleted'}${events > 1 ? ` and ${count(events - 1)} more` : ''}`,
  },
  {
    id: 'state',
    title: 'State',
    cell: ({ state, attempts }) => (
      <>
        <Mark {...STATES[state]}>{WORDS[state]}</Mark>
        {attempts > 1 && ` after ${count(attempts)} tries`}
      </>
    ),
  },
  { id: 'reason', title: 'Reason', grow: true, cell: ({ reason, code }) => <Reason reason={reason} code={code} /> },
];

const STOPS: readonly Column<StoppedAddress>[] = [
  { id: 'at', title: 'Since', cell: ({ stopped_at }) => <Moment at={stopped_at} /> },
  { id: 'to', title: 'Address', cell: ({ address }) => address },
  { id: 'reason', title: 'Reason', grow: true, cell: ({ reason, code }) => <Reason reason={reason} code={code} /> },
];

/** With the code of the mail server, where its words do not have it. */
function Reason({ reason, code }: { reason: string | null; code: string | null }) {
  const text = code === null || reason?.includes(code) ? reason : `${code}: ${reason}`;
  return <span title={text ?? undefined}>{text ?? '–'}</span>;
}
