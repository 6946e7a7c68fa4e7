import { useNavigate, useSearch } from '@tanstack/react-router';
import { useMemo } from 'react';
import { count, share } from '../../format/numbers.ts';
import { wait } from '../../format/times.ts';
import { Panel } from '../../parts/panel.tsx';
import { Loaded } from '../../parts/states.tsx';
import { type Line, TimeChart } from '../../parts/time-chart.tsx';
import { type History, SPANS, type Span, useHistory } from './queries.ts';

interface Chart {
  title: string;
  lines: readonly (readonly [string, string, 'dashed'?])[];
  format: (value: number | null) => string;
  isWhole?: true;
}

const CHARTS: readonly Chart[] = [
  {
    title: 'Ready jobs by queue',
    lines: [
      ['foreground', 'ready.foreground'],
      ['background fetch', 'ready.background_fetch', 'dashed'],
      ['background analysis', 'ready.background_analysis'],
    ],
    format: count,
    isWhole: true,
  },
  {
    title: 'Jobs done and failed',
    lines: [
      ['completed', 'completed'],
      ['failed', 'failed', 'dashed'],
    ],
    format: count,
    isWhole: true,
  },
  {
    title: 'Login to fresh',
    lines: [
      ['p50', 'login_fresh_p50'],
      ['p99', 'login_fresh_p99', 'dashed'],
    ],
    format: wait,
  },
  { title: 'Slots that are busy', lines: [['busy', 'utilisation']], format: (value) => share(value === null ? null : value * 100, 0) },
];

/** The range stands in the address. */
export default function Charts() {
  const search = useSearch({ strict: false }) as { span?: string };
  const { span = '1h' } = search;
  const known: Span = span in SPANS ? (span as Span) : '1h';
  const navigate = useNavigate();
  const query = useHistory(known);
  return (
    <Panel
      title="Over time"
      aside={
        <span className="spans" role="group" aria-label="Range">
          {Object.entries(SPANS).map(([value, { name }]) => (
            <button
              key={value}
              type="button"
              className="tab"
              aria-pressed={value === known}
              onClick={() => void navigate({ to: '.', search: { ...search, span: value }, replace: true })}
            >
              {name}
            </button>
          ))}
        </span>
      }
    >
      <div className="panel-body">
        <Loaded query={query}>{(history) => <Lines history={history} />}</Loaded>
      </div>
    </Panel>
  );
}

function Lines({ history }: { history: History }) {
  const at = useMemo(() => history.at.map((text) => new Date(text).getTime()), [history]);
  return (
    <div className="charts">
      {CHARTS.map((chart) => (
        <Drawn key={chart.title} chart={chart} at={at} history={history} />
      ))}
    </div>
  );
}

/** The share of busy slots is made of the two that are stored. */
function valuesOf({ series, at }: History, name: string): (number | null)[] {
  if (name !== 'utilisation') return series[name] ?? at.map(() => null);
  return at.map((_, index) => {
    const slots = series.slots?.[index];
    return slots ? (series.busy?.[index] ?? 0) / slots : null;
  });
}

function Drawn({ chart: { title, lines, format, isWhole }, at, history }: { chart: Chart; at: readonly number[]; history: History }) {
  const drawn = useMemo(
    () => lines.map(([name, series, isDashed]): Line => ({ name, values: valuesOf(history, series), ...(isDashed && { isDashed: true }) })),
    [lines, history],
  );
  return <TimeChart title={title} at={at} lines={drawn} format={format} {...(isWhole && { isWhole })} />;
}
