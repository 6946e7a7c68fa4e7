/** Volatility by strike, by expiration and over time, drawn by uPlot; the same as tables. */
import { Button, useComputedColorScheme } from '@mantine/core';
import { useEffect, useMemo, useRef, useState } from 'react';
import uPlot from 'uplot';
import { decimal, NONE, price, share } from '../../format/numbers.ts';
import { Panel } from '../../parts/panel.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { Table } from '../../parts/table.tsx';
import { Moment, Simulated } from '../../parts/words.tsx';
import { type Asking, isNotThere, NotRanked } from './ask.tsx';
import type { Search } from './filters.ts';
import { type Ranking, useVolatility, type Volatility } from './queries.ts';
import { dayName } from './words.ts';

interface VolatilityProps {
  symbol: string;
  search: Search;
  change: (changes: Search) => void;
  asking: Asking;
  hasChain: boolean | undefined;
  /** Of the ranking, where there is none. */
  state: Ranking['state'];
}

/** Lines of one plot: as many as there are colours. */
const MOST_LINES = 4;
const percent = (iv: number | null): string => share(iv === null ? null : iv * 100);

export default function VolatilityTab({ symbol, search, change, asking, hasChain, state }: VolatilityProps) {
  const query = useVolatility(symbol, undefined, hasChain === true);
  const isTable = search.as === 'table';
  if (hasChain === false || (isNotThere(query.error) && query.data === undefined))
    return (
      <Panel title="Volatility">
        <NotRanked state={state} asking={asking} />
      </Panel>
    );
  return (
    <Loaded query={query}>
      {(data) => (
        <div className="columns even">
          <Panel
            title="Smile: by strike"
            aside={
              <>
                <Simulated when={data.simulated} />
                <Button size="xs" variant="default" aria-pressed={isTable} onClick={() => change({ as: isTable ? undefined : 'table' })}>
                  {isTable ? 'Show as charts' : 'Show as tables'}
                </Button>
              </>
            }
          >
            <Smile data={data} search={search} change={change} isTable={isTable} />
          </Panel>
          <div className="stack">
            <Panel title="Term structure: by expiration, at the money">
              <Term data={data} isTable={isTable} />
            </Panel>
            <Panel title="By session: at the money in 30 days">
              <History data={data} isTable={isTable} />
            </Panel>
          </div>
        </div>
      )}
    </Loaded>
  );
}

/** The expirations that the address names; else the nearest that have not come. */
function chosenOf({ smiles }: Volatility, { smile }: Search): Volatility['smiles'] {
  const asked = smile?.split(',') ?? [];
  const found = smiles.filter(({ expiry }) => asked.includes(expiry));
  if (smile !== undefined) return found.slice(0, MOST_LINES);
  const open = smiles.filter(({ days, points }) => days > 0 && points.length > 4);
  // Near and far: one beside the next is the same line.
  return [0, 3, 8, 12].flatMap((at) => open[at] ?? []);
}

interface SmileProps extends Pick<VolatilityProps, 'search' | 'change'> {
  data: Volatility;
  isTable: boolean;
}

function Smile({ data, search, change, isTable }: SmileProps) {
  const chosen = chosenOf(data, search);
  const names = chosen.map(({ expiry }) => expiry);
  const toggle = (expiry: string) =>
    change({
      smile: (names.includes(expiry) ? names.filter((one) => one !== expiry) : [...names, expiry].slice(-MOST_LINES)).join(',') || 'none',
    });
  const strikes = useMemo(
    () => [...new Set(chosen.flatMap(({ points }) => points.map(({ strike }) => strike)))].sort((a, b) => a - b),
    [chosen],
  );
  const lines = chosen.map(({ expiry, days, points }) => {
    const ivOf = new Map(points.map(({ strike, iv }) => [strike, iv]));
    return { name: `${dayName(expiry)} · ${days} d`, values: strikes.map((strike) => ivOf.get(strike) ?? null) };
  });
  if (data.smiles.length === 0) return <Empty title="No volatility by strike">No contract out of the money has a volatility.</Empty>;
  return (
    <div className="panel-body stack">
      <div className="chips" role="group" aria-label="Expirations of the smile">
        {data.smiles.map(({ expiry, days }) => (
          <button key={expiry} type="button" className="tab" aria-pressed={names.includes(expiry)} onClick={() => toggle(expiry)}>
            {dayName(expiry)} <span className="tab-count">{days} d</span>
          </button>
        ))}
      </div>
      {chosen.length === 0 ? (
        <Empty title="No expiration is chosen">Choose up to {MOST_LINES} above.</Empty>
      ) : isTable ? (
        <Table
          name="Volatility by strike"
          columns={[
            { id: 'strike', title: 'Strike', align: 'right', by: ({ strike }) => strike, cell: ({ strike }) => price(strike) },
            ...lines.map(({ name }, at) => ({
              ...{ id: name, title: name, align: 'right' as const },
              cell: ({ ivs }: { ivs: (number | null)[] }) => percent(ivs[at] ?? null),
            })),
          ]}
          rows={strikes.map((strike, at) => ({ strike, ivs: lines.map(({ values }) => values[at] ?? null) }))}
          rowKey={({ strike }) => String(strike)}
          height={520}
        />
      ) : (
        <CurveChart
          title="Volatility by strike"
          at={strikes}
          lines={lines}
          xText={(strike) => `strike ${price(strike)}`}
          mark={data.spot}
          height={360}
        />
      )}
      <p className="dim">
        Contracts out of the money: puts below the spot {price(data.spot)}, calls from it on. Quoted <Moment at={data.as_of} />.
      </p>
    </div>
  );
}

function Term({ data: { term }, isTable }: { data: Volatility; isTable: boolean }) {
  if (term.length === 0) return <Empty title="No volatility at the money" />;
  if (isTable)
    return (
      <Table
        name="Volatility by expiration"
        columns={[
          { id: 'expiry', title: 'Expiration', by: ({ expiry }) => expiry, cell: ({ expiry }) => dayName(expiry) },
          { id: 'days', title: 'Days', align: 'right', by: ({ days }) => days, cell: ({ days }) => days },
          { id: 'iv', title: 'IV at the money', align: 'right', by: ({ atm_iv }) => atm_iv, cell: ({ atm_iv }) => percent(atm_iv) },
        ]}
        rows={term}
        rowKey={({ expiry }) => expiry}
        height={320}
      />
    );
  return (
    <div className="panel-body">
      <CurveChart
        title="At the money, by days left"
        at={term.map(({ days }) => days)}
        lines={[{ name: 'IV', values: term.map(({ atm_iv }) => atm_iv) }]}
        xText={(days) => `${days} days`}
        height={180}
      />
    </div>
  );
}

function History({ data: { history }, isTable }: { data: Volatility; isTable: boolean }) {
  if (history.length < 2)
    return (
      <Empty title={history.length === 0 ? 'No session yet' : 'One session so far'}>
        Each ranking keeps the volatility of its session. With 20 of them there is an IV rank.
      </Empty>
    );
  if (isTable)
    return (
      <Table
        name="Volatility by session"
        columns={[
          { id: 'date', title: 'Session', by: ({ date }) => date, cell: ({ date }) => date },
          { id: 'iv', title: 'IV', align: 'right', by: ({ iv }) => iv, cell: ({ iv }) => percent(iv) },
        ]}
        rows={history}
        rowKey={({ date }) => date}
        sort={{ id: 'date', desc: true }}
        height={320}
      />
    );
  return (
    <div className="panel-body">
      <CurveChart
        title="At the money in 30 days, by session"
        at={history.map((_, index) => index)}
        lines={[{ name: 'IV', values: history.map(({ iv }) => iv) }]}
        xText={(index) => history[index]?.date ?? NONE}
        xTick={(index) => (Number.isInteger(index) ? (history[index]?.date.slice(5) ?? '') : '')}
        height={140}
      />
    </div>
  );
}

interface Curve {
  name: string;
  values: readonly (number | null)[];
}

interface CurveProps {
  title: string;
  at: readonly number[];
  lines: readonly Curve[];
  /** The place in words, and on the axis. */
  xText: (at: number) => string;
  xTick?: (at: number) => string;
  /** Where a dashed line stands. */
  mark?: number | null;
  height: number;
}

const variable = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]];

/** Left and right move the cursor, whose values stand below. Lines differ by dash as well as by colour. */
function CurveChart({
  title,
  at,
  lines,
  xText,
  xTick = (value) => decimal(value, value % 1 === 0 ? 0 : 1),
  mark = null,
  height,
}: CurveProps) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot>(null);
  const scheme = useComputedColorScheme('light');
  const [index, setIndex] = useState<number | null>(null);
  const drawn = JSON.stringify([at, lines, mark, height]);
  const tick = useRef(xTick);
  tick.current = xTick;
  // biome-ignore lint/correctness/useExhaustiveDependencies: drawn anew when what is drawn changes, or the scheme, whose colours are read
  useEffect(() => {
    const element = box.current as HTMLDivElement;
    const size = () => ({ width: element.clientWidth, height });
    const options = curveOptions(lines, { ...size(), mark, tick: (value) => tick.current(value), onIndex: setIndex });
    const made = new uPlot(options, [[...at], ...lines.map(({ values }) => [...values])], element);
    chart.current = made;
    const observer = new ResizeObserver(() => made.setSize(size()));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      chart.current = null;
    };
  }, [drawn, scheme]);
  function move(event: React.KeyboardEvent): void {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = Math.max(0, Math.min((index ?? (step > 0 ? -1 : at.length)) + step, at.length - 1));
    setIndex(next);
    chart.current?.setCursor({ left: chart.current.valToPos(at[next] ?? 0, 'x'), top: 0 });
  }
  return (
    <div>
      <div
        ref={box}
        className="chart"
        role="img"
        tabIndex={0}
        aria-label={sentence(title, at, lines, xText)}
        onKeyDown={move}
        style={{ minHeight: height }}
      />
      <div className="chart-keys" aria-live="polite">
        {lines.map(({ name, values }, line) => (
          <span
            key={name}
            className="chart-key curve-key"
            data-line={line}
            style={{ '--key': `var(--chart-${line + 1})` } as React.CSSProperties}
          >
            {name} {index !== null && percent(values[index] ?? null)}
          </span>
        ))}
        {index !== null && at[index] !== undefined && <span>at {xText(at[index])}</span>}
      </div>
    </div>
  );
}

function sentence(title: string, at: readonly number[], lines: readonly Curve[], xText: (at: number) => string): string {
  const range = at.length === 0 ? '' : ` From ${xText(at[0] as number)} to ${xText(at.at(-1) as number)}.`;
  const parts = lines.map(({ name, values }) => {
    const known = values.filter((value) => value !== null);
    return known.length === 0 ? `${name}: none` : `${name}: lowest ${percent(Math.min(...known))}, highest ${percent(Math.max(...known))}`;
  });
  return `${title}.${range} ${parts.join('; ')}. Left and right move the cursor.`;
}

interface Drawing {
  width: number;
  height: number;
  mark: number | null;
  tick: (value: number) => string;
  onIndex: (index: number | null) => void;
}

function curveOptions(lines: readonly Curve[], { width, height, mark, tick, onIndex }: Drawing): uPlot.Options {
  const axis = {
    stroke: variable('--dim'),
    grid: { stroke: variable('--line'), width: 1 },
    ticks: { show: false },
    font: '11px system-ui',
  };
  return {
    ...{ width, height, legend: { show: false }, cursor: { points: { size: 6 }, drag: { x: false, y: false } } },
    scales: {
      x: { time: false },
      y: { range: (_, low, high) => [Math.max(0, low - (high - low || low) * 0.15), high + (high - low || high) * 0.1] },
    },
    axes: [
      { ...axis, size: 24, values: (_, ticks) => ticks.map((value) => tick(value)) },
      { ...axis, size: 56, values: (_, ticks) => ticks.map((value) => share(value * 100)) },
    ],
    series: [
      {},
      ...lines.map(({ name }, line) => ({
        ...{ label: name, stroke: variable(`--chart-${line + 1}`), width: 1.5, spanGaps: true, dash: DASHES[line] ?? [] },
        points: { show: lines.length === 1, size: 4 },
      })),
    ],
    hooks: {
      setCursor: [(chart) => onIndex(chart.cursor.idx ?? null)],
      draw: [(chart) => mark !== null && drawMark(chart, mark)],
    },
  };
}

function drawMark(chart: uPlot, mark: number): void {
  const x = chart.valToPos(mark, 'x', true);
  const { top, height } = chart.bbox;
  chart.ctx.save();
  chart.ctx.strokeStyle = variable('--line-strong');
  chart.ctx.setLineDash([4, 4]);
  chart.ctx.beginPath();
  chart.ctx.moveTo(x, top);
  chart.ctx.lineTo(x, top + height);
  chart.ctx.stroke();
  chart.ctx.restore();
}
