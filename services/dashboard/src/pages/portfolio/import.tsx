import { Button, Checkbox, FileButton } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { type DragEvent, useState } from 'react';
import { answer, api, queries, type Schemas } from '../../data/client.ts';
import { lacks, may, useMe } from '../../data/session.ts';
import { count, plain, price } from '../../format/numbers.ts';
import { Panel } from '../../parts/panel.tsx';
import { Failure } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';

type Preview = Schemas['PortfolioImport'];
type Difference = Preview['changes'][number];

interface Dropped {
  name: string;
  csv: string;
}

const COLUMNS: Column<Difference>[] = [
  {
    id: 'change',
    title: 'Change',
    by: ({ change }) => change,
    cell: ({ change }) => ({ added: '+ added', changed: '~ changed', removed: '− removed' })[change],
  },
  { id: 'symbol', title: 'Symbol', by: ({ symbol }) => symbol, cell: ({ symbol }) => symbol },
  {
    id: 'from',
    title: 'Now',
    align: 'right',
    cell: ({ from }) => (from === null ? '–' : `${plain(from.quantity)} at ${price(from.cost)}`),
  },
  { id: 'to', title: 'After', align: 'right', cell: ({ to }) => (to === null ? '–' : `${plain(to.quantity)} at ${price(to.cost)}`) },
];

/** Replaces the portfolio by a file; what that changes is shown before, and holds only as long as nobody else changes it. */
export function Import({ user }: { user: string }) {
  const { data: me } = useMe();
  const [file, setFile] = useState<Dropped>();
  const path = { id: user };
  const preview = useMutation({
    mutationFn: (body: Dropped) =>
      answer(api.POST('/v1/users/{id}/portfolio/import', { params: { path, query: { dry_run: 'true' } }, body })),
  });
  const replace = useMutation({
    mutationFn: ({ version, skip }: { version: string; skip: boolean }) =>
      answer(
        api.POST('/v1/users/{id}/portfolio/import', {
          params: { path, query: { ...(skip && { skip_wrong: 'true' }) }, header: { 'if-match': version } },
          body: file as Dropped,
        }),
      ),
    onSuccess: () => {
      preview.reset();
      void queries.invalidateQueries({ queryKey: ['portfolio', user] });
      void queries.invalidateQueries({ queryKey: ['users'] });
    },
  });
  const mayChange = may(me, 'admin') || (me?.users.includes(user) ?? false);
  async function take(dropped: File | null | undefined): Promise<void> {
    if (!dropped) return;
    const read = { name: dropped.name, csv: await dropped.text() };
    setFile(read);
    replace.reset();
    preview.mutate(read);
  }
  return (
    <Panel title="Import a CSV file">
      <div
        className="drop"
        role="group"
        aria-label="Drop a file here"
        onDragOver={(event) => event.preventDefault()}
        onDrop={(event: DragEvent) => {
          event.preventDefault();
          if (mayChange) void take(event.dataTransfer.files[0]);
        }}
      >
        <FileButton accept=".csv,text/csv" onChange={(chosen) => void take(chosen)}>
          {(props) => (
            <Button
              {...props}
              size="xs"
              variant="default"
              disabled={!mayChange}
              title={mayChange ? undefined : lacks('admin')}
              loading={preview.isPending}
            >
              Choose a file …
            </Button>
          )}
        </FileButton>
        <span className="dim">or drop it here: columns user, symbol, quantity, cost. Nothing is written before you confirm.</span>
      </div>
      {preview.error && <Failure error={preview.error} />}
      {replace.error && <Failure error={replace.error} />}
      {replace.data && (
        <p className="panel-body" role="status">
          Replaced: {replace.data.added} added, {replace.data.changed} changed, {replace.data.removed} removed.
        </p>
      )}
      {preview.data && <Shown preview={preview.data} isBusy={replace.isPending} replace={replace.mutate} />}
    </Panel>
  );
}

interface ShownProps {
  preview: Preview;
  isBusy: boolean;
  replace: (how: { version: string; skip: boolean }) => void;
}

function Shown({ preview: { added, changed, removed, unchanged, changes, wrong, wrong_lines, version }, isBusy, replace }: ShownProps) {
  const [skips, setSkips] = useState(false);
  return (
    <div className="stack">
      <p className="panel-body">
        <strong>
          {added} added, {changed} changed, {removed} removed
        </strong>
        , {count(unchanged)} as before.
      </p>
      {wrong_lines > 0 && (
        <div className="panel-body">
          <p data-tone="bad">
            <strong>{wrong_lines === 1 ? '1 line is' : `${count(wrong_lines)} lines are`} wrong:</strong>
          </p>
          <ul>
            {wrong.map(({ line, text, reason }) => (
              <li key={line}>
                Line {line}: {reason} <code>{text}</code>
              </li>
            ))}
          </ul>
          <Checkbox
            size="xs"
            label="Leave the wrong lines out"
            checked={skips}
            onChange={({ currentTarget }) => setSkips(currentTarget.checked)}
          />
        </div>
      )}
      {changes.length > 0 && <Table name="What changes" columns={COLUMNS} rows={changes} rowKey={({ symbol }) => symbol} height={320} />}
      <div className="panel-body">
        <Button size="xs" loading={isBusy} disabled={wrong_lines > 0 && !skips} onClick={() => replace({ version, skip: skips })}>
          Replace the portfolio
        </Button>
      </div>
    </div>
  );
}
