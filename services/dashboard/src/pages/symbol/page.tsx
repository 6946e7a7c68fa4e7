import { Button } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { ApiError, answer, api } from '../../data/client.ts';
import { lacks, may, useMe } from '../../data/session.ts';
import { decimal, moneyChange, percent, plain, price } from '../../format/numbers.ts';
import { OptionsLink } from '../../parts/options-link.tsx';
import { Facts, Panel } from '../../parts/panel.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { usePageTitle } from '../../parts/title.ts';
import { Change, FreshMark, Moment, Simulated } from '../../parts/words.tsx';
import { ChartPanel } from './panel.tsx';
import { type Details, useSymbol } from './queries.ts';
import { Research } from './research.tsx';
import { PastSignals, SignalMark } from './signals.tsx';
import './symbol.css';

/** All that is known of a symbol. */
export default function SymbolPage() {
  const { symbol } = useParams({ strict: false }) as { symbol: string };
  usePageTitle(symbol);
  const query = useSymbol(symbol);
  const isUnknown = query.error instanceof ApiError && query.error.code === 'symbol.unknown';
  return (
    <div className="page">
      <div className="page-head">
        <h1>{symbol}</h1>
        {query.data?.bar && <HeadPrice details={query.data} />}
        <Simulated when={query.data?.simulated ?? false} />
        <span className="grow" />
        <OptionsLink symbol={symbol}>Options</OptionsLink>
        <Link to="/jobs" search={{ symbol }}>
          Jobs
        </Link>
        <FetchNow symbol={symbol} />
      </div>
      {isUnknown ? (
        <Empty title="Never fetched">Press “Fetch now”: prices of the last years and their analysis come within seconds.</Empty>
      ) : (
        <Loaded query={query}>
          {(details) => (
            <div className="stack">
              <div className="columns">
                <ChartPanel symbol={symbol} />
                <Side details={details} />
              </div>
              <Research symbol={symbol} isStored={details.has_research} />
            </div>
          )}
        </Loaded>
      )}
    </div>
  );
}

/** The newest close, and its change since the one before. */
function HeadPrice({ details: { bar, previous_close, currency } }: { details: Details }) {
  if (bar === null) return null;
  const change = previous_close === null ? null : bar.close - previous_close;
  return (
    <>
      <span className="head-price">
        {price(bar.close)} <span className="dim">{currency}</span>
      </span>
      <span title={`Since the close before, ${price(previous_close)}`} data-testid="day-change">
        <Change
          value={change}
          text={`${moneyChange(change)} (${percent(change === null ? null : (100 * change) / (previous_close as number))})`}
        />
      </span>
      <span className="dim" title="A bar a day: there are no prices within the day">
        daily, {bar.date}
      </span>
    </>
  );
}

function FetchNow({ symbol }: { symbol: string }) {
  const { data: me } = useMe();
  const fetching = useMutation({ mutationFn: () => answer(api.POST('/v1/jobs', { body: { type: 'fetch', symbol } })) });
  const job = fetching.data?.jobs[0];
  const mayAsk = may(me, 'jobs');
  return (
    <>
      <Button
        size="xs"
        variant="default"
        disabled={!mayAsk}
        title={mayAsk ? undefined : lacks('jobs')}
        loading={fetching.isPending}
        onClick={() => fetching.mutate()}
      >
        Fetch now
      </Button>
      {fetching.error && <span data-tone="bad">{fetching.error.message}</span>}
      {job && (
        <Link to="/jobs/$id" params={{ id: job.id }}>
          {job.outcome}
        </Link>
      )}
    </>
  );
}

type Reason = Details['analysis']['reasons'][number];
const REASONS: Column<Reason>[] = [
  {
    id: 'observation',
    title: 'Reason',
    grow: true,
    cell: ({ observation, indicator }) => <span title={`${indicator}: ${observation}`}>{observation}</span>,
  },
  {
    id: 'points',
    title: 'Points',
    hint: 'Of at most so many, for or against',
    align: 'right',
    cell: ({ points, weight }) => `${plain(points)} of ${plain(weight)}`,
  },
];

function Side({ details }: { details: Details }) {
  const { price: freshness, analysis, source, as_of, checked_at, bar, unrestated_split, actions } = details;
  return (
    <div className="stack">
      <Panel title="Price">
        <div className="panel-body">
          <Facts
            of={[
              ['State', <FreshMark key="state" state={freshness.state} reason={freshness.reason} />],
              ['Newest day', bar?.date ?? '–'],
              ['As of', <Moment key="as_of" at={as_of} />],
              ['Asked', <Moment key="checked" at={checked_at} />],
              ['Source', source ?? '–'],
              ...(unrestated_split === null
                ? []
                : [['Split', `of ${unrestated_split}: the source has not restated older prices yet, so there is no signal`] as const]),
              ...(freshness.failure === null ? [] : [['Last failure', freshness.failure.reason] as const]),
            ]}
          />
        </div>
      </Panel>
      <Panel title="Analysis" aside={<Signal analysis={analysis} />}>
        {analysis.reasons.length === 0 ? (
          <Empty title="No analysis yet">{analysis.reason}</Empty>
        ) : (
          <div className="reasons">
            <Table
              name="Reasons of the signal"
              columns={REASONS}
              rows={analysis.reasons}
              rowKey={({ indicator, observation }) => `${indicator} ${observation}`}
            />
          </div>
        )}
      </Panel>
      <PastSignals symbol={details.symbol} />
      {actions.length > 0 && (
        <Panel title="Splits and dividends">
          <Table
            name="Splits and dividends"
            columns={[
              { id: 'date', title: 'Day', by: ({ date }) => date, cell: ({ date }) => date },
              { id: 'kind', title: 'Kind', by: ({ kind }) => kind, cell: ({ kind }) => kind },
              { id: 'value', title: 'Value', align: 'right', cell: ({ value }) => plain(value) },
            ]}
            rows={actions}
            rowKey={({ date, kind }) => `${date} ${kind}`}
            sort={{ id: 'date', desc: true }}
            height={260}
          />
        </Panel>
      )}
    </div>
  );
}

function Signal({ analysis: { signal, confidence } }: { analysis: Details['analysis'] }) {
  if (signal === null) return null;
  return (
    <span>
      <SignalMark signal={signal} /> <span className="dim">confidence {decimal(confidence, 2)}</span>
    </span>
  );
}
