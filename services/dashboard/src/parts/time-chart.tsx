/** Lines over time, drawn by uPlot: gaps stay gaps, one cursor over all charts of a page, the values under it as text. */
import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useMemo, useRef, useState } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { clock, tick } from '../format/times.ts';

export interface Line {
  name: string;
  /** null: not known then. */
  values: readonly (number | null)[];
  isDashed?: boolean;
}

interface TimeChartProps {
  title: string;
  /** Milliseconds. */
  at: readonly number[];
  lines: readonly Line[];
  format: (value: number | null) => string;
  height?: number;
  /** The values are counts. */
  isWhole?: boolean;
}

const COLOURS = 4;
/** Seconds: an axis that is longer names days. */
const LONG_S = 129_600;
const colour = (index: number): string =>
  getComputedStyle(document.documentElement)
    .getPropertyValue(`--chart-${(index % COLOURS) + 1}`)
    .trim();
const variable = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function TimeChart({ title, at, lines, format, height = 150, isWhole = false }: TimeChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const scheme = useComputedColorScheme('light');
  const [index, setIndex] = useState<number | null>(null);
  const names = lines.map(({ name, isDashed }) => `${name}${isDashed ? ' -' : ''}`).join('\n');
  const data = useMemo(() => [at.map((ms) => ms / 1000), ...lines.map(({ values }) => values)] as uPlot.AlignedData, [at, lines]);
  const newest = useRef({ data, format });
  newest.current = { data, format };

  // biome-ignore lint/correctness/useExhaustiveDependencies: colours are read anew for a scheme
  useEffect(() => {
    const element = box.current as HTMLDivElement;
    const size = () => ({ width: element.clientWidth, height });
    const drawn = new uPlot(
      options(names.split('\n'), { ...size(), isWhole, format: (value) => newest.current.format(value), onIndex: setIndex }),
      newest.current.data,
      element,
    );
    chart.current = drawn;
    const observer = new ResizeObserver(() => drawn.setSize(size()));
    observer.observe(element);
    return () => {
      observer.disconnect();
      drawn.destroy();
      chart.current = null;
    };
  }, [names, height, scheme, isWhole]);

  useEffect(() => chart.current?.setData(data), [data]);

  const place = index ?? lastKnown(lines);
  return (
    <div>
      <h3 className="chart-title">{title}</h3>
      <div ref={box} className="chart" role="img" aria-label={sentence(title, at, lines, format)} />
      <div className="chart-keys">
        {lines.map(({ name, values, isDashed }, line) => (
          <span
            key={name}
            className="chart-key"
            data-dash={isDashed || undefined}
            style={{ '--key': `var(--chart-${(line % COLOURS) + 1})` } as React.CSSProperties}
          >
            {name} {format(values[place] ?? null)}
          </span>
        ))}
        <span>{at[place] === undefined ? '' : `at ${clock(at[place] as number)}`}</span>
      </div>
    </div>
  );
}

function lastKnown(lines: readonly Line[]): number {
  return Math.max(0, ...lines.map(({ values }) => values.findLastIndex((value) => value !== null)));
}

/** For those who do not see the lines. */
function sentence(title: string, at: readonly number[], lines: readonly Line[], format: (value: number | null) => string): string {
  const parts = lines.map(({ name, values }) => {
    const known = values.filter((value) => value !== null);
    if (known.length === 0) return `${name}: nothing measured`;
    return `${name}: last ${format(known.at(-1) ?? null)}, lowest ${format(Math.min(...known))}, highest ${format(Math.max(...known))}`;
  });
  const range = at.length === 0 ? '' : ` From ${clock(at[0] as number)} to ${clock(at.at(-1) as number)}.`;
  return `${title}.${range} ${parts.join('; ')}.`;
}

interface Drawing {
  width: number;
  height: number;
  isWhole: boolean;
  format: (value: number) => string;
  onIndex: (index: number | null) => void;
}

const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 1_000_000];

/** Values with nothing on either side, which no line shows. */
function lonely(chart: uPlot, series: number): number[] {
  const values = chart.data[series] as (number | null)[];
  return values.flatMap((value, index) => (value != null && values[index - 1] == null && values[index + 1] == null ? [index] : []));
}

function options(names: string[], { width, height, isWhole, format, onIndex }: Drawing): uPlot.Options {
  const axis = {
    stroke: variable('--dim'),
    grid: { stroke: variable('--line'), width: 1 },
    ticks: { show: false },
    font: '11px system-ui',
  };
  return {
    width,
    height,
    cursor: { sync: { key: 'stockmesh' }, points: { size: 6 }, drag: { x: false, y: false } },
    legend: { show: false },
    scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), high === null || high === 0 ? 1 : high * 1.08] } },
    axes: [
      {
        ...axis,
        size: 24,
        space: 64,
        values: (_, ticks) => ticks.map((second) => tick(second * 1000, (ticks.at(-1) ?? 0) - (ticks[0] ?? 0) > LONG_S)),
      },
      { ...axis, size: 56, values: (_, ticks) => ticks.map(format), ...(isWhole && { incrs: WHOLE }) },
    ],
    series: [
      {},
      ...names.map((name, index) => ({
        label: name,
        stroke: colour(index),
        width: 1.5,
        spanGaps: false,
        points: { show: true, size: 4, filter: lonely },
        ...(name.endsWith(' -') && { dash: [5, 4] }),
      })),
    ],
    hooks: { setCursor: [(chart) => onIndex(chart.cursor.idx ?? null)] },
  };
}
