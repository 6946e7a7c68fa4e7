/** The account in the URL of a server, read strictly: of a password with a "/" in it, a tolerant reader takes the first part for the host. */

/** `mysql://user:password@host/name` in parts. */
export interface SplitUrl {
  /** Without its colon: `mysql`. */
  protocol: string;
  /** Decoded; undefined where the URL has no "@". */
  username: string | undefined;
  password: string | undefined;
  /** What follows the account: `host:3306/name?socketPath=/run/db.sock`. */
  rest: string;
}

/** What ends the account or the host where it stands as it is. */
const ENDS = /[/?#@]/g;

const encoded = (character: string): string => `"${character}" (write it as ${encodeURIComponent(character)})`;

/**
 * Splits a URL at its account. The answer is a fault where that cannot be done: a text that begins with a verb, and contains neither the user name nor the password.
 * Undefined: it does not begin like a URL.
 */
export function splitUrl(url: string): SplitUrl | { fault: string } | undefined {
  const [, protocol, after] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(url.trim()) ?? [];
  if (protocol === undefined || after === undefined) return undefined;
  const at = after.lastIndexOf('@');
  if (at === -1) return { protocol: protocol.toLowerCase(), username: undefined, password: undefined, rest: after };
  const account = after.slice(0, at);
  const wrong = new Set(account.match(ENDS));
  if (wrong.size > 0)
    return {
      fault: `has ${[...wrong].map(encoded).join(' and ')} before its last "@": a user name or password with such a character would be cut off there, and an "@" after the host is written %40`,
    };
  const colon = account.indexOf(':');
  try {
    return {
      protocol: protocol.toLowerCase(),
      username: decodeURIComponent(colon === -1 ? account : account.slice(0, colon)),
      password: colon === -1 ? undefined : decodeURIComponent(account.slice(colon + 1)),
      rest: after.slice(at + 1),
    };
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    return { fault: `has a "%" in its user name or password that encodes no character: write the "%" itself as %25` };
  }
}
