import type { ReactNode } from 'react';
import { bytes, count, exact } from '../../format/numbers.ts';
import { wait } from '../../format/times.ts';
import { Facts } from '../../parts/panel.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import type { Preview } from './queries.ts';

type Planned = Preview['objects'][number];

const EXPECTED: Record<Planned['expected'], string> = {
  download: 'new: downloaded',
  skipped: 'there: skipped',
  no_data: 'no data: skipped',
  not_yet: 'not there yet',
};

const COLUMNS: Column<Planned>[] = [
  { id: 'expected', title: 'Becomes', by: ({ expected }) => expected, cell: ({ expected }) => EXPECTED[expected] },
  { id: 'key', title: 'Object', by: ({ key }) => key, cell: ({ key }) => <code>{key}</code> },
  { id: 'days', title: 'Days', align: 'right', by: ({ days }) => days, cell: ({ days }) => days },
  { id: 'state', title: 'Is', by: ({ state }) => state, cell: ({ state }) => state.replaceAll('_', ' ') },
];

type Costs = Pick<Preview, 'source' | 'calls' | 'estimated_bytes' | 'estimated_seconds' | 'expected' | 'warnings'>;

/** Objects by what would become of them, and what that costs. */
export function Estimate({ of: { source, calls, estimated_bytes, estimated_seconds, expected, warnings } }: { of: Costs }) {
  const unknown = 'not known: none like these is stored yet';
  return (
    <>
      <Facts
        of={[
          [
            'Objects',
            <span key="objects" data-testid="objects">
              <strong>{exact(expected.download)} new</strong> · {exact(expected.skipped)} there · {exact(expected.no_data)} without data
              {expected.not_yet > 0 && ` · ${exact(expected.not_yet)} not there yet`}
            </span>,
          ],
          ['Calls', calls === null ? 'no source can give them' : `${exact(calls)} to ${source}`],
          ['Time', estimated_seconds === null ? unknown : `about ${wait(estimated_seconds)}`],
          ['Size', estimated_bytes === null ? unknown : `about ${bytes(estimated_bytes)}`],
        ]}
      />
      {warnings.map((text) => (
        <p key={text} className="reason">
          {text}
        </p>
      ))}
    </>
  );
}

/** What a download would do. `children`: the way on. */
export function DryRun({ preview, children }: { preview: Preview; children: ReactNode }) {
  const { total_items: total, to_download, objects } = preview;
  return (
    <div className="panel-body stack dry-run" role="status">
      <Estimate of={preview} />
      <span className="fields">
        {children}
        {to_download === 0 && <span className="dim">Nothing new would come: what is there or has no data is skipped.</span>}
      </span>
      <details>
        <summary>{total === 1 ? 'The object' : `All ${count(total)} objects`}</summary>
        <Table name="Objects of the download" columns={COLUMNS} rows={objects} rowKey={({ key }) => key} height={320} />
      </details>
    </div>
  );
}
