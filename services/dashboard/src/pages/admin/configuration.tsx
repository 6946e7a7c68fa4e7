import { TextInput } from '@mantine/core';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { lacks, may, useMe } from '../../data/session.ts';
import { Panel } from '../../parts/panel.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { useConfiguration } from './queries.ts';

interface Key {
  key: string;
  value: unknown;
  origin: string;
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

const COLUMNS: readonly Column<Key>[] = [
  { id: 'key', title: 'Key', by: ({ key }) => key, cell: ({ key }) => <code>{key}</code> },
  {
    id: 'value',
    title: 'Value',
    grow: true,
    cell: ({ value }) => (
      <span className="value" title={textOf(value)}>
        {textOf(value)}
      </span>
    ),
  },
  { id: 'origin', title: 'Where it comes from', by: ({ origin }) => origin, cell: ({ origin }) => origin },
];

/** What the gateway runs with. Secrets are not shown. */
export function Configuration() {
  const { data: me } = useMe();
  const { text = '' } = useSearch({ strict: false }) as { text?: string };
  const navigate = useNavigate();
  const isAllowed = may(me, 'admin');
  const query = useConfiguration(isAllowed);
  const field = (
    <TextInput
      size="xs"
      aria-label="Search in keys, values and origins"
      placeholder="search"
      value={text}
      onChange={({ currentTarget: { value } }) => void navigate({ to: '.', search: value === '' ? {} : { text: value }, replace: true })}
    />
  );
  return (
    <Panel title="Configuration in force" aside={field}>
      {!isAllowed ? (
        <Empty title="Not for this key">{lacks('admin')}</Empty>
      ) : (
        <Loaded query={query}>
          {({ keys, warnings }) => {
            const found = keys.filter(({ key, value, origin }) =>
              `${key} ${textOf(value)} ${origin}`.toLowerCase().includes(text.toLowerCase()),
            );
            return (
              <>
                {warnings.map((warning) => (
                  <p key={warning} className="stale-line">
                    {warning}
                  </p>
                ))}
                {found.length === 0 ? (
                  <Empty title={`No key, value or origin has “${text}”`} />
                ) : (
                  <Table name="Configuration" columns={COLUMNS} rows={found} rowKey={({ key }) => key} sort={{ id: 'key' }} height="70vh" />
                )}
              </>
            );
          }}
        </Loaded>
      )}
    </Panel>
  );
}
