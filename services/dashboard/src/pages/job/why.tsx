import { decimal } from '../../format/numbers.ts';
import { Panel } from '../../parts/panel.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import type { Detail } from './queries.ts';

interface Factor {
  name: string;
  value: number;
  weight: number;
  points: number;
}
interface Scored {
  text: string;
  factors?: Record<string, Omit<Factor, 'name'>>;
  score?: number;
  freshness?: string;
  base?: number;
  boost?: number;
  band?: { queue: string; from: number; to: number };
  cause?: string;
}

const COLUMNS: Column<Factor>[] = [
  { id: 'name', title: 'Factor', cell: ({ name }) => name },
  { id: 'value', title: 'Value', hint: '0 to 1', align: 'right', cell: ({ value }) => decimal(value, 4) },
  { id: 'weight', title: '× weight', align: 'right', cell: ({ weight }) => decimal(weight, 2) },
  { id: 'points', title: '= points', align: 'right', cell: ({ points }) => decimal(points, 4) },
];

/** Why the job has its priority: the points of the factors add up to the score. */
export function Why({ job: { why, priority, score } }: { job: Detail }) {
  if (why === null) return null;
  const { text, factors, freshness, band, base, boost } = why as unknown as Scored;
  const rows = Object.entries(factors ?? {}).map(([name, factor]) => ({ name: name.replaceAll('_', ' '), ...factor }));
  const sum = rows.reduce((total, { points }) => total + points, 0);
  return (
    <Panel title="Why this priority">
      <div className="panel-body stack">
        <p>{text}</p>
        {rows.length > 0 && (
          <>
            <div className="stacked" aria-hidden="true">
              {rows.map(({ name, points }, at) => (
                <span
                  key={name}
                  style={{ width: `${points * 100}%`, background: `var(--chart-${(at % 4) + 1})` }}
                  title={`${name} ${decimal(points, 4)}`}
                />
              ))}
            </div>
            <Table name="Factors" columns={COLUMNS} rows={rows} rowKey={({ name }) => name} />
            <p>
              Sum <strong data-testid="why-sum">{decimal(sum, 4)}</strong> = score{' '}
              <strong data-testid="why-score">{decimal(score, 4)}</strong>
              {band && ` · starts at priority ${base}, the score moves it within ${band.from}–${band.to}`}
              {boost ? `, waiting has lifted it by ${boost}` : ''} · priority {priority}
              {freshness && ` · ${freshness}`}
            </p>
          </>
        )}
      </div>
    </Panel>
  );
}
