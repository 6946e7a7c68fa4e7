/** How moments are written on all pages, remembered by the browser. */
import { useSyncExternalStore } from 'react';
import { type TimeStyle, timeStyle, writeTimesAs } from '../format/times.ts';

export type { TimeStyle };
export const TIME_STYLES: Record<TimeStyle, string> = {
  local: 'In your time zone',
  utc: 'UTC',
  relative: 'How long ago',
};

const KEPT = 'stockmesh-times';
const watchers = new Set<() => void>();

function become(style: string | null): void {
  writeTimesAs(style !== null && style in TIME_STYLES ? (style as TimeStyle) : 'local');
  for (const watch of watchers) watch();
}

export function setTimeStyle(style: TimeStyle): void {
  localStorage.setItem(KEPT, style);
  become(style);
}

/** Also when another tab chooses. */
export function startTimes(): void {
  become(localStorage.getItem(KEPT));
  window.addEventListener('storage', ({ key, newValue }) => key === KEPT && become(newValue));
}

const watch = (callback: () => void) => {
  watchers.add(callback);
  return () => watchers.delete(callback);
};

export const useTimeStyle = (): TimeStyle => useSyncExternalStore(watch, timeStyle);
