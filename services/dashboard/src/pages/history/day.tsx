import { Button, Modal } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { bytes, exact } from '../../format/numbers.ts';
import { Facts } from '../../parts/panel.tsx';
import { Loaded } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { Copy, Moment } from '../../parts/words.tsx';
import { dayText } from './dataset.ts';
import { type Day, useObject } from './queries.ts';
import { DAY_STATES, hasRows } from './states.ts';

/** One day: its state with the reason, and what its file holds. It stands in the page when it is closed too: only so does the focus return to the day. */
export function DayDialog({ day, close }: { day: Day | undefined; close: () => void }) {
  return (
    <Modal
      opened={day !== undefined}
      onClose={close}
      size="xl"
      title={day && dayText(day.date)}
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      {day && <About day={day} />}
    </Modal>
  );
}

function About({ day: { state, rows, reason, key } }: { day: Day }) {
  const { letter, word, about } = DAY_STATES[state];
  return (
    <div className="stack">
      <p>
        <span className="day" data-state={state} aria-hidden="true">
          {letter}
        </span>{' '}
        <strong>{word}</strong>
        {rows !== null && `, ${exact(rows)} rows`}. {about}.
      </p>
      {reason !== null && <p className="reason">{reason}</p>}
      {key !== null && hasRows(state) && <StoredObject objectKey={key} />}
      {key !== null && !hasRows(state) && (
        <p className="dim">
          Its object would be <code>{key}</code>
        </p>
      )}
    </div>
  );
}

/** At first, and on request. */
const FEW = 10;
const MANY = 100;

function StoredObject({ objectKey }: { objectKey: string }) {
  const [rows, setRows] = useState(FEW);
  const query = useObject(objectKey, rows);
  return (
    <Loaded query={query}>
      {(object) => (
        <div className="stack">
          <Facts
            of={[
              [
                'Object',
                <span key="key">
                  <code>{object.key}</code> <Copy text={object.key} name="the key" />
                </span>,
              ],
              ['Rows', exact(object.rows)],
              ['Size', bytes(object.bytes)],
              [
                'Source',
                <span key="source">
                  {object.source} ({object.source_version}), asked <Moment at={object.as_of} />
                </span>,
              ],
              ['Odd rows', odd(object.quality)],
              [
                'Made by',
                <Link key="job" to="/jobs/$id" params={{ id: object.job_id }}>
                  its job
                </Link>,
              ],
            ]}
          />
          <span className="fields">
            <Button size="xs" variant="default" component="a" href={`/v1/history/objects/${encodeURIComponent(object.key)}/data`} download>
              Download the Parquet file
            </Button>
            {rows < MANY && object.rows > FEW && (
              <Button size="xs" variant="default" onClick={() => setRows(MANY)}>
                Show {MANY} rows
              </Button>
            )}
          </span>
          <FirstRows columns={object.columns} rows={object.first_rows} />
          <details>
            <summary>Schema: {object.columns.length} columns</summary>
            <table className="table">
              <thead>
                <tr>
                  <th scope="col">Column</th>
                  <th scope="col">Type</th>
                </tr>
              </thead>
              <tbody>
                {object.columns.map(({ name, type }) => (
                  <tr key={name}>
                    <td>
                      <code>{name}</code>
                    </td>
                    <td>{type}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </details>
        </div>
      )}
    </Loaded>
  );
}

function odd({ crossed, zero_bids, outside_session, odd_bids }: Record<'crossed' | 'zero_bids' | 'outside_session' | 'odd_bids', number>) {
  const found = [
    [crossed, 'crossed'],
    [zero_bids, 'with a bid of zero'],
    [outside_session, 'outside of the session'],
    [odd_bids, 'with a bid far from the close'],
  ].filter(([rows]) => rows !== 0);
  return found.length === 0 ? 'none' : found.map(([rows, what]) => `${exact(rows as number)} ${what}`).join(', ');
}

type Row = Record<string, string | number | null>;

function FirstRows({ columns, rows }: { columns: readonly { name: string; type: string }[]; rows: readonly Row[] }) {
  const numbered = rows.map((row, index) => ({ row, index }));
  const shown: Column<(typeof numbered)[number]>[] = columns.map(({ name }) => ({
    id: name,
    title: name,
    ...(rows.some((row) => typeof row[name] === 'number') && { align: 'right' as const }),
    cell: ({ row }) => row[name] ?? '–',
  }));
  return <Table name="First rows of the object" columns={shown} rows={numbered} rowKey={({ index }) => String(index)} height={320} />;
}
