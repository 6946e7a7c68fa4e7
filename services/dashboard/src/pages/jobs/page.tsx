import { Button } from '@mantine/core';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { lazy, Suspense, useMemo, useState } from 'react';
import { lacks, may, useMe } from '../../data/session.ts';
import { Panel } from '../../parts/panel.tsx';
import { usePageTitle } from '../../parts/title.ts';
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
  const filters = useMemo(() => filtersOf(search), [search]);
  const sort = sortOf(search, filters);
  const change = (changes: Record<string, string | undefined>) =>
    void navigate({ to: '.', search: { ...search, ...changes }, replace: true });
  const isGrouped = search.group === 'code';
  const mayAsk = may(me, 'jobs');
  return (
    <div className="page">
      <div className="page-head">
        <h1>Jobs</h1>
        <span className="grow" />
        <Button size="xs" variant="default" disabled={!mayAsk} title={mayAsk ? undefined : lacks('jobs')} onClick={() => setAsking(true)}>
          New job …
        </Button>
      </div>
      <StateTabs filters={filters} change={change} />
      <Panel title="Filters" aside={<FilterFields search={search} sort={sort} isGrouped={isGrouped} change={change} />}>
        {isGrouped ? (
          <Codes filters={filters} change={change} />
        ) : (
          <JobList key={JSON.stringify(filters)} filters={filters} sort={sort} change={change} />
        )}
      </Panel>
      <Suspense>{isAsking && <NewJob close={() => setAsking(false)} />}</Suspense>
    </div>
  );
}
