import { Button } from '@mantine/core';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { lazy, Suspense, useEffect, useMemo, useState } from 'react';
import { lacks, may, useMe } from '../../data/session.ts';
import { keepJobsPlace } from '../../parts/jobs/place.ts';
import { Panel } from '../../parts/panel.tsx';
import { usePageTitle } from '../../parts/title.ts';
import { RedriveAll } from './bulk.tsx';
import { Codes } from './codes.tsx';
import { FilterFields } from './filter-fields.tsx';
import { filtersOf, sortOf } from './filters.ts';
import { JobList } from './list.tsx';
import { StateTabs } from './state-tabs.tsx';

const NewJob = lazy(() => import('./new-job.tsx'));

/** The list of all jobs; every filter stands in the address. */
export default function JobsPage() {
  usePageTitle('Jobs');
  const search = useSearch({ strict: false }) as Record<string, string | undefined>;
  const navigate = useNavigate();
  const { data: me } = useMe();
  const [isAsking, setAsking] = useState(false);
  const ownUsers = may(me, 'read') ? undefined : me?.users;
  const onlyUser = ownUsers?.[0];
  // The gateway asks a key of several users which one is meant.
  const filters = useMemo(() => filtersOf({ ...(onlyUser !== undefined && { user: onlyUser }), ...search }), [search, onlyUser]);
  const sort = sortOf(search, filters);
  const change = (changes: Record<string, string | undefined>) =>
    void navigate({ to: '.', search: (before: Record<string, string>) => ({ ...before, ...changes }) as never, replace: true });
  const isGrouped = search.group === 'code';
  const mayAsk = may(me, 'jobs');
  useEffect(() => keepJobsPlace(search), [search]);
  return (
    <div className="page">
      <div className="page-head">
        <h1>Jobs</h1>
        <span className="grow" />
        {filters.state !== undefined && !isGrouped && <RedriveAll filters={filters} name="Redrive all that match" />}
        <Button size="xs" variant="default" disabled={!mayAsk} title={mayAsk ? undefined : lacks('jobs')} onClick={() => setAsking(true)}>
          New job …
        </Button>
      </div>
      <StateTabs filters={filters} change={change} />
      <Panel title="Filters" aside={<FilterFields ownUsers={ownUsers} search={search} sort={sort} isGrouped={isGrouped} change={change} />}>
        {isGrouped ? (
          <Codes filters={filters} change={change} />
        ) : (
          <JobList key={JSON.stringify([filters, sort])} search={search} filters={filters} sort={sort} change={change} />
        )}
      </Panel>
      <Suspense>{isAsking && <NewJob close={() => setAsking(false)} />}</Suspense>
    </div>
  );
}
