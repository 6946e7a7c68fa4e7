/** Chat rooms and other receivers of HTTP: one POST a message. */
import { codeOf, messageOf } from '../../platform/errors.ts';
import type { Route, StoredEvent } from '../routes.ts';
import type { Rendered } from '../templates.ts';
import type { Outcome } from './outcome.ts';

export type Format = NonNullable<Route['to']['webhook']>['format'];

export interface Post extends Rendered {
  /** Of the message, the same for each try. */
  id: string;
  route: string;
  severity: string;
  events: readonly StoredEvent[];
  eventCount: number;
}

/** Characters of a message that each takes; longer text is cut. Sources: the documentation of each. */
const LIMITS: Record<Exclude<Format, 'json'>, number> = { slack: 3_000, teams: 20_000, discord: 2_000 };

const cut = (text: string, limit: number): string => (text.length <= limit ? text : `${text.slice(0, limit - 1)}…`);

/** In Slack these three characters are control characters (formatting of messages, "Escaping text"). */
const slackText = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** The body that a receiver of this format takes. */
export function bodyOf(format: Format, { id, route, severity, subject, text, events, eventCount }: Post): object {
  switch (format) {
    case 'slack':
      return { text: cut(slackText(`${subject}\n${text}`), LIMITS.slack) };
    case 'discord':
      // Nobody is called by name, whatever a reason says.
      return { content: cut(`**${subject}**\n${text}`, LIMITS.discord), allowed_mentions: { parse: [] } };
    case 'teams':
      return {
        type: 'message',
        attachments: [
          {
            contentType: 'application/vnd.microsoft.card.adaptive',
            content: {
              ...{ $schema: 'http://adaptivecards.io/schemas/adaptive-card.json', type: 'AdaptiveCard', version: '1.4' },
              body: [
                { type: 'TextBlock', text: subject, weight: 'Bolder', wrap: true },
                ...cut(text, LIMITS.teams)
                  .split('\n')
                  .filter((line) => line !== '')
                  .map((line) => ({ type: 'TextBlock', text: line, wrap: true, spacing: 'None' })),
              ],
            },
          },
        ],
      };
    case 'json':
      return {
        ...{ id, route, severity, subject, text, event_count: eventCount },
        events: events.map(({ name, subject: about, details, at, severity: own }) => ({
          name,
          severity: own,
          subject: about,
          at,
          details,
        })),
      };
  }
}

/** "Too Many Requests", RFC 6585, 4. */
const TOO_MANY = 429;

/** Posts a message. The receiver is taken to have it when it answers 2xx. */
export async function post(url: string, format: Format, message: Post, timeoutMs: number): Promise<Outcome> {
  try {
    const answer = await fetch(url, {
      method: 'POST',
      // A receiver that gets a message twice sees that it is one.
      headers: { 'content-type': 'application/json', 'user-agent': 'stockmesh', 'webhook-id': message.id },
      body: JSON.stringify(bodyOf(format, message)),
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    });
    const said = cut((await answer.text()).replace(/\s+/g, ' ').trim(), 200);
    const reason = `the receiver answered ${answer.status}${said === '' ? '' : `: ${said}`}`;
    if (answer.ok) return { kind: 'sent' };
    if (answer.status === TOO_MANY) return { kind: 'away', reason, seconds: secondsOf(answer.headers.get('retry-after')) };
    if (answer.status >= 500) return { kind: 'away', reason };
    return { kind: answer.status === 408 || answer.status === 425 ? 'later' : 'refused', reason };
  } catch (error) {
    const cause = (error as { cause?: unknown }).cause ?? error;
    return { kind: 'away', reason: `${messageOf(cause)} (${codeOf(cause)})` };
  }
}

/** Seconds of a `Retry-After`; a date counts as none. */
function secondsOf(header: string | null): number | undefined {
  const seconds = Number(header);
  return header !== null && seconds > 0 ? Math.min(seconds, 3_600) : undefined;
}
