import { Button } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { answer, api } from '../../data/client.ts';
import { lacks, may, useMe } from '../../data/session.ts';
import { Facts, Panel } from '../../parts/panel.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { Mark, Moment, Simulated } from '../../parts/words.tsx';
import { type Research as Stored, useResearch } from './queries.ts';

/** What the company reports, and headlines, each with its source and moment. */
export function Research({ symbol, isStored }: { symbol: string; isStored: boolean }) {
  const query = useResearch(symbol, isStored);
  const data = query.data;
  return (
    <div className="columns even">
      <Panel title="Company" aside={<Origin of={data?.fundamentals} at={data?.fundamentals?.fetched_at} symbol={symbol} />}>
        {isStored ? (
          <Loaded query={query}>{({ fundamentals, disclaimer }) => <Company fundamentals={fundamentals} note={disclaimer} />}</Loaded>
        ) : (
          <Empty title="Nothing is stored yet">Press “Fetch figures and news”.</Empty>
        )}
      </Panel>
      <Panel title="News" aside={data && <Origin of={data.news} at={data.news.checked_at} />}>
        {isStored ? <Loaded query={query}>{({ news }) => <News news={news} />}</Loaded> : <Empty title="Nothing is stored yet" />}
      </Panel>
    </div>
  );
}

interface OriginProps {
  of: { source: string | null; simulated: boolean; stale: boolean } | null | undefined;
  at: string | null | undefined;
  /** With the button that fetches. */
  symbol?: string;
}

function Origin({ of, at, symbol }: OriginProps) {
  return (
    <>
      {of != null && (
        <span className="dim">
          {of.simulated ? '' : of.source} <Moment at={at} />{' '}
          {of.stale && (
            <Mark tone="warn" mark="◔">
              old
            </Mark>
          )}
        </span>
      )}
      <Simulated when={of?.simulated ?? false} />
      {symbol !== undefined && <FetchResearch symbol={symbol} />}
    </>
  );
}

function FetchResearch({ symbol }: { symbol: string }) {
  const { data: me } = useMe();
  const fetching = useMutation({ mutationFn: () => answer(api.POST('/v1/jobs', { body: { type: 'research', symbol } })) });
  const job = fetching.data?.jobs[0];
  const mayAsk = may(me, 'jobs');
  return (
    <>
      {fetching.error && <span data-tone="bad">{fetching.error.message}</span>}
      {job && (
        <Link to="/jobs/$id" params={{ id: job.id }}>
          {job.outcome}
        </Link>
      )}
      <Button
        size="compact-xs"
        variant="default"
        disabled={!mayAsk}
        title={mayAsk ? undefined : lacks('jobs')}
        loading={fetching.isPending}
        onClick={() => fetching.mutate()}
      >
        Fetch figures and news
      </Button>
    </>
  );
}

function Company({ fundamentals, note }: { fundamentals: Stored['fundamentals']; note: string }) {
  if (fundamentals === null) return <Empty title="No figures">The sources have none of this symbol.</Empty>;
  const { name, sector, industry, values, earnings } = fundamentals;
  return (
    <div className="panel-body stack">
      <p>
        <strong>{name ?? 'No name'}</strong> {[sector, industry].filter((word) => word !== null).join(' · ')}
      </p>
      <Facts
        of={values.map(({ label, shown, as_of }) => [
          label,
          <span key={label} title={`as of ${as_of}`}>
            {shown}
          </span>,
        ])}
      />
      {earnings !== null && (
        <p>
          Next report {earnings.from === earnings.to ? earnings.from : `${earnings.from} to ${earnings.to}`}
          {earnings.is_estimate && <span className="dim"> (expected)</span>}
        </p>
      )}
      <p className="dim">{note}</p>
    </div>
  );
}

function News({ news: { headlines } }: { news: Stored['news'] }) {
  if (headlines.length === 0) return <Empty title="No headlines" />;
  return (
    <ul className="headlines">
      {headlines.map(({ id, title, publisher, published_at, link }) => (
        <li key={id}>
          {/^https?:/.test(link) ? (
            <a href={link} target="_blank" rel="noreferrer">
              {title}
            </a>
          ) : (
            title
          )}
          <br />
          <span className="dim">
            {publisher}, <Moment at={published_at} />
          </span>
        </li>
      ))}
    </ul>
  );
}
