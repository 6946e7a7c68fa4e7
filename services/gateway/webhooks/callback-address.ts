/** Which addresses webhooks may call. A caller who may enqueue jobs must not reach hosts behind the firewall through us, so the resolved address is checked when the connection is made. */
import dns, { type LookupAddress } from 'node:dns';
import { BlockList, isIP, isIPv4, isIPv6, type LookupFunction } from 'node:net';
import { z } from 'zod';
import { PermanentError } from '../../platform/errors.ts';

// The IANA registry of special-purpose addresses (RFC 6890 and its updates): whatever is not globally reachable.
const SPECIAL_4 = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24', '192.0.2.0/24'],
  ...['192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4'],
  // Azure's agent and metadata of each of its machines, under a public address.
  '168.63.129.16/32',
];
// Of IPv6 only this is for hosts of the public network (RFC 4291, 2.4). The rest is local, or embeds an IPv4 address, such as ::ffff:0:0/96, ::ffff:0:0:0/96 and 64:ff9b::/96.
const GLOBAL_6 = ['2000::/3'];
// Within it: protocols and Teredo, documentation, 6to4, documentation.
const SPECIAL_6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'];

function listOf(ranges: readonly string[], family: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [network, bits] = range.split('/') as [string, string];
    list.addSubnet(network, Number(bits), family);
  }
  return list;
}

// A list each: a list of both families takes an IPv4 address for its IPv4-mapped form too.
const special4 = listOf(SPECIAL_4, 'ipv4');
const global6 = listOf(GLOBAL_6, 'ipv6');
const special6 = listOf(SPECIAL_6, 'ipv6');

/** True for an address outside the public network, for one with a zone, and for what is no address. */
export function isPrivateAddress(address: string): boolean {
  if (isIPv4(address)) return special4.check(address, 'ipv4');
  if (!isIPv6(address) || address.includes('%')) return true;
  return !global6.check(address, 'ipv6') || special6.check(address, 'ipv6') || isIsatap(address);
}

/** An interface that is an IPv4 address, within any prefix: 0:5efe or 200:5efe, and the address (RFC 5214, 6.1). */
function isIsatap(address: string): boolean {
  const [before = '', after = ''] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const [head, tail] = [groups(before), groups(after)];
  const all = [...head, ...Array<string>(8 - head.length - tail.length).fill('0'), ...tail];
  return all[5] === '5efe' && (all[4] === '0' || all[4] === '200');
}

/** Names that only a network of one's own resolves: RFC 6761, 6762 (appendix G), 8375, and ICANN's "internal". */
const LOCAL_NAME = /(?:^|\.)(?:localhost|localdomain|local|internal|intranet|private|corp|home|lan|home\.arpa|svc)$/i;

/** A name without a dot is completed by the search list of this machine, as another name of its own network. */
function isLocalName(host: string): boolean {
  const name = host.replace(/\.+$/, '');
  return !name.includes('.') || LOCAL_NAME.test(name);
}

/** Ports of other protocols that read what an HTTP request sends: those of mail, databases, caches and the control of machines. Below 1024 only those of HTTP are called. */
const OTHER_PROTOCOLS = new Set([
  ...[1433, 1434, 1521, 1719, 1720, 1723, 1883, 2049, 2375, 2376, 2379, 2380, 3306, 3389, 3659, 4045, 4190, 4369, 5060, 5061, 5432, 5672],
  ...[5900, 5984, 6000, 6379, 6380, 6566, 6660, 6661, 6662, 6663, 6664, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 7000, 7001, 8883, 9042],
  ...[9092, 9200, 9300, 10080, 10250, 11211, 26379, 27017],
]);

/** An address in a URL: `[::1]` is ::1 there. */
export const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, '');

/** A URL, normalised. Whether its host may be called depends on the configuration: see `refusePrivate`. */
export const callbackUrl = z
  .string()
  .max(2000)
  .transform((text, context) => {
    const url = URL.parse(text);
    const fault =
      url === null
        ? 'is not a URL'
        : !['http:', 'https:'].includes(url.protocol)
          ? 'must begin with https:// or http://'
          : url.username !== '' || url.password !== ''
            ? 'must not contain a user or password, because they would appear in logs; check the signature of the call instead'
            : url.href.length > 2000
              ? 'is longer than 2000 characters'
              : undefined;
    if (fault === undefined) return (url as URL).href;
    context.addIssue({ code: 'custom', message: fault, input: text });
    return z.NEVER;
  });

/**
 * Errors: `PermanentError('callback.private_address')` for a host that is an address of a private network, or a name of one; `PermanentError('callback.bad_port')` for a
 * port that is not one of HTTP.
 */
export function refusePrivate(url: URL): void {
  const host = hostOf(url);
  if (isIP(host) !== 0 ? isPrivateAddress(host) : isLocalName(host)) throw privateAddress(host, host);
  const port = Number(url.port);
  if (url.port !== '' && (OTHER_PROTOCOLS.has(port) || (port < 1024 && port !== 80 && port !== 443)))
    throw new PermanentError(
      'callback.bad_port',
      `callback_url: port ${port} is not called, since other protocols than HTTP use it; use 443, 80 or another port from 1024 on, or allow all with gateway.callbacks.allow_private`,
    );
}

function privateAddress(host: string, address: string): PermanentError {
  const what = host === address ? host : `${host} (${address})`;
  return new PermanentError(
    'callback.private_address',
    `callback_url: ${what} is a private address; use a public one, or allow private ones with gateway.callbacks.allow_private`,
  );
}

/** Resolves a name for a connection, and refuses it when any of its addresses is private: a name may have both, or change between two questions. */
export const publicLookup: LookupFunction = (hostname, options, callback) => {
  dns.lookup(hostname, { ...options, all: true }, (error, found: LookupAddress[]) => {
    const bad = found?.find(({ address }) => isPrivateAddress(address));
    const [first] = found ?? [];
    if (error !== null) callback(error, '', 0);
    else if (bad !== undefined || first === undefined) callback(privateAddress(hostname, bad?.address ?? 'no address'), '', 0);
    else if (options.all) callback(null, found);
    else callback(null, first.address, first.family);
  });
};
