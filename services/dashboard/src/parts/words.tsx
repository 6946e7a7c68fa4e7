/** Small words that every page writes the same way: states, freshness, moments, changes, ids. */
import { Tooltip } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';
import type { JobState, Schemas } from '../data/client.ts';
import { NONE, percent } from '../format/numbers.ts';
import { moment, momentHint } from '../format/times.ts';
import { useNow } from './now.ts';
import { useTimeStyle } from './time-style.ts';

/** `tone` gives a colour; mark and word say the same without it. */
const STATES: Record<JobState, { mark: string; word: string; tone: string }> = {
  scheduled: { mark: '◷', word: 'scheduled', tone: 'calm' },
  blocked: { mark: '◫', word: 'blocked', tone: 'calm' },
  ready: { mark: '○', word: 'ready', tone: 'calm' },
  running: { mark: '▶', word: 'running', tone: 'busy' },
  completed: { mark: '✓', word: 'completed', tone: 'good' },
  completed_with_errors: { mark: '◐', word: 'with errors', tone: 'warn' },
  failed: { mark: '✕', word: 'failed', tone: 'bad' },
  cancelled: { mark: '⊘', word: 'cancelled', tone: 'calm' },
  expired: { mark: '⌛', word: 'expired', tone: 'warn' },
};

export const stateWord = (state: JobState): string => STATES[state].word;

export function Mark({ tone, mark, children }: { tone: string; mark: string; children: ReactNode }) {
  return (
    <span className="mark" data-tone={tone}>
      <span aria-hidden="true">{mark}</span> {children}
    </span>
  );
}

export function StateMark({ state }: { state: JobState }) {
  const { mark, word, tone } = STATES[state];
  return (
    <Mark tone={tone} mark={mark}>
      {word}
    </Mark>
  );
}

type FreshState = Schemas['Freshness']['state'];
const FRESH: Record<FreshState, { mark: string; tone: string }> = {
  fresh: { mark: '●', tone: 'good' },
  outdated: { mark: '◑', tone: 'calm' },
  stale: { mark: '◔', tone: 'warn' },
  missing: { mark: '○', tone: 'bad' },
};

export function FreshMark({ state, reason }: { state: FreshState; reason?: string }) {
  const shown = <Mark {...FRESH[state]}>{state}</Mark>;
  return reason === undefined ? shown : <Hint text={reason}>{shown}</Hint>;
}

/** Text that tells more on hover and focus. */
export function Hint({ text, children }: { text: string; children: ReactNode }) {
  return (
    <Tooltip label={<span className="hint-text">{text}</span>}>
      <span className="hint" tabIndex={0}>
        {children}
      </span>
    </Tooltip>
  );
}

const AGES_MS = 10_000;
const NEVER_MS = 2_147_483_647;

/** A moment as it is chosen for all pages. */
export function Moment({ at }: { at: string | null | undefined }) {
  useNow(useTimeStyle() === 'relative' ? AGES_MS : NEVER_MS);
  if (at == null) return <>{NONE}</>;
  return (
    <Hint text={momentHint(at)}>
      <time dateTime={at}>{moment(at)}</time>
    </Hint>
  );
}

/** A change: sign and arrow say what the colour does. */
export function Change({ value, text = percent(value) }: { value: number | null | undefined; text?: string }) {
  if (value == null) return <>{NONE}</>;
  const isFlat = !/[1-9]/.test(text);
  const tone = isFlat ? 'calm' : value > 0 ? 'up' : 'down';
  return (
    <span className="change" data-tone={tone}>
      {text}
      <span aria-hidden="true">{isFlat ? '' : value > 0 ? ' ▲' : ' ▼'}</span>
    </span>
  );
}

/** For each page that shows a price which is none. */
export function Simulated({ when }: { when: boolean }) {
  if (!when) return null;
  return (
    <Hint text="These prices are made up: no source could be asked. They are good for trying the mesh and for nothing else.">
      <span className="badge">simulated</span>
    </Hint>
  );
}

/** The clipboard of a browser needs HTTPS or this machine; elsewhere the text is selected in a field. */
export async function copyText(text: string): Promise<void> {
  if (navigator.clipboard === undefined) copyByField(text);
  else await navigator.clipboard.writeText(text);
}

/** A button that copies the text. */
export function Copy({ text, name }: { text: string; name: string }) {
  const [done, setDone] = useState(false);
  async function copy(): Promise<void> {
    await copyText(text);
    setDone(true);
    setTimeout(() => setDone(false), 1_500);
  }
  return (
    <button type="button" className="copy" aria-label={`Copy ${name}`} onClick={() => void copy()}>
      {done ? '✓ copied' : 'copy'}
    </button>
  );
}

function copyByField(text: string): void {
  const field = document.createElement('textarea');
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand('copy');
  field.remove();
}

export function SymbolLink({ symbol }: { symbol: string }) {
  return (
    <Link to="/symbols/$symbol" params={{ symbol }}>
      {symbol}
    </Link>
  );
}
