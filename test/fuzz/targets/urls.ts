/** Addresses: of callbacks, of databases and of brokers. Judged without any traffic: from an address that is known, in every notation that reaches it. */

import { callbackUrl, refusePrivate } from '../../../services/gateway/webhooks/callback-address.ts';
import { clientOptions } from '../../../services/platform/bus/connection.ts';
import { type Config, loadConfig } from '../../../services/platform/config/load.ts';
import { databaseOptions } from '../../../services/platform/connections.ts';
import { ConfigError, PermanentError } from '../../../services/platform/errors.ts';
import { mutated, type Random, shorterBytes } from '../random.ts';
import { shownBytes, type Target, Wrong } from '../target.ts';

interface Callback {
  url: string;
  /** Undefined where no rule says so. */
  isPrivate: boolean | undefined;
}

/** Networks of IPv4 that are not public, as [first, last] (IANA IPv4 Special-Purpose Address Registry; 224.0.0.0/4 is multicast). */
const SPECIAL: readonly [string, string][] = [
  ['0.0.0.0', '0.255.255.255'],
  ['10.0.0.0', '10.255.255.255'],
  ['100.64.0.0', '100.127.255.255'],
  ['127.0.0.0', '127.255.255.255'],
  ['169.254.0.0', '169.254.255.255'],
  ['172.16.0.0', '172.31.255.255'],
  ['192.0.0.0', '192.0.0.255'],
  ['192.0.2.0', '192.0.2.255'],
  ['192.88.99.0', '192.88.99.255'],
  ['192.168.0.0', '192.168.255.255'],
  ['198.18.0.0', '198.19.255.255'],
  ['198.51.100.0', '198.51.100.255'],
  ['203.0.113.0', '203.0.113.255'],
  ['224.0.0.0', '255.255.255.255'],
];
const numberOf = (address: string): number => address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
const RANGES = SPECIAL.map(([first, last]) => [numberOf(first), numberOf(last)] as const);
/** Clouds answer with credentials there. */
const METADATA = ['169.254.169.254', '169.254.170.2', '100.100.100.200', '192.0.0.192', '169.254.42.42'].map(numberOf);
const isSpecial = (address: number): boolean => RANGES.some(([first, last]) => address >= first && address <= last);

const bytesOf = (address: number): number[] => [24, 16, 8, 0].map((shift) => (address >>> shift) & 255);
const groupsOf = (address: number): string => `${(address >>> 16).toString(16)}:${(address & 0xffff).toString(16)}`;

/** One IPv4 address as hosts of URLs may write it (WHATWG URL, the IPv4 parser). */
function written4(random: Random, address: number): string {
  const [a, b, c, d] = bytesOf(address) as [number, number, number, number];
  const one = (value: number): string =>
    random.pick([
      String(value),
      String(value),
      `0x${value.toString(16)}`,
      `0${value.toString(8)}`,
      `0X${value.toString(16).toUpperCase()}`,
    ]);
  const text = random.pick([
    () => [a, b, c, d].join('.'),
    () => [a, b, c, d].map(one).join('.'),
    () => [one(a), one(b), one(c * 256 + d)].join('.'),
    () => [one(a), one(b * 65_536 + c * 256 + d)].join('.'),
    () => one(address),
  ])();
  const disguised = random.pick([
    text,
    text,
    `${text}.`,
    [...text].map((character) => (random.once(2) ? `%${character.charCodeAt(0).toString(16)}` : character)).join(''),
    [...text].map((character) => (/\d/.test(character) ? String.fromCodePoint(0xff10 + Number(character)) : character)).join(''),
    text.replaceAll('.', '\u3002'),
  ]);
  return disguised;
}

/** Addresses of IPv6 that lead to this one of IPv4: mapped, compatible, translated (RFC 2765), NAT64 (RFC 6052, 8215), 6to4, Teredo. */
function written6(random: Random, address: number): string {
  const dotted = bytesOf(address).join('.');
  const groups = groupsOf(address);
  const inverted = groupsOf(~address >>> 0);
  const text = random.pick([
    ...[`::ffff:${dotted}`, `::ffff:${groups}`, `0:0:0:0:0:ffff:${groups}`, `::${dotted}`, `::ffff:0:${dotted}`, `::ffff:0:${groups}`],
    ...[
      `64:ff9b::${dotted}`,
      `64:ff9b::${groups}`,
      `64:ff9b:1::${groups}`,
      `2002:${groups}::`,
      `2002:${groups}::1`,
      `2001:0:1:2:3:4:${inverted}`,
    ],
  ]);
  return `[${random.once(3) ? text.toUpperCase() : text}]`;
}

const PRIVATE_6 = [
  '::1',
  '::',
  'fe80::1',
  'febf::1',
  'fc00::1',
  'fdff::1',
  'fd00:ec2::254',
  'fec0::1',
  'ff02::1',
  '100::1',
  '2001:db8::1',
  '5f00::1',
  '3fff::1',
];
const PRIVATE_NAMES = ['localhost', 'LOCALHOST', 'localhost.', 'a.localhost', 'loc%61lhost', 'ｌocalhost'];
const PUBLIC_6 = ['2606:4700:4700::1111', '2001:4860:4860::8888', '2a00:1450:4001:81b::200e', '2620:fe::fe'];
const PUBLIC_NAMES = [
  'example.com',
  'hooks.example.org.',
  'xn--bcher-kva.example',
  'localhost.example.com',
  '10.example.com',
  'my-localhost.com',
];

function callbackInput(random: Random): Callback {
  const rest = `${random.pick(['', ':80', ':8443', ':65535'])}${random.pick(['', '/', '/hook?a=1', '/#x', '/../../x', '\\x'])}`;
  const scheme = random.pick(['http://', 'https://', 'HTTP://', 'http:\\\\', 'http:', 'https:///']);
  const at = (host: string, isPrivate: boolean): Callback => ({ url: `${scheme}${host}${rest}`, isPrivate });
  const kind = random.below(10);
  if (kind < 5) {
    const [first, last] = random.pick(RANGES);
    const inside = random.pick([first, last, first + random.below(last - first + 1), random.pick(METADATA)]);
    return at(random.once(2) ? written4(random, inside) : written6(random, inside), true);
  }
  if (kind === 5) return at(random.pick([...PRIVATE_6.map((host) => `[${host}]`), ...PRIVATE_NAMES]), true);
  if (kind === 6) return at(random.pick([...PUBLIC_6.map((host) => `[${host}]`), ...PUBLIC_NAMES]), false);
  if (kind === 7) {
    const address = random.below(2 ** 32);
    return at(written4(random, address), isSpecial(address));
  }
  const url = mutated(random, Buffer.from(at(written4(random, random.pick(METADATA)), true).url)).toString();
  return { url, isPrivate: undefined };
}

export const callbacks: Target<Callback> = {
  name: 'callback addresses',
  inputs: 260_000,
  seconds: 25,
  open: () => ({
    make: callbackInput,
    judge({ url, isPrivate }) {
      const read = callbackUrl.safeParse(url);
      if (!read.success) {
        if (isPrivate === false) throw new Wrong(`a public address is refused: ${read.error.issues[0]?.message}`);
        return 'refused';
      }
      const address = new URL(read.data);
      try {
        refusePrivate(address);
      } catch (error) {
        if (!(error instanceof PermanentError)) throw error;
        if (isPrivate === false) throw new Wrong(`a public address is refused: ${error.message}`);
        return 'refused';
      }
      if (isPrivate === true) throw new Wrong(`a private address is accepted as ${address.host}`);
      // What was accepted is looked up or called as it stands: an address in it must be public.
      const host = /^\d+\.\d+\.\d+\.\d+$/.test(address.hostname) ? numberOf(address.hostname) : undefined;
      if (host !== undefined && isSpecial(host)) throw new Wrong(`${address.hostname} is accepted`);
      if (!/^https?:$/.test(address.protocol) || address.username !== '') throw new Wrong(`accepted as ${read.data}`);
      return 'accepted';
    },
    shown: ({ url }) => JSON.stringify(url),
  }),
};

interface Server {
  url: string;
  /** What it says, where it was written right. */
  means: { user: string; password: string; host: string; port: number; database?: string } | undefined;
}

const SECRET = 'S3cret';

function serverInput(random: Random, schemes: readonly string[], withDatabase: boolean): Server {
  const isWellFormed = (text: string): string => text.toWellFormed();
  const user = isWellFormed(`u${random.text(8)}`);
  const password = isWellFormed(`${SECRET}${random.text(12)}`);
  const host = random.pick(['db', 'db.example.com', '10.0.0.7', '[::1]', '[2001:db8::7]', 'a-b']);
  const port = 1 + random.below(65_535);
  const database = isWellFormed(`d${random.text(6)}`);
  const url = `${random.pick(schemes)}://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}:${port}${withDatabase ? `/${encodeURIComponent(database)}` : ''}`;
  const means = { user, password, host: host.replace(/^\[|\]$/g, ''), port, ...(withDatabase && { database }) };
  if (random.once(3)) return { url, means };
  const broken = random.once(4)
    ? url.replace(
        encodeURIComponent(password),
        () => `${SECRET}${random.pick(['%', '%zz', '%ff', '/x', '#x', '?x', '@x', ':x', '%00', ' x'])}`,
      )
    : mutated(random, Buffer.from(url)).toString();
  return { url: broken, means: undefined };
}

/** `read` gives what the product understood. */
function serverTarget(
  name: string,
  schemes: readonly string[],
  read: (url: string) => Server['means'],
  withDatabase: boolean,
): Target<Server> {
  return {
    name,
    inputs: 60_000,
    seconds: 10,
    open: () => ({
      make: (random) => serverInput(random, schemes, withDatabase),
      judge({ url, means }) {
        let understood: Server['means'];
        try {
          understood = read(url);
        } catch (error) {
          if (!(error instanceof ConfigError)) throw error;
          if (means !== undefined) throw new Wrong(`an address that is right is refused: ${error.message}`);
          if (error.message.includes(SECRET)) throw new Wrong(`the message shows the password: ${error.message}`);
          return 'refused';
        }
        if (means !== undefined && JSON.stringify(understood) !== JSON.stringify(means))
          throw new Wrong(`understood as ${JSON.stringify(understood)}`);
        return 'accepted';
      },
      smaller: function* ({ url, means }) {
        if (means === undefined) for (const shorter of shorterBytes(Buffer.from(url))) yield { url: shorter.toString(), means };
      },
      shown: ({ url }) => shownBytes(Buffer.from(url)),
    }),
  };
}

const { config } = loadConfig({ environment: 'development', env: {}, files: [] });

export const databaseUrls = serverTarget(
  'database addresses',
  ['mysql', 'mariadb'],
  (url) => {
    const options = databaseOptions({ ...config, database: { ...config.database, url } } as Config, '/nowhere', 'service');
    const { user = '', password = '', host = '', port = 0, database = '' } = options as NonNullable<Server['means']>;
    return { user, password, host, port, database };
  },
  true,
);

export const brokerUrls = serverTarget(
  'broker addresses',
  ['mqtt', 'mqtts', 'ws', 'wss'],
  (url) => {
    const { username = '', password = '', host = '', port = 0 } = clientOptions({ url });
    return { user: username, password: String(password), host, port };
  },
  false,
);
