/** What a message says: a template for each kind of event, and the frame round one or many. */

import { COMMAND } from '../platform/command-name.ts';
import type { EventName } from '../platform/outbox.ts';
import { adviceOn } from '../platform/registry/alert-advice.ts';
import { escaped } from '../platform/text/html.ts';
import { shellWord } from '../platform/text/shell-word.ts';
import type { Route, StoredEvent } from './routes.ts';
import { type Message, SHOWN } from './store/claim.ts';

interface Template {
  /** One line, without an end stop. */
  title(details: Details): string;
  /** What it means and what to do. */
  lines(details: Details): string[];
}

type Details = StoredEvent['details'];

/** A field as text; empty where it is missing. */
const text = (value: unknown): string => (value === null || value === undefined ? '' : String(value));

const listed = (...lines: readonly (string | undefined)[]): string[] =>
  lines.filter((line) => line !== undefined && line !== '') as string[];

function endedJob(what: string): Template {
  return {
    title: ({ state, type, symbol }) => `${what}${text(symbol) === '' ? '' : ` of ${text(symbol)}`}: ${stateOf(state ?? type)}`,
    lines: ({ job_id, reason }) => listed(text(reason), `Look at it: ${COMMAND} job ${text(job_id)}`),
  };
}

const stateOf = (state: unknown): string => text(state).replaceAll('_', ' ');

const TEMPLATES: Record<EventName, Template> = {
  'alert.raised': {
    title: ({ alert, told_before }) => `alert ${text(alert)}${told_before === undefined ? '' : ' still lasts'}`,
    lines: ({ alert, text: what, since }) =>
      listed(text(what), since === undefined ? undefined : `Since ${text(since)}.`, ...adviceOn(text(alert))),
  },
  'alert.cleared': {
    title: ({ alert }) => `alert ${text(alert)} is over`,
    lines: ({ text: what }) => listed(text(what)),
  },
  'job.failed': {
    title: ({ type, symbol }) => `${text(type)} job${text(symbol) === '' ? '' : ` of ${text(symbol)}`} failed`,
    lines: ({ job_id, reason }) =>
      listed(text(reason), `Look at it: ${COMMAND} job ${text(job_id)}`, `Start it again: ${COMMAND} retry ${text(job_id)}`),
  },
  'history.ended': endedJob('Download'),
  'backfill.ended': endedJob('Back-fill'),
  'picks.ready': {
    title: ({ user, week, version }) =>
      `Picks of ${text(user)} for the week of ${text(week)} are ready${version === 1 ? '' : ` (version ${text(version)})`}`,
    lines: ({ user, week, summary }) => [text(summary), `Read them: ${COMMAND} picks show ${shellWord(text(user))} --week ${text(week)}`],
  },
  'notify.test': {
    title: () => 'a test of this route',
    lines: ({ by }) => [`Somebody tried this route with "${COMMAND} notify test" (${text(by)}). Nothing is wrong.`],
  },
};

export interface Rendered {
  subject: string;
  text: string;
  html: string;
}

/** How its receiver ends messages of this kind. */
export interface Stop {
  who: string;
  /** Names of events. */
  events: readonly string[];
  /** Where one click does it; without it a command is named. */
  url: string | undefined;
}

const SUBJECT_LIMIT = 150;

/** The message in its two forms. Of many events it shows the first ones and counts the rest. `stop`: of a message to a person. */
export function render(
  message: Pick<Message, 'events' | 'eventCount' | 'severity' | 'isLastOfDay'> & { route: Pick<Route, 'name'> },
  stop?: Stop,
): Rendered {
  const { events, eventCount, route, severity, isLastOfDay } = message;
  const parts = events.map(({ name, details, at }) => ({
    title: TEMPLATES[name].title(details),
    lines: TEMPLATES[name].lines(details),
    at,
  }));
  const first = parts[0]?.title ?? 'events that were deleted meanwhile (notify.keep_days)';
  const more = eventCount - 1;
  const subject = oneLine(`[stockmesh] ${severity === 'critical' ? 'CRITICAL: ' : ''}${first}${more > 0 ? ` and ${more} more` : ''}`).slice(
    0,
    SUBJECT_LIMIT,
  );
  const hidden = eventCount - parts.length;
  const foot = listed(
    hidden > 0 ? `${hidden} more events of this kind are not shown (the first ${SHOWN} are).` : undefined,
    isLastOfDay ? 'This is the last message for 24 hours, critical ones aside (notify.daily_cap).' : undefined,
    `Route "${route.name}" of stockmesh. What was told lately: ${COMMAND} notify list`,
    stop?.url === undefined ? commandToStop(stop) : undefined,
  );
  const link = stop?.url === undefined ? undefined : { text: `Stop messages of this kind (${stop.events.join(', ')})`, url: stop.url };
  return {
    subject,
    text: `${parts.map(({ title, lines, at }) => `${title}\n${at.toISOString()}\n${lines.map((line) => `${line}\n`).join('')}`).join('\n')}\n-- \n${foot.join('\n')}\n${link === undefined ? '' : `${link.text}: ${link.url}\n`}`,
    html: page(parts, foot, link),
  };
}

function commandToStop(stop: Stop | undefined): string | undefined {
  if (stop === undefined || stop.events.length === 0) return undefined;
  return `To stop messages of this kind: ${COMMAND} notify unsubscribe ${[stop.who, ...stop.events].map(shellWord).join(' ')}`;
}

function page(
  parts: readonly { title: string; lines: string[]; at: Date }[],
  foot: readonly string[],
  link: { text: string; url: string } | undefined,
): string {
  const lines = [...foot.map(escaped), ...(link === undefined ? [] : [`<a href="${escaped(link.url)}">${escaped(link.text)}</a>`])];
  const sections = parts.map(
    ({ title, lines, at }) =>
      `<h2 style="font-size:16px;margin:16px 0 4px">${escaped(title)}</h2><p style="margin:0;color:#666">${at.toISOString()}</p>${lines
        .map((line) => `<p style="margin:4px 0">${escaped(line)}</p>`)
        .join('')}`,
  );
  return `<!doctype html><html lang="en"><body style="font-family:sans-serif;font-size:14px">${sections.join('')}<hr><p style="color:#666">${lines.join('<br>')}</p></body></html>`;
}

/** A line break in a subject would end the header. */
const oneLine = (line: string): string => line.replace(/\s+/g, ' ');
