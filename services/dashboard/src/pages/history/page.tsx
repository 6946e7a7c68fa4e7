import { useNavigate, useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { usePageTitle } from '../../parts/title.ts';
import { CoveragePanel } from './coverage.tsx';
import { datasetOf, type Search } from './dataset.ts';
import { Downloads } from './downloads.tsx';
import { RequestForm } from './form.tsx';
import './history.css';

export type Change = (changes: Search) => void;

/** Historical downloads: asking for one, how far each is, and which days are there. The dataset stands in the address. */
export default function HistoryPage() {
  usePageTitle('History');
  const search = useSearch({ strict: false }) as Search;
  const navigate = useNavigate();
  const dataset = useMemo(() => datasetOf(search), [search]);
  const change: Change = (changes) => void navigate({ to: '.', search: { ...search, ...changes }, replace: true });
  return (
    <div className="page">
      <div className="page-head">
        <h1>History</h1>
        <span className="dim">Years of quotes, bars and reports, downloaded in the background into Parquet files.</span>
      </div>
      <RequestForm search={search} dataset={dataset} change={change} />
      <Downloads chosen={search.download} change={change} />
      <CoveragePanel search={search} dataset={dataset} change={change} />
    </div>
  );
}
