/** Links of mails and forms that are sent to them: only a link that was made is taken, only with one of the three wishes, and what it does is read back from the page. */

import { unsubscribeLink } from '../../../services/platform/notify/unsubscribe.ts';
import { mutated, type Random } from '../random.ts';
import { LINKS } from '../servers.ts';
import { type Target, Wrong } from '../target.ts';
import { clientOf } from './http-client.ts';

interface Press {
  path: string;
  type: string;
  body: Buffer;
  /** Whether messages are stopped afterwards. Undefined: it must be refused. 'unknown': the bytes of the form were changed, so no reading of them is right for sure. */
  stops: boolean | undefined | 'unknown';
}

const PUBLIC = LINKS['gateway.public_url'];
const SETTINGS = { gateway: { public_url: PUBLIC }, notify: { unsubscribe_secret: LINKS['notify.unsubscribe_secret'] } };
const BOUNDARY = 'x-fuzz-boundary';
const FORMS: Record<string, (fields: readonly [string, string][]) => string> = {
  'application/x-www-form-urlencoded': (fields) => new URLSearchParams(fields.map(([name, value]) => [name, value])).toString(),
  [`multipart/form-data; boundary=${BOUNDARY}`]: (fields) =>
    `${fields.map(([name, value]) => `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`).join('')}--${BOUNDARY}--\r\n`,
};
const RIGHT: readonly [readonly [string, string][], boolean][] = [
  [[['List-Unsubscribe', 'One-Click']], true],
  [[['wish', 'stop']], true],
  [[['wish', 'again']], false],
];
const WRONG: readonly (readonly [string, string][])[] = [
  [],
  [['wish', 'STOP']],
  [['list-unsubscribe', 'One-Click']],
  [['List-Unsubscribe', 'one-click']],
  [
    ['wish', 'stop'],
    ['wish', 'stop'],
  ],
  [
    ['wish', 'stop'],
    ['user', 'bob'],
  ],
  [['__proto__', 'stop']],
];

let made = 0;

function press(random: Random): Press {
  const who = `${random.text(20).toWellFormed()}${made++}`;
  const link = unsubscribeLink(SETTINGS, { who, events: random.pick([['job.failed'], ['alert.raised', 'alert.cleared']]) })!;
  const right = link.slice(PUBLIC.length);
  const at = right.indexOf('=') + 1;
  const isWhole = random.below(3) > 0;
  const token = isWhole ? right.slice(at) : mutated(random, Buffer.from(right.slice(at))).toString('latin1');
  const isLink = token === right.slice(at);
  const [type, write] = random.pick(Object.entries(FORMS));
  if (random.once(3)) return { path: right, type, body: Buffer.from(write(random.pick(WRONG))), stops: undefined };
  const [fields, stops] = random.pick(RIGHT);
  const path = right.slice(0, at) + encodeURIComponent(token);
  const body = Buffer.from(write(fields));
  if (isLink && random.once(4)) {
    const changed = mutated(random, body);
    return { path, type, body: changed, stops: changed.equals(body) ? stops : 'unknown' };
  }
  return { path, type, body, stops: isLink ? stops : undefined };
}

export const unsubscribing: Target<Press> = {
  name: 'links of mails',
  inputs: 10_000,
  seconds: 30,
  together: 8,
  async open(servers) {
    const { url } = await servers.gateway();
    const client = clientOf(url, '');
    return {
      make: press,
      async judge({ path, type, body, stops }) {
        const { status, body: answer } = await client.ask('POST', path, { headers: { 'content-type': type }, body });
        const shown = `${status} ${answer.slice(0, 300)}`;
        if (status >= 500) throw new Wrong(`answered ${shown}`);
        if (stops === 'unknown') return status < 400 ? 'accepted' : 'refused';
        if (status >= 400) {
          if (stops !== undefined) throw new Wrong(`a right press is refused: ${shown}`);
          if (!/^[^\n]+$/.test((JSON.parse(answer) as { detail: string }).detail)) throw new Wrong(`not one line: ${shown}`);
          return 'refused';
        }
        if (stops === undefined) throw new Wrong(`a wrong press is taken: ${shown}`);
        if (answer.includes('<h1>These messages are stopped</h1>') !== stops) throw new Wrong(`did something else: ${shown}`);
        if (/<script/i.test(answer)) throw new Wrong(`a name became markup: ${shown}`);
        return 'accepted';
      },
      shown: ({ path, type, body }) => `POST ${path} ${type} ${JSON.stringify(body.toString('latin1'))}`,
      async settle() {
        if (servers.errors.length > 0) throw new Wrong(`the gateway logged ${servers.errors.length} errors, first ${servers.errors[0]}`);
      },
      close: async () => client.close(),
    };
  },
};
