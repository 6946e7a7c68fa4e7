/** The price chart: candles with volume and lines, panes for oscillators, splits and dividends as markers. Drawn by lightweight-charts. */
import {
  CandlestickSeries,
  ColorType,
  createChart,
  createSeriesMarkers,
  HistogramSeries,
  type IChartApi,
  type ISeriesApi,
  LineSeries,
  LineStyle,
  type SeriesMarker,
  type Time,
} from 'lightweight-charts';
import type { Bar, Bars, Indicators } from './queries.ts';
import type { Overlay, Pane, Shown } from './shown.ts';

export interface PriceChart {
  chart: IChartApi;
  candles: ISeriesApi<'Candlestick'>;
  remove(): void;
}

const variable = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

interface Line {
  /** In the answer of the API. */
  name: string;
  colour: string;
  style?: LineStyle;
}

const LINES: Record<Overlay, readonly Line[]> = {
  sma20: [{ name: 'sma20', colour: '--chart-1' }],
  sma50: [{ name: 'sma50', colour: '--chart-2', style: LineStyle.Dashed }],
  sma200: [{ name: 'sma200', colour: '--chart-4' }],
  ema20: [{ name: 'ema20', colour: '--chart-3', style: LineStyle.Dotted }],
  bollinger: ['bollinger_upper', 'bollinger_middle', 'bollinger_lower'].map((name) => ({ name, colour: '--dim', style: LineStyle.Dotted })),
};
const PANE_LINES: Record<Pane, readonly Line[]> = {
  rsi: [{ name: 'rsi14', colour: '--chart-1' }],
  macd: [
    { name: 'macd', colour: '--chart-1' },
    { name: 'macd_signal', colour: '--chart-2', style: LineStyle.Dashed },
  ],
  atr: [{ name: 'atr14', colour: '--chart-3' }],
};

/** Draws into an element; colours are those of the present scheme, so it is drawn anew when that changes. */
export function drawChart(element: HTMLElement, { bars, indicators, overlays, panes }: Shown): PriceChart {
  const chart = createChart(element, {
    autoSize: true,
    layout: {
      background: { type: ColorType.Solid, color: variable('--raised') },
      textColor: variable('--dim'),
      fontFamily: 'system-ui',
      // The notice that the licence demands stands at the foot of the page: the logo brings a style that the content policy refuses.
      attributionLogo: false,
      panes: { separatorColor: variable('--line') },
    },
    grid: { vertLines: { color: variable('--line') }, horzLines: { color: variable('--line') } },
    rightPriceScale: { borderColor: variable('--line') },
    timeScale: { borderColor: variable('--line') },
    localization: { locale: 'en-GB', dateFormat: 'yyyy-MM-dd' },
  });
  const candles = addCandles(chart, bars.bars);
  addVolume(chart, bars.bars);
  createSeriesMarkers(candles, markersOf(bars));
  for (const overlay of overlays) for (const line of LINES[overlay]) addLine(chart, line, indicators, 0);
  [...panes].forEach((pane, at) => {
    for (const line of PANE_LINES[pane]) addLine(chart, line, indicators, at + 1);
  });
  chart.panes().forEach((pane, at) => {
    pane.setStretchFactor(at === 0 ? 3 : 1);
  });
  return { chart, candles, remove: () => chart.remove() };
}

function addCandles(chart: IChartApi, bars: readonly Bar[]): ISeriesApi<'Candlestick'> {
  const [up, down] = [variable('--good'), variable('--bad')];
  // A rising day is hollow and a falling one filled: the colour is not needed to tell them apart.
  const candles = chart.addSeries(CandlestickSeries, {
    upColor: variable('--raised'),
    downColor: down,
    borderUpColor: up,
    borderDownColor: down,
    wickUpColor: up,
    wickDownColor: down,
  });
  // A day is a text: as a moment it would be the day before west of Greenwich.
  candles.setData(bars.map(({ date, open, high, low, close }) => ({ time: date, open, high, low, close })));
  candles.priceScale().applyOptions({ scaleMargins: { top: 0.06, bottom: 0.24 } });
  return candles;
}

function addVolume(chart: IChartApi, bars: readonly Bar[]): void {
  const volume = chart.addSeries(HistogramSeries, {
    priceScaleId: 'volume',
    priceFormat: { type: 'volume' },
    lastValueVisible: false,
    priceLineVisible: false,
  });
  volume.setData(bars.map(({ date, volume: value }) => ({ time: date, value, color: variable('--line-strong') })));
  volume.priceScale().applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
}

function addLine(chart: IChartApi, { name, colour, style }: Line, indicators: Indicators | undefined, pane: number): void {
  const values = indicators?.indicators[name];
  if (indicators === undefined || values === undefined) return;
  const line = chart.addSeries(
    LineSeries,
    {
      color: variable(colour),
      lineWidth: 1,
      lineStyle: style ?? LineStyle.Solid,
      priceLineVisible: false,
      lastValueVisible: pane > 0,
      title: pane > 0 ? name.replaceAll('_', ' ').toUpperCase() : '',
      crosshairMarkerVisible: false,
    },
    pane,
  );
  line.setData(indicators.dates.map((time, at) => (values[at] == null ? { time } : { time, value: values[at] })));
}

function markersOf({ bars, actions }: Bars): SeriesMarker<Time>[] {
  const days = new Set(bars.map(({ date }) => date));
  return actions
    .filter(({ date }) => days.has(date))
    .sort((one, other) => one.date.localeCompare(other.date))
    .map(({ date, kind }) => ({
      time: date,
      position: 'belowBar',
      shape: kind === 'split' ? 'square' : 'circle',
      color: variable('--busy'),
      text: kind === 'split' ? 'S' : 'D',
    }));
}
