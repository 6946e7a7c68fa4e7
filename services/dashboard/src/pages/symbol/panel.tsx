import { Button, Checkbox, Chip, Group } from '@mantine/core';
import { useHotkeys } from '@mantine/hooks';
import { lazy, Suspense, useMemo, useRef, useState } from 'react';
import { count, price } from '../../format/numbers.ts';
import { Panel } from '../../parts/panel.tsx';
import { Empty, Loaded } from '../../parts/states.tsx';
import { type Column, Table } from '../../parts/table.tsx';
import type { PriceChart as Drawn } from './chart.ts';
import { type Bar, useBars, useIndicators } from './queries.ts';
import { OVERLAYS, type Overlay, PANES, type Pane, RANGES } from './shown.ts';

// The numbers of the page are there before the library that draws.
const PriceChart = lazy(() => import('./price-chart.tsx'));

const COLUMNS: Column<Bar>[] = [
  { id: 'date', title: 'Day', by: ({ date }) => date, cell: ({ date }) => date },
  ...(['open', 'high', 'low', 'close'] as const).map(
    (name): Column<Bar> => ({ id: name, title: name, align: 'right', by: (row) => row[name], cell: (row) => price(row[name]) }),
  ),
  { id: 'volume', title: 'volume', align: 'right', by: ({ volume }) => volume, cell: ({ volume }) => count(volume) },
];

/** The chart with all that can be chosen, and the same bars as a table. */
export function ChartPanel({ symbol }: { symbol: string }) {
  const [range, setRange] = useState('1Y');
  const [isAdjusted, setAdjusted] = useState(true);
  const [overlays, setOverlays] = useState<ReadonlySet<Overlay>>(new Set(['sma20', 'sma50']));
  const [panes, setPanes] = useState<ReadonlySet<Pane>>(new Set(['rsi', 'macd']));
  const [isTable, setTable] = useState(false);
  const drawn = useRef<Drawn>(undefined);
  const bars = useBars(symbol, isAdjusted);
  const { data: indicators } = useIndicators(symbol, isAdjusted);
  const shown = useMemo(() => bars.data && { bars: bars.data, indicators, overlays, panes }, [bars.data, indicators, overlays, panes]);
  useHotkeys([
    ...Object.keys(RANGES).map((name, at): [string, () => void] => [String(at + 1), () => setRange(name)]),
    ['a', () => setAdjusted((before) => !before)],
  ]);

  return (
    <Panel title="Daily prices" aside={<Ranges range={range} setRange={setRange} isAdjusted={isAdjusted} setAdjusted={setAdjusted} />}>
      <div className="panel-body stack">
        <Group gap="xs">
          <Choices name="Lines" of={OVERLAYS} chosen={overlays} choose={setOverlays} />
          <Choices name="Panes" of={PANES} chosen={panes} choose={setPanes} />
          <span className="grow" />
          <Button size="xs" variant="default" onClick={() => setTable(!isTable)} aria-pressed={isTable}>
            {isTable ? 'Show as chart' : 'Show as table'}
          </Button>
          <Button size="xs" variant="default" component="a" href={csvOf(symbol, isAdjusted)} download={`${symbol}.csv`}>
            CSV
          </Button>
          <Button size="xs" variant="default" disabled={isTable} onClick={() => drawn.current && save(drawn.current, symbol)}>
            PNG
          </Button>
        </Group>
        <Loaded query={bars}>
          {(data) => {
            if (data.bars.length === 0) return <Empty title="No prices yet">Press “Fetch now”.</Empty>;
            if (isTable || shown === undefined)
              return (
                <Table
                  name={`Daily prices of ${symbol}`}
                  columns={COLUMNS}
                  rows={data.bars}
                  rowKey={({ date }) => date}
                  sort={{ id: 'date', desc: true }}
                  height={520}
                />
              );
            return (
              <Suspense fallback={<div className="price-chart" />}>
                <PriceChart
                  symbol={symbol}
                  shown={shown}
                  range={range}
                  onDrawn={(made) => {
                    drawn.current = made;
                  }}
                />
              </Suspense>
            );
          }}
        </Loaded>
      </div>
    </Panel>
  );
}

interface RangesProps {
  range: string;
  setRange: (range: string) => void;
  isAdjusted: boolean;
  setAdjusted: (isAdjusted: boolean) => void;
}

function Ranges({ range, setRange, isAdjusted, setAdjusted }: RangesProps) {
  return (
    <>
      <span role="group" aria-label="Range" className="tabs">
        {Object.keys(RANGES).map((name) => (
          <button key={name} type="button" className="tab" aria-pressed={range === name} onClick={() => setRange(name)}>
            {name}
          </button>
        ))}
      </span>
      <Checkbox
        size="xs"
        label="Adjusted for splits and dividends"
        checked={isAdjusted}
        onChange={({ currentTarget }) => setAdjusted(currentTarget.checked)}
      />
    </>
  );
}

interface ChoicesProps<T extends string> {
  name: string;
  of: Record<T, string>;
  chosen: ReadonlySet<T>;
  choose: (chosen: ReadonlySet<T>) => void;
}

function Choices<T extends string>({ name, of, chosen, choose }: ChoicesProps<T>) {
  return (
    <span role="group" aria-label={name} className="chips">
      {(Object.keys(of) as T[]).map((one) => (
        <Chip
          key={one}
          size="xs"
          variant="outline"
          checked={chosen.has(one)}
          onChange={(on) => choose(new Set(on ? [...chosen, one] : [...chosen].filter((other) => other !== one)))}
        >
          {of[one]}
        </Chip>
      ))}
    </span>
  );
}

const csvOf = (symbol: string, isAdjusted: boolean): string =>
  `/v1/symbols/${encodeURIComponent(symbol)}/bars?format=csv&limit=5000&adjusted=${isAdjusted}`;

function save({ chart }: Drawn, symbol: string): void {
  const link = document.createElement('a');
  link.href = chart.takeScreenshot().toDataURL('image/png');
  link.download = `${symbol}.png`;
  link.click();
}
