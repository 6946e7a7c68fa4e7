import { Link } from '@tanstack/react-router';
import { decimal } from '../../format/numbers.ts';
import { Panel } from '../../parts/panel.tsx';
import { Empty } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import { Change, Mark } from '../../parts/words.tsx';
import { Claims, factsOf } from './cards.tsx';
import type { Report } from './queries.ts';
import { FACTORS } from './words.ts';

/** What several shares have in common, and the market around them. */
export function Themes({ report }: { report: Report }) {
  const facts = factsOf(report);
  const { investment_themes: themes, market_analysis: market } = report;
  const writer = (by: 'program' | 'model'): string => (by === 'model' ? `a model's opinion (${report.model})` : 'by the program');
  return (
    <div className="columns even">
      <Panel title="Themes">
        <div className="panel-body stack">
          {themes.map(({ title, category, summary, paragraphs, tickers, written_by }) => (
            <article key={title}>
              <h3>
                {title}{' '}
                <span className="dim">
                  {category}, {writer(written_by)}
                </span>
              </h3>
              <Claims of={[summary, ...paragraphs]} facts={facts} />
              <p className="chips">
                {tickers.map((symbol) => (
                  <Link key={symbol} to="/symbols/$symbol" params={{ symbol }} className="chip">
                    {symbol}
                  </Link>
                ))}
              </p>
            </article>
          ))}
        </div>
      </Panel>
      <Panel title="Market" aside={<span className="dim">{writer(market.written_by)}</span>}>
        <div className="panel-body stack">
          <Claims of={market.environment} facts={facts} />
          <h3>Risks</h3>
          <Claims of={market.risk_factors} facts={facts} />
          <h3>Opportunities</h3>
          <Claims of={market.opportunities} facts={facts} />
        </div>
      </Panel>
    </div>
  );
}

type Changed = Report['changes'][number];
const CHANGES: Record<Changed['change'], { tone: string; mark: string }> = {
  new: { tone: 'busy', mark: '+' },
  kept: { tone: 'calm', mark: '=' },
  dropped: { tone: 'warn', mark: '−' },
};

const CHANGE_COLUMNS: Column<Changed>[] = [
  { id: 'change', title: 'Change', cell: ({ change }) => <Mark {...CHANGES[change]}>{change}</Mark> },
  {
    id: 'ticker',
    title: 'Symbol',
    cell: ({ ticker }) => (
      <Link to="/symbols/$symbol" params={{ symbol: ticker }}>
        {ticker}
      </Link>
    ),
  },
  { id: 'before', title: 'Before', align: 'right', cell: ({ before }) => decimal(before, 2) },
  { id: 'after', title: 'Now', align: 'right', cell: ({ after }) => decimal(after, 2) },
  {
    id: 'moved',
    title: 'Moved most',
    hint: 'The factor whose points changed most',
    cell: ({ factor, moved }) =>
      factor === null || moved === null ? (
        '–'
      ) : (
        <>
          {FACTORS[factor] ?? factor} <Change value={moved} text={`${moved > 0 ? '+' : '\u2212'}${decimal(Math.abs(moved), 2)}`} />
        </>
      ),
  },
  { id: 'reason', title: 'Why', grow: true, cell: ({ reason }) => <span title={reason?.text}>{reason?.text}</span> },
];

export function Changes({ report: { changes } }: { report: Report }) {
  return (
    <Panel title="Changes since the report before">
      {changes.length === 0 ? (
        <Empty title="There is no earlier report to compare with" />
      ) : (
        <Table name="Changes since the report before" columns={CHANGE_COLUMNS} rows={changes} rowKey={({ ticker }) => ticker} />
      )}
    </Panel>
  );
}

type Near = Report['near_misses'][number];

const NEAR_COLUMNS: Column<Near>[] = [
  { id: 'rank', title: 'Rank', align: 'right', cell: ({ rank }) => rank },
  {
    id: 'ticker',
    title: 'Symbol',
    cell: ({ ticker }) => (
      <Link to="/symbols/$symbol" params={{ symbol: ticker }}>
        {ticker}
      </Link>
    ),
  },
  { id: 'total', title: 'Total', align: 'right', cell: ({ total }) => decimal(total, 2) },
  { id: 'reason', title: 'Why not', grow: true, cell: ({ reason }) => <span title={reason.text}>{reason.text}</span> },
];

/** The best that were not picked. */
export function Unpicked({ report: { near_misses: near } }: { report: Report }) {
  if (near.length === 0) return null;
  return (
    <Panel title="Nearly picked">
      <Table name="The best symbols that are no picks" columns={NEAR_COLUMNS} rows={near} rowKey={({ ticker }) => ticker} />
    </Panel>
  );
}
