/** What of a symbol's chart can be chosen. */
import type { Bars, Indicators } from './queries.ts';

/** Bars that a range shows; the whole is `undefined`. */
export const RANGES: Record<string, number | undefined> = { '1M': 22, '3M': 64, '6M': 127, YTD: -1, '1Y': 252, '5Y': 1260, all: undefined };

export const OVERLAYS = { sma20: 'SMA 20', sma50: 'SMA 50', sma200: 'SMA 200', ema20: 'EMA 20', bollinger: 'Bollinger' } as const;
export const PANES = { rsi: 'RSI 14', macd: 'MACD', atr: 'ATR 14' } as const;
export type Overlay = keyof typeof OVERLAYS;
export type Pane = keyof typeof PANES;

export interface Shown {
  bars: Bars;
  indicators: Indicators | undefined;
  overlays: ReadonlySet<Overlay>;
  panes: ReadonlySet<Pane>;
}
