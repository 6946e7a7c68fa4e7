/** `database.url`: one URL with one host or several, or several URLs that differ in nothing but the host. */
import { isDeepStrictEqual } from 'node:util';
import { splitUrl } from '../text/url-account.ts';
import { addressesIn, type HostAddress } from './addresses.ts';

/** How much of the server's certificate is checked, from nothing encrypted to the host's name; the words of MySQL's `ssl-mode`. */
export const TLS_MODES = ['disabled', 'required', 'verify_ca', 'verify_identity'] as const;
export type TlsMode = (typeof TLS_MODES)[number];

/** Encryption as the parameters of a URL name it; paths of files. */
export interface UrlTls {
  mode?: TlsMode;
  ca_file?: string;
  cert_file?: string;
  key_file?: string;
}

export interface DatabaseUrl {
  /** Empty for a socket. */
  hosts: HostAddress[];
  account: { socketPath?: string; user: string; password: string; database: string };
  tls: UrlTls;
}

const LOOK =
  'must look like mysql://user:password@host:3306/database (several hosts: host1:3306,host2:3307), with each of "/", "?", "#", "@" and "%" in a name or password encoded, such as "%" as %25';

/** The parameters under their names in MySQL's own programs; all others are refused, since who writes one relies on it. */
const FILES = { 'ssl-ca': 'ca_file', 'ssl-cert': 'cert_file', 'ssl-key': 'key_file' } as const;
const PARAMETERS = ['ssl-mode', ...Object.keys(FILES), 'socketPath'];

/** A fault is a text that begins with a verb. It never contains a password. */
export function readDatabaseUrl(text: string): DatabaseUrl | { fault: string } {
  const places: DatabaseUrl[] = [];
  for (const one of text.split(/,(?=(?:mysql|mariadb):\/\/)/)) {
    const place = placeOf(one);
    if ('fault' in place) return place;
    places.push(place);
  }
  const [{ account, tls }] = places as [DatabaseUrl];
  if (places.every((place) => isDeepStrictEqual(place.account, account) && isDeepStrictEqual(place.tls, tls)))
    return { account, tls, hosts: places.flatMap(({ hosts }) => hosts) };
  return { fault: 'has addresses that differ in their account, database or parameters: only the hosts may differ' };
}

function placeOf(text: string): DatabaseUrl | { fault: string } {
  const split = splitUrl(text);
  if (split === undefined) return { fault: LOOK };
  if ('fault' in split) return split;
  // What stands before the path may be a list, which no URL knows.
  const [, list = '', rest = ''] = /^([^/?#]*)(.*)$/s.exec(split.rest) ?? [];
  const hosts = addressesIn(list, 3306);
  const address = URL.parse(`mysql://host${rest}`);
  if (!['mysql', 'mariadb'].includes(split.protocol) || hosts === undefined || address === null || address.pathname.length < 2)
    return { fault: LOOK };
  if (address.hash !== '') return { fault: 'has a "#" after the host, which means nothing there: write it as %23' };
  const parameters = parametersIn(address.searchParams);
  if ('fault' in parameters) return parameters;
  const { socketPath, tls } = parameters;
  try {
    const database = decodeURIComponent(address.pathname.slice(1));
    const account = {
      ...(socketPath !== undefined && { socketPath }),
      user: split.username ?? '',
      password: split.password ?? '',
      database,
    };
    return { account, tls, hosts: socketPath === undefined ? hosts : [] };
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    return { fault: LOOK };
  }
}

function parametersIn(parameters: URLSearchParams): { socketPath?: string; tls: UrlTls } | { fault: string } {
  const found: { socketPath?: string; tls: UrlTls } = { tls: {} };
  for (const [name, value] of parameters) {
    if (!PARAMETERS.includes(name))
      return {
        fault: `has the parameter ${JSON.stringify(name.slice(0, 40))}, which is unknown: those known are ${PARAMETERS.join(', ')}`,
      };
    if (parameters.getAll(name).length > 1) return { fault: `has the parameter "${name}" twice: keep one` };
    if (value === '') return { fault: `has the parameter "${name}" without a value` };
    if (name === 'socketPath') found.socketPath = value;
    else if (name === 'ssl-mode') {
      const mode = TLS_MODES.find((known) => known === value.toLowerCase());
      if (mode === undefined) return { fault: unknownMode(value) };
      found.tls.mode = mode;
    } else found.tls[FILES[name as keyof typeof FILES]] = value;
  }
  return found;
}

function unknownMode(value: string): string {
  const why =
    value.toLowerCase() === 'preferred'
      ? ', since it would go on unencrypted wherever somebody between claims that the server cannot encrypt'
      : '';
  return `has ssl-mode=${JSON.stringify(value.slice(0, 40))}, which is not one of ${TLS_MODES.map((mode) => mode.toUpperCase()).join(', ')}${why}`;
}
