import { Button } from '@mantine/core';
import { lazy, Suspense, useState } from 'react';
import { type Job, queries } from '../../data/client.ts';
import { lacks, may, useMe } from '../../data/session.ts';
import { count } from '../../format/numbers.ts';
import { ACTIONS, type Action, filtersFor, type Target, targetInWords } from './bulk-run.ts';
import { type Filters, inWords } from './filters.ts';

const BulkDialog = lazy(() => import('./bulk-dialog.tsx'));

interface DialogProps {
  target: Target;
  close: (hasChanged: boolean) => void;
}

/** Loaded with the first change of many. */
export function ChangeMany({ target, close }: DialogProps) {
  function end(hasChanged: boolean): void {
    if (hasChanged) void queries.invalidateQueries({ queryKey: ['jobs'] });
    close(hasChanged);
  }
  return (
    <Suspense>
      <BulkDialog target={target} close={end} />
    </Suspense>
  );
}

interface BarProps {
  filters: Filters;
  rows: readonly Job[];
  /** More match than are shown. */
  hasMore: boolean;
  chosen: ReadonlySet<string>;
  clear: () => void;
}

/** What can be done with the chosen jobs, or with all that match. */
export function BulkBar({ filters, rows, hasMore, chosen, clear }: BarProps) {
  const [isAll, setAll] = useState(false);
  const [target, setTarget] = useState<Target>();
  const isPage = rows.every(({ id }) => chosen.has(id));
  const takesAll = isAll && isPage;
  function none(): void {
    setAll(false);
    clear();
  }
  // Beside the bar: it goes with the selection, and the dialog stays.
  const dialog = target && (
    <ChangeMany
      target={target}
      close={(hasChanged) => {
        setTarget(undefined);
        if (hasChanged) none();
      }}
    />
  );
  if (chosen.size === 0) return dialog;
  return (
    <div className="bulk" role="group" aria-label="Chosen jobs">
      <strong role="status">{takesAll ? `All ${inWords(filters)}` : `${count(chosen.size)} chosen`}</strong>
      {isPage && hasMore && !takesAll && (
        <button type="button" className="text-button" onClick={() => setAll(true)}>
          Choose all that match, beyond those shown
        </button>
      )}
      {(Object.keys(ACTIONS) as Action[]).map((action) => (
        <ActionButton
          key={action}
          action={action}
          filters={filters}
          start={(fit) => setTarget(takesAll ? { action, filters: fit } : { action, ids: [...chosen] })}
        />
      ))}
      <button type="button" className="text-button" onClick={none}>
        Choose none
      </button>
      {dialog}
    </div>
  );
}

/** Disabled with the reason where the key may not, and where no job of the filter is in a state that it changes. */
function ActionButton({ action, filters, start }: { action: Action; filters: Filters; start: (fit: Filters) => void }) {
  const { data: me } = useMe();
  const mayChange = may(me, 'jobs');
  const fit = filtersFor(action, filters);
  const { name, states } = ACTIONS[action];
  const why = mayChange ? `${name} changes jobs that are ${states.join(', ').replaceAll('_', ' ')}.` : lacks('jobs');
  return (
    <Button size="xs" variant="default" disabled={!mayChange || fit === undefined} title={why} onClick={() => fit && start(fit)}>
      {name} …
    </Button>
  );
}

/** One press for all that failed of what the filter names, without choosing rows. */
export function RedriveAll({ filters, name }: { filters: Filters; name: string }) {
  const { data: me } = useMe();
  const [target, setTarget] = useState<Target>();
  const mayChange = may(me, 'jobs');
  const fit = filtersFor('redrive', filters);
  if (fit === undefined) return null;
  const all: Target = { action: 'redrive', filters: fit };
  return (
    <>
      <Button
        size="xs"
        variant="default"
        disabled={!mayChange}
        title={mayChange ? `Start all ${targetInWords(all)} again` : lacks('jobs')}
        onClick={() => setTarget(all)}
      >
        {name} …
      </Button>
      {target && <ChangeMany target={target} close={() => setTarget(undefined)} />}
    </>
  );
}
