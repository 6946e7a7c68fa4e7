/** Payloads of logins over MQTT. Judged by a second reading of the rules: what is accepted is what they allow, with the same values, and nothing else is. */
import { readFileSync } from 'node:fs';
import { load } from 'js-yaml';
import { InputError } from '../../../services/platform/errors.ts';
import { parseMessage } from '../../../services/platform/messages.ts';
import { mutated, type Random, shorterBytes } from '../random.ts';
import { shownBytes, type Target, Wrong } from '../target.ts';

export interface Login {
  userId: string;
  at?: string;
  sessionId?: string;
}

const MOST_BYTES = 65_536;
const contract = load(readFileSync(new URL('../../../asyncapi.yaml', import.meta.url), 'utf8')) as {
  components: { messages: { login: { payload: { additionalProperties?: unknown } } } };
};
/** Whether fields that the contract does not name make a login wrong; else they are left out. */
export const isStrict = contract.components.messages.login.payload.additionalProperties === false;

/** A login by the rules of docs/mqtt.md, read one by one; undefined when it breaks one. */
export function loginIn(bytes: Uint8Array, most = MOST_BYTES): Login | undefined {
  if (bytes.length > most) return undefined;
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value) || namesTwice(text)) return undefined;
  const { userId, at, sessionId, ...others } = value as Record<string, unknown>;
  const isRight =
    Object.entries(others).every(([name, other]) => (name === 'v' ? other === 1 : !isStrict)) &&
    isName(userId, 64) &&
    (at === undefined || isInstant(at)) &&
    (sessionId === undefined || isName(sessionId, 128));
  return isRight ? ({ userId, ...(at !== undefined && { at }), ...(sessionId !== undefined && { sessionId }) } as Login) : undefined;
}

/** Whether an object of the JSON has a name twice: objects are looked at from the innermost on, and taken out. */
function namesTwice(json: string): boolean {
  const texts: string[] = [];
  let rest = json.replace(/"(?:\\.|[^"\\])*"/g, (text) => `#${texts.push(JSON.parse(text) as string) - 1}`);
  let twice = false;
  for (let before = ''; before !== rest; ) {
    before = rest;
    rest = rest.replace(/\{[^{}]*\}/g, (object) => {
      const names = [...object.matchAll(/#(\d+)\s*:/g)].map(([, index]) => texts[Number(index)]);
      twice ||= new Set(names).size < names.length;
      return '0';
    });
  }
  return twice;
}

/** A name that a person can read and tell from others. */
export function isName(value: unknown, most: number): value is string {
  if (typeof value !== 'string' || value.length > most || /^\s*$/.test(value)) return false;
  for (const character of value) {
    const code = character.codePointAt(0)!;
    const isHalf = code >= 0xd800 && code <= 0xdfff;
    const isControl = code < 0x20 || (code >= 0x7f && code < 0xa0);
    const isNone = (code & 0xfffe) === 0xfffe || (code >= 0xfdd0 && code <= 0xfdef);
    // What is no letter, mark, number, sign or symbol, and no plain space: formats, blanks, lines; and marks that nothing shows.
    const isUnseen = character !== ' ' && /[\p{Z}\p{Cf}]|\p{DI}/u.test(character);
    if (isHalf || isControl || isNone || isUnseen || code === 0xfffd) return false;
  }
  return value === value.normalize('NFC');
}

/** An instant of RFC 3339, of a day that there is: date, time to the second or finer, offset. */
export function isInstant(value: unknown): boolean {
  const parts = typeof value === 'string' && /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:Z|[+-](\d\d):(\d\d))$/.exec(value);
  if (!parts) return false;
  const [year, month, day, hour, minute, second, offsetHour, offsetMinute] = parts.slice(1).map((part) => Number(part ?? 0)) as number[];
  const date = new Date(0);
  date.setUTCFullYear(year!, month! - 1, day!);
  const isDay = date.getUTCMonth() === month! - 1 && date.getUTCDate() === day;
  return isDay && hour! < 24 && minute! < 60 && second! < 60 && offsetHour! < 24 && offsetMinute! < 60;
}

const two = (random: Random, end: number): string => String(random.below(random.once(20) ? 100 : end)).padStart(2, '0');

function instant(random: Random): string {
  const date = `${random.pick(['2026', '2024', '1999', '0000', '9999'])}-${two(random, 13)}-${two(random, 32)}`;
  const time = `${two(random, 24)}:${two(random, 60)}${random.pick(['', ':00', `:${two(random, 60)}`, ':07.5', ':07.123456789', ':60'])}`;
  return `${date}${random.pick(['T', 'T', 'T', 'T', ' ', 't'])}${time}${random.pick(['Z', 'Z', '+02:00', '-23:59', '+24:00', '', 'z', '-00:00', '+0200'])}`;
}

const anything = (random: Random): unknown =>
  random.pick([null, true, 0, 1, -1.5, 1e308, '', 'x', [], {}, ['alice'], { userId: 'alice' }, '2026-01-01T00:00:00Z', random.text(12)]);

/** The JSON of a login; one in two has something wrong with it. */
export function loginText(random: Random): string {
  const fields: [name: string, value: unknown][] = [['userId', random.text(random.pick([8, 64, 66]))]];
  if (random.once(2)) fields.push(['at', instant(random)]);
  if (random.once(3)) fields.push(['sessionId', random.text(random.pick([8, 128, 130]))]);
  if (random.once(4)) fields.push(['v', random.pick([1, 1, 1, 2, '1', null, true])]);
  if (random.once(6)) fields[random.below(fields.length)]![1] = anything(random);
  if (random.once(10))
    fields.push([random.pick(['__proto__', 'constructor', 'toString', 'user_id', 'USERID', 'userId', random.text(6)]), anything(random)]);
  if (random.once(30)) fields.splice(random.below(fields.length), 1);
  const written = fields.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  const text = `{${written.join(random.once(9) ? ' ,\n ' : ',')}}`;
  const wrapped = random.below(200);
  if (wrapped === 0) return `[${text}]`;
  if (wrapped === 1) return `\ufeff${text}`;
  if (wrapped === 2) return `${'['.repeat(random.pick([10, 1_000, 30_000]))}${text}`;
  if (wrapped === 3) return text + ' '.repeat(random.pick([1, MOST_BYTES - Buffer.byteLength(text), MOST_BYTES]));
  return text;
}

export const logins: Target<Buffer> = {
  name: 'login payloads',
  inputs: 340_000,
  seconds: 50,
  open: () => ({
    make(random) {
      const bytes = Buffer.from(loginText(random));
      return random.once(3) ? mutated(random, bytes) : bytes;
    },
    judge(bytes) {
      const right = loginIn(bytes);
      let read: Login;
      try {
        const { userId, at, sessionId } = parseMessage('events/login', bytes).body as Login;
        read = { userId, ...(at !== undefined && { at }), ...(sessionId !== undefined && { sessionId }) };
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        if (right !== undefined) throw new Wrong(`a login that is right is refused: ${error.message}`);
        if (!/^message\.\w+$/.test(error.code) || error.message.length > 1_000) throw new Wrong(`refused in a wrong way: ${error.code}`);
        return 'refused';
      }
      if (right === undefined) throw new Wrong(`a login that is not right is accepted as ${JSON.stringify(read)}`);
      if (JSON.stringify(read) !== JSON.stringify(right)) throw new Wrong(`read as ${JSON.stringify(read)}`);
      return 'accepted';
    },
    smaller: shorterBytes,
    shown: shownBytes,
  }),
};
