import { Button, Checkbox } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { type ReactNode, type RefObject, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';
import type { Job } from '../../data/client.ts';
import { queries } from '../../data/client.ts';
import type { LiveEvent, StatusEvent } from '../../data/events.ts';
import { useEvents } from '../../data/stream.ts';
import { count, decimal } from '../../format/numbers.ts';
import { age, secondsBetween, wait } from '../../format/times.ts';
import { ChoosableTable } from '../../parts/choosable-table.tsx';
import { jobsPlaceOf, keepJobsPlace } from '../../parts/jobs/place.ts';
import { useNow } from '../../parts/now.ts';
import { Empty, Loaded } from '../../parts/states.tsx';
import type { Column } from '../../parts/table.tsx';
import { StateMark } from '../../parts/words.tsx';
import { BulkBar } from './bulk.tsx';
import type { Filters, Sort } from './filters.ts';
import { useJobs } from './queries.ts';

interface ListProps {
  /** The query of the address. */
  search: Record<string, string | undefined>;
  filters: Filters;
  sort: Sort;
  change: (changes: Record<string, string | undefined>) => void;
}

export function JobList({ search, filters, sort, change }: ListProps) {
  const query = useJobs(filters, sort);
  const place = useRef<HTMLDivElement>(null);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(() => jobsPlaceOf(search).chosen);
  useEffect(() => keepJobsPlace(search, { chosen }), [search, chosen]);
  const [news, setNews] = useState<ReadonlySet<string>>(new Set());
  const now = useNow(1_000);
  const rows = useMemo(() => query.data?.pages.flatMap(({ jobs }) => jobs) ?? [], [query.data]);

  // Rows that come are counted and do not push away the one that is being read.
  useEvents((events) => {
    const fresh = events.flatMap((event) =>
      (event.type === 'job' || event.type === 'status') && isMeant(event, filters) ? [event.body.id] : [],
    );
    if (fresh.length > 0) setNews((before) => new Set([...before, ...fresh]));
  });
  function showNews(): void {
    setNews(new Set());
    void queries.invalidateQueries({ queryKey: ['jobs'] });
  }

  function clear(): void {
    setChosen(new Set());
    // The button that had the focus goes with the selection.
    place.current?.querySelector<HTMLElement>('.table-box')?.focus();
  }
  const known = useMemo(() => new Set(rows.map(({ id }) => id)), [rows]);
  const unseen = [...news].filter((id) => !known.has(id)).length;
  const columns = useMemo(() => columnsOf({ chosen, setChosen, now, rows }), [chosen, now, rows]);
  return (
    <>
      {unseen > 0 && (
        <button type="button" className="news" onClick={showNews}>
          {count(unseen)} new – show
        </button>
      )}
      <BulkBar filters={filters} rows={rows} hasMore={query.hasNextPage} chosen={chosen} clear={clear} />
      <Loaded query={query}>
        {() =>
          rows.length === 0 ? (
            <None filters={filters} change={change} />
          ) : (
            <Kept search={search} ref={place}>
              <ChoosableTable
                name="Jobs"
                kept={['chosen', 'state', 'type']}
                columns={columns}
                rows={rows}
                rowKey={({ id }) => id}
                height="70vh"
                marked={({ id }) => chosen.has(id)}
              />
              <div className="more">
                <span className="dim">{count(rows.length)} shown</span>
                {query.hasNextPage && (
                  <Button size="xs" variant="default" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
                    Show more
                  </Button>
                )}
              </div>
            </Kept>
          )
        }
      </Loaded>
    </>
  );
}

interface KeptProps {
  search: ListProps['search'];
  ref: RefObject<HTMLDivElement | null>;
  children: ReactNode;
}

/** Begins where the list was left, and remembers where it is. */
function Kept({ search, ref, children }: KeptProps) {
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, when the list comes
  useLayoutEffect(() => {
    const table = ref.current?.querySelector('.table-box');
    const { scroll } = jobsPlaceOf(search);
    if (!table || scroll === 0) return;
    table.scrollTop = scroll;
    // A long table knows its height a frame later.
    const frame = requestAnimationFrame(() => {
      table.scrollTop = scroll;
    });
    return () => cancelAnimationFrame(frame);
  }, []);
  return (
    <div ref={ref} onScrollCapture={({ target }) => keepJobsPlace(search, { scroll: (target as Element).scrollTop })}>
      {children}
    </div>
  );
}

/** Whether a job that comes, or that changes its state, belongs into the list. */
function isMeant(event: Extract<LiveEvent, { type: 'job' | 'status' }>, filters: Filters): boolean {
  const { state, type, queue, symbol, user, code, reason, worker } = filters;
  const now: Partial<StatusEvent> = event.type === 'job' ? { state: 'ready' } : event.body;
  // Without a state in the filter only what is new comes; a change of state is of a row that was there.
  if (state === undefined ? event.type === 'status' : !state.split(',').includes(now.state as string)) return false;
  const { body } = event;
  return (
    (type ?? body.type) === body.type &&
    (queue ?? body.queue) === body.queue &&
    (symbol ?? body.symbol) === body.symbol &&
    (user ?? body.user) === body.user &&
    (code ?? now.code) === now.code &&
    (worker ?? now.worker) === now.worker &&
    (reason === undefined || (now.reason?.toLowerCase().includes(reason.toLowerCase()) ?? false))
  );
}

function None({ filters, change }: { filters: Filters; change: ListProps['change'] }) {
  const set = Object.entries(filters);
  if (set.length === 0)
    return <Empty title="No job yet">A login asks for them: sign a user in under Portfolios, or make one with “New job”.</Empty>;
  if (set.length === 1 && filters.state === 'failed')
    return <Empty title="Nothing has failed">Jobs that fail are kept for some days, with the reason.</Empty>;
  return (
    <Empty title="No job matches">
      Remove{' '}
      {set.map(([name, value]) => (
        <button key={name} type="button" className="chip" onClick={() => change({ [name]: undefined })}>
          {name}: {String(value).replaceAll('_', ' ')} ✕
        </button>
      ))}
    </Empty>
  );
}

/** How long it runs or ran; of one that waits, since when. */
function duration({ state, enqueued_at, started_at, ended_at }: Job, now: number): string {
  if (started_at !== null && ended_at !== null) return wait(secondsBetween(started_at, ended_at));
  if (state === 'running' && started_at !== null) return wait(secondsBetween(started_at, now));
  return `waits ${age(secondsBetween(enqueued_at, ended_at ?? now))}`;
}

interface Selecting {
  chosen: ReadonlySet<string>;
  setChosen: (chosen: ReadonlySet<string>) => void;
  now: number;
  rows: readonly Job[];
}

function columnsOf({ chosen, setChosen, now, rows }: Selecting): Column<Job>[] {
  function toggle(id: string): void {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  }
  const isAll = rows.length > 0 && rows.every(({ id }) => chosen.has(id));
  return [
    {
      id: 'chosen',
      title: '',
      head: (
        <Checkbox
          size="xs"
          aria-label="Choose all that are shown"
          checked={isAll}
          indeterminate={chosen.size > 0 && !isAll}
          onChange={() => setChosen(new Set(isAll ? [] : rows.map(({ id }) => id)))}
        />
      ),
      cell: ({ id, type, symbol }) => (
        <Checkbox size="xs" aria-label={`Choose ${type} ${symbol ?? id}`} checked={chosen.has(id)} onChange={() => toggle(id)} />
      ),
    },
    { id: 'state', title: 'State', cell: ({ state }) => <StateMark state={state} /> },
    {
      id: 'type',
      title: 'Job',
      cell: ({ id, type }) => (
        <Link to="/jobs/$id" params={{ id }}>
          {type}
        </Link>
      ),
    },
    {
      id: 'symbol',
      title: 'Symbol',
      cell: ({ symbol }) =>
        symbol === null ? (
          '–'
        ) : (
          <Link to="/symbols/$symbol" params={{ symbol }}>
            {symbol}
          </Link>
        ),
    },
    { id: 'user', title: 'User', cell: ({ user }) => user ?? '–' },
    {
      id: 'priority',
      title: 'Priority',
      hint: '1 is the most urgent; behind it the score that orders jobs of one priority',
      align: 'right',
      cell: ({ priority, score }) => `${priority} · ${decimal(score, 2)}`,
    },
    { id: 'duration', title: 'Time', hint: 'How long it runs or ran, or has waited', align: 'right', cell: (row) => duration(row, now) },
    {
      id: 'age',
      title: 'Asked',
      hint: 'How long ago it was asked for',
      align: 'right',
      cell: ({ enqueued_at }) => age(secondsBetween(enqueued_at, now)),
    },
    { id: 'attempt', title: 'Attempt', align: 'right', cell: ({ attempt, max_attempts }) => `${attempt}/${max_attempts}` },
    {
      id: 'reason',
      title: 'Reason',
      grow: true,
      cell: ({ reason, worker, state }) => (
        <span title={reason ?? undefined}>{reason ?? (state === 'running' ? <span className="dim">on {worker}</span> : '')}</span>
      ),
    },
  ];
}
