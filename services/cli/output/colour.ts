/** Colours by meaning, on terminals only. `styleText` checks the stream, NO_COLOR and FORCE_COLOR. */
import { styleText } from 'node:util';
import type { State } from '../../ledger/job.ts';

export type Style = Parameters<typeof styleText>[0];

export function paint(style: Style, text: string, stream: NodeJS.WritableStream = process.stdout): string {
  return styleText(style, text, { stream });
}

const STATE_STYLES: Record<State, Style | undefined> = {
  scheduled: 'dim',
  blocked: 'dim',
  ready: undefined,
  running: 'cyan',
  completed: 'green',
  completed_with_errors: 'yellow',
  failed: 'red',
  cancelled: 'dim',
  expired: 'yellow',
};

export function paintState(text: string, state: State, stream?: NodeJS.WritableStream): string {
  const style = STATE_STYLES[state];
  return style === undefined ? text : paint(style, text, stream);
}

const FRESHNESS_STYLES = { fresh: 'green', outdated: 'magenta', stale: 'yellow', missing: 'red' } as const;

export function paintFreshness(text: string, state: keyof typeof FRESHNESS_STYLES): string {
  return paint(FRESHNESS_STYLES[state], text);
}

const SIGNAL_STYLES = { buy: 'green', sell: 'red', hold: 'dim' } as const;

export function paintSignal(text: string, signal: string | null): string {
  const style = SIGNAL_STYLES[signal as keyof typeof SIGNAL_STYLES];
  return style === undefined ? text : paint(style, text);
}
