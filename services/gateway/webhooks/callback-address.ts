/** Which addresses webhooks may call. A caller who may enqueue jobs must not reach hosts behind the firewall through us, so the resolved address is checked when the connection is made. */
import dns, { type LookupAddress } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { z } from 'zod';
import { PermanentError } from '../../platform/errors.ts';

// The IANA registries of special-purpose addresses (RFC 6890 and its updates): whatever is not globally reachable, and all that embeds an IPv4 address.
const SPECIAL_4 = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24', '192.0.2.0/24'],
  ...['192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4'],
];
const SPECIAL_6 = [
  ...[
    '::/96',
    '::ffff:0:0/96',
    '::ffff:0:0:0/96',
    '64:ff9b::/96',
    '64:ff9b:1::/48',
    '100::/64',
    '2001::/23',
    '2001:db8::/32',
    '2002::/16',
    '3fff::/20',
  ],
  ...['5f00::/16', 'fc00::/7', 'fe80::/10', 'fec0::/10', 'ff00::/8'],
];

function listOf(ranges: readonly string[], family: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [network, bits] = range.split('/') as [string, string];
    list.addSubnet(network, Number(bits), family);
  }
  return list;
}

// Two lists: in one, ::ffff:0:0/96 would match every IPv4 address.
const special4 = listOf(SPECIAL_4, 'ipv4');
const special6 = listOf(SPECIAL_6, 'ipv6');

/** True for an address outside the public network. */
export function isPrivateAddress(address: string): boolean {
  const version = isIP(address);
  return version === 4 ? special4.check(address, 'ipv4') : version === 6 ? special6.check(address, 'ipv6') : true;
}

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

/** Errors: `PermanentError('callback.private_address')` for a host that is an address of a private network, or localhost by name. */
export function refusePrivate(url: URL): void {
  const host = hostOf(url);
  if (isIP(host) !== 0 ? isPrivateAddress(host) : /(^|\.)localhost\.?$/i.test(host)) throw privateAddress(host, host);
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
