/**
 * Reads a returned message: a delivery status notification (RFC 3464), or what programs of before it write in words (Exim, qmail, and relays that only forward the answer of
 * the next server). Gives of which message it tells, of whom, and why; nothing of it is believed that does not name a message of ours (`note.ts`).
 */
import PostalMime, { type Email } from 'postal-mime';
import { InputError, messageOf } from '../../platform/errors.ts';
import { EXPIRED, EXPIRED_CODE, enhancedIn } from './codes.ts';
import { inWords } from './words.ts';

/** What became of a message for one receiver. */
export interface Fate {
  /** Who did not get it, in lower case; none where the report names nobody. `final`: to whom it was passed on, where it was. */
  addresses: { original: string | undefined; final: string | undefined };
  /** delayed: it is tried again, and nobody need do anything. */
  outcome: 'failed' | 'delayed' | 'delivered';
  /** `5.1.1` (RFC 3463), or `550` where the server gave no other; null: none. */
  code: string | null;
  /** One line. */
  reason: string;
}

export interface Returned {
  /** Of the message that came back: 32 hexadecimal digits. */
  message: string;
  /** At least one. */
  fates: Fate[];
}

/** Parts in parts. A report has one level, with a copy of a message two. */
const DEEPEST = 20;
const MOST_HEADER_BYTES = 256 * 1024;
/** A line costs the parser 10 µs, an empty one too. */
const MOST_LINES = 50_000;
const LONGEST_REASON = 400;
/** Of the words for people that are looked at. */
const LONGEST_TEXT = 20_000;

const STATUS = /^message\/(global-)?delivery-status$/;
const COPY = /^(message\/(rfc822|global)|text\/rfc822-headers|message\/global-headers)$/;

/** Errors: `InputError('notify.bounce_unreadable' | 'notify.not_a_bounce' | 'notify.bounce_foreign')`. */
export async function readReturned(bytes: Uint8Array): Promise<Returned> {
  if (linesIn(bytes) > MOST_LINES)
    throw new InputError('notify.bounce_unreadable', `this is no returned message of stockmesh: it has more than ${MOST_LINES} lines`);
  const email = await PostalMime.parse(bytes, {
    // The copy of our message stays a part by itself.
    ...{ maxRfc822NestingDepth: 0, maxNestingDepth: DEEPEST, maxHeadersSize: MOST_HEADER_BYTES },
  }).catch((error: unknown) => {
    throw new InputError('notify.bounce_unreadable', `this is no mail that can be read: ${oneLine(messageOf(error))}`, { cause: error });
  });
  if (email.headers.length === 0) throw new InputError('notify.bounce_unreadable', 'this is no mail: it has no header');
  const text = email.text ?? email.html?.slice(0, 10 * LONGEST_TEXT).replaceAll(/<[^<>]*>/g, ' ') ?? '';
  const groups = email.attachments.filter(({ mimeType }) => STATUS.test(mimeType)).flatMap(({ content }) => fieldGroups(textOf(content)));
  const fates = groups.flatMap((group) => fateOf(group, text));
  const told = fates.length > 0 ? fates : inWords(email, text);
  if (told.length === 0)
    throw new InputError(
      'notify.not_a_bounce',
      `this mail${email.subject === undefined ? '' : ` (${JSON.stringify(oneLine(email.subject).slice(0, 80))})`} tells of no message that came back`,
    );
  const message = messageIn(email, groups, text);
  if (message === undefined)
    throw new InputError('notify.bounce_foreign', 'the message that came back is none of stockmesh: no part of the mail has the id of one');
  return { message, fates: told.map((fate) => ({ ...fate, reason: oneLine(fate.reason).slice(0, LONGEST_REASON) })) };
}

function linesIn(bytes: Uint8Array): number {
  let lines = 0;
  for (const byte of bytes) if (byte === 0x0a) lines++;
  return lines;
}

const textOf = (content: ArrayBuffer | Uint8Array | string): string =>
  typeof content === 'string' ? content : new TextDecoder().decode(content);

const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();

type Fields = ReadonlyMap<string, string>;

/** The fields of a status part: one group of the whole message, then one of each receiver (RFC 3464, 2.1). */
function fieldGroups(text: string): Fields[] {
  return text
    .replaceAll(/\r\n?/g, '\n')
    .replaceAll(/\n[ \t]+/g, ' ')
    .split(/\n\s*\n/)
    .map(
      (group) =>
        new Map(
          group.split('\n').flatMap((line) => {
            const at = line.indexOf(':');
            return at < 1 ? [] : [[line.slice(0, at).trim().toLowerCase(), line.slice(at + 1).trim()] as const];
          }),
        ),
    )
    .filter(({ size }) => size > 0);
}

const OUTCOMES: Readonly<Record<string, Fate['outcome']>> = {
  ...{ failed: 'failed', delayed: 'delayed', delivered: 'delivered' },
  // To a system without such reports, and to a list: RFC 3464, 2.3.3.
  ...{ relayed: 'delivered', expanded: 'delivered' },
};

function fateOf(fields: Fields, text: string): Fate[] {
  const outcome = OUTCOMES[(/^[a-z]+/i.exec(fields.get('action') ?? '')?.[0] ?? '').toLowerCase()];
  if (outcome === undefined) return [];
  const diagnostic = withoutType(fields.get('diagnostic-code'));
  const reason = diagnostic ?? (fields.get('status') || firstLine(text));
  return [
    {
      addresses: { original: addressIn(fields.get('original-recipient')), final: addressIn(fields.get('final-recipient')) },
      outcome,
      code: codeOf(fields.get('status'), diagnostic, text),
      reason,
    },
  ];
}

/** `smtp; 550 …`, `rfc822;alice@example.com`: what stands behind the type. */
function withoutType(field: string | undefined): string | undefined {
  const text = field?.replace(/^[\w.+-]+\s*;/, '').trim();
  return text === '' ? undefined : text;
}

const addressIn = (field: string | undefined): string | undefined =>
  withoutType(field)
    ?.replace(/^<(.*)>$/, '$1')
    .toLowerCase();

/** `x.0.0` says nothing but the class; programs that always write 5.0.0 (Exim) have the server's own code in the diagnostic. */
function codeOf(status = '', diagnostic = '', text = ''): string | null {
  const given = enhancedIn(status);
  if (given !== undefined && !given.endsWith('.0.0')) return given;
  const own = enhancedIn(diagnostic) ?? /^([245]\d\d)\b/.exec(diagnostic)?.[1];
  if (own !== undefined) return own;
  return EXPIRED.test(`${diagnostic} ${text.slice(0, LONGEST_TEXT)}`) ? EXPIRED_CODE : (given ?? null);
}

const firstLine = (text: string): string => text.split('\n').find((line) => line.trim() !== '') ?? 'no reason was given';

/** The id of a message of ours: the local part of its `Message-ID`, and its envelope id (RFC 3461). */
const OWN = /^<?([0-9a-f]{32})(?:@[^\s<>]{1,255})?>?$/i;

/** Of which message it tells: first what the server kept of the envelope, then the copy, then what the mail refers to, and last its words. */
function messageIn(email: Email, groups: readonly Fields[], text: string): string | undefined {
  const copies = email.attachments.filter(({ mimeType }) => COPY.test(mimeType)).map(({ content }) => messageIdIn(textOf(content)));
  const named = [
    ...groups.map((fields) => fields.get('original-envelope-id')),
    ...copies,
    ...[email.inReplyTo, email.references].flatMap((field) => field?.split(/\s+/) ?? []),
    messageIdIn(text),
  ];
  return named.map((one) => OWN.exec(one ?? '')?.[1]?.toLowerCase()).find((one) => one !== undefined);
}

/** Also where the field is folded, quoted (`> `) or indented. */
const messageIdIn = (text: string): string | undefined => /^[> \t]*Message-ID:\s{0,9}(<[^<>\s]{1,400}>)/im.exec(text)?.[1];
