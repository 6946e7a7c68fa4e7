import { useComputedColorScheme } from '@mantine/core';
import { type KeyboardEvent, useEffect, useRef, useState } from 'react';
import { count, price } from '../../format/numbers.ts';
import { type PriceChart as Drawn, drawChart } from './chart.ts';
import type { Bar } from './queries.ts';
import { RANGES, type Shown } from './shown.ts';

function barsIn(range: string, bars: readonly Bar[]): number {
  const most = RANGES[range];
  if (most === undefined) return bars.length;
  if (most > 0) return Math.min(most, bars.length);
  const year = bars.at(-1)?.date.slice(0, 4) ?? '';
  return Math.max(2, bars.filter(({ date }) => date.startsWith(year)).length);
}

interface ChartProps {
  symbol: string;
  shown: Shown;
  range: string;
  /** Gives the chart to the one who exports it as a picture. */
  onDrawn: (drawn: Drawn | undefined) => void;
}

/** Left and right move the cursor, and its values are read out; so a chart without a pointer is a chart too. */
export default function PriceChart({ symbol, shown, range, onDrawn }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const drawn = useRef<Drawn>(undefined);
  const scheme = useComputedColorScheme('light');
  const { bars } = shown.bars;
  const [at, setAt] = useState<number>();

  // biome-ignore lint/correctness/useExhaustiveDependencies: the colours of another scheme are drawn anew
  useEffect(() => {
    const made = drawChart(box.current as HTMLDivElement, shown);
    drawn.current = made;
    onDrawn(made);
    made.chart.subscribeCrosshairMove(({ logical }) => setAt(logical === undefined ? undefined : Math.round(logical)));
    return () => {
      onDrawn(undefined);
      drawn.current = undefined;
      made.remove();
    };
  }, [shown, scheme]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a chart that is drawn anew shows the same range
  useEffect(() => {
    const last = bars.length;
    drawn.current?.chart.timeScale().setVisibleLogicalRange({ from: last - barsIn(range, bars), to: last + 1 });
  }, [range, shown, scheme]);

  const bar = bars[Math.max(0, Math.min(at ?? bars.length - 1, bars.length - 1))];
  function move(event: KeyboardEvent): void {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = Math.max(0, Math.min((at ?? bars.length) + step, bars.length - 1));
    setAt(next);
    const target = bars[next];
    if (target && drawn.current) drawn.current.chart.setCrosshairPosition(target.close, target.date, drawn.current.candles);
  }
  return (
    <div>
      <p className="legend" aria-live="polite" data-testid="legend">
        {bar && (
          <>
            <strong>{bar.date}</strong> open {price(bar.open)} high {price(bar.high)} low {price(bar.low)} close{' '}
            <strong>{price(bar.close)}</strong> volume {count(bar.volume)}
          </>
        )}
      </p>
      <div ref={box} className="price-chart" role="img" tabIndex={0} aria-label={sentence(symbol, bars)} onKeyDown={move} />
    </div>
  );
}

function sentence(symbol: string, bars: readonly Bar[]): string {
  const [first, last] = [bars[0], bars.at(-1)];
  if (first === undefined || last === undefined) return `${symbol}: no prices`;
  const low = Math.min(...bars.map((bar) => bar.low));
  const high = Math.max(...bars.map((bar) => bar.high));
  return `Daily prices of ${symbol} from ${first.date} to ${last.date}: last ${price(last.close)}, lowest ${price(low)}, highest ${price(high)}. Left and right move the cursor.`;
}
