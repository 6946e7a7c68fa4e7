import { Button, Checkbox, NativeSelect, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type FormEvent, useState } from 'react';
import { answer, api, type Schemas } from '../../data/client.ts';
import { lacks, may, mayForUser, useMe } from '../../data/session.ts';
import { Panel } from '../../parts/panel.tsx';
import { Failure } from '../../parts/states.tsx';
import { type Dataset, daysBefore, INTERVALS, isDaily, type Kind, SCHEMAS, type Schema, type Search, today } from './dataset.ts';
import type { Change } from './page.tsx';
import { DryRun } from './preview.tsx';
import { ownUser, type Preview, readAgain } from './queries.ts';

interface FormProps {
  search: Search;
  dataset: Dataset;
  change: Change;
}

/** The body of a download of either kind. */
interface Body extends Omit<Dataset, 'dataset'> {
  start_date: string;
  end_date: string;
  force_refresh: boolean;
  user?: string;
}

/** `dry_run` and not answer the two members of the same operation. */
async function ask(kind: Kind, body: Body, isDryRun: boolean): Promise<Preview | Schemas['AcceptedDownload']> {
  const init = { params: { query: isDryRun ? { dry_run: 'true' } : {} }, body: body as never };
  const asked = kind === 'option' ? api.POST('/v1/historical/option', init) : api.POST('/v1/historical/stock', init);
  return (await answer(asked)) as Preview | Schemas['AcceptedDownload'];
}

/** Asks for a download: first what it would do, then the download itself. */
export function RequestForm({ search, dataset: { dataset: kind, ...dataset }, change }: FormProps) {
  const { data: me } = useMe();
  const user = ownUser(me);
  const [force, setForce] = useState(false);
  const from = search.from ?? daysBefore(today(), 14);
  const to = search.to ?? daysBefore(today(), 1);
  const body: Body = { ...dataset, start_date: from, end_date: to, force_refresh: force, ...(user && { user }) };
  /** Of which request the answers below are. */
  const name = JSON.stringify([kind, body]);
  const dry = useMutation({ mutationFn: async () => ({ of: name, preview: (await ask(kind, body, true)) as Preview }) });
  const start = useMutation({
    mutationFn: async () => ({ of: name, accepted: (await ask(kind, body, false)) as Schemas['AcceptedDownload'] }),
    onSuccess: readAgain,
  });
  const mayAsk = user === undefined ? may(me, 'jobs') : mayForUser(me, 'jobs', user);
  const preview = dry.data?.of === name && start.data?.of !== name ? dry.data.preview : undefined;
  const error = start.error ?? dry.error;
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    start.reset();
    dry.mutate();
  };
  return (
    <Panel title="New download">
      <form className="panel-body request" onSubmit={submit}>
        <DatasetFields dataset={{ dataset: kind, ...dataset }} change={change} />
        <DayField name="from" label="From" value={from} change={change} />
        <DayField name="to" label="To" value={to} change={change} />
        {kind === 'option' && <FilterFields dataset={dataset} change={change} />}
        <Checkbox
          size="xs"
          className="request-check"
          label="Also what is there already"
          checked={force}
          onChange={({ currentTarget }) => setForce(currentTarget.checked)}
        />
        <Button size="xs" type="submit" {...(preview && { variant: 'default' })} loading={dry.isPending}>
          Dry run
        </Button>
      </form>
      {error && <Failure error={error} />}
      {preview && (
        <DryRun preview={preview}>
          <Button
            size="xs"
            disabled={!mayAsk}
            title={mayAsk ? undefined : lacks('jobs')}
            loading={start.isPending}
            onClick={() => start.mutate()}
          >
            Start the download
          </Button>
        </DryRun>
      )}
      {start.data?.of === name && (
        <p className="panel-body" role="status">
          {start.data.accepted.outcome === 'joined' ? 'The same download was asked for before: ' : 'Queued: '}
          {start.data.accepted.total_items} objects,{' '}
          <Link to="/jobs/$id" params={{ id: start.data.accepted.job_id }}>
            its job
          </Link>
          . Its progress stands below.
        </p>
      )}
    </Panel>
  );
}

function DayField({ name, label, value, change }: { name: string; label: string; value: string; change: Change }) {
  return (
    <TextInput
      size="xs"
      type="date"
      label={label}
      value={value}
      max={today()}
      required
      onChange={({ currentTarget }) => change({ [name]: currentTarget.value })}
    />
  );
}

/** Which data: the calendar below follows them. */
function DatasetFields({ dataset: { root, dataset, schema, interval }, change }: { dataset: Dataset; change: Change }) {
  const schemas = Object.entries(SCHEMAS[dataset]).map(([value, label]) => ({ value, label }));
  return (
    <>
      <TextInput
        // A link to another root fills the field anew.
        key={root}
        size="xs"
        w={92}
        label="Root"
        placeholder="AAPL"
        defaultValue={root}
        required
        maxLength={32}
        onBlur={({ currentTarget }) => currentTarget.value.trim().toUpperCase() !== root && change({ root: currentTarget.value })}
        onKeyDown={({ key, currentTarget }) => key === 'Enter' && change({ root: currentTarget.value })}
      />
      <NativeSelect
        size="xs"
        label="Of"
        value={dataset}
        data={[
          { value: 'option', label: 'options' },
          { value: 'stock', label: 'stock' },
        ]}
        onChange={({ currentTarget }) => change({ dataset: currentTarget.value })}
      />
      <NativeSelect
        size="xs"
        label="Data"
        value={schema}
        data={schemas}
        onChange={({ currentTarget }) => change({ schema: currentTarget.value })}
      />
      {!isDaily(schema as Schema) && (
        <NativeSelect
          size="xs"
          label="Interval"
          value={interval ?? '15m'}
          data={[...INTERVALS]}
          onChange={({ currentTarget }) => change({ interval: currentTarget.value })}
        />
      )}
    </>
  );
}

/** Which contracts. A filtered download has files of its own. */
function FilterFields({ dataset, change }: { dataset: Omit<Dataset, 'dataset'>; change: Change }) {
  return (
    <>
      <TextInput
        size="xs"
        w={104}
        type="number"
        label="Days at most"
        title="Only contracts that expire within so many days, 1 to 365. Empty: all"
        placeholder="all"
        min={1}
        max={365}
        value={dataset.max_dte ?? ''}
        onChange={({ currentTarget }) => change({ max_dte: currentTarget.value })}
      />
      <TextInput
        size="xs"
        w={104}
        type="number"
        label="Strike band"
        title="Only strikes within this share of the underlying for one day, times the root of the days. Empty: all"
        placeholder="all"
        min={0.01}
        max={10}
        step={0.01}
        value={dataset.base_pct ?? ''}
        onChange={({ currentTarget }) => change({ base_pct: currentTarget.value })}
      />
    </>
  );
}
