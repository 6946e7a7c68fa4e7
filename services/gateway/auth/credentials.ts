/** What a request shows in place of a name: a key in its header, a token in the address of a stream, or the cookie of a session. */
import type { FastifyRequest } from 'fastify';
import type { Sql } from '../../platform/database/database.ts';
import { RefusedError } from '../http/problems.ts';
import { type ApiKey, keyFinder } from './keys.ts';
import { findBySession, type SessionKey, sessionOf } from './sessions.ts';
import { findByStreamToken } from './stream-tokens.ts';

/** The credentials that are no key of a header have a blank, so none of those can be taken for one. */
const TOKEN = 'token ';
const SESSION = 'session ';

/**
 * What the caller shows: the key of the header, or else the token of the address where the route takes one, or else a session, unless there is a header that holds no key.
 * Undefined: nothing.
 */
export function credentialOf({ headers, query, routeOptions }: FastifyRequest): string | undefined {
  const key = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
  if (key !== undefined) return key;
  const token = (query as { token?: unknown } | undefined)?.token;
  if (routeOptions.config.takesToken && typeof token === 'string') return `${TOKEN}${token}`;
  const session = headers.authorization ? undefined : sessionOf(headers.cookie);
  return session === undefined ? undefined : `${SESSION}${session}`;
}

export const isSession = (credential: string): boolean => credential.startsWith(SESSION);

/** The key of a credential, while it is in force. */
export function credentialFinder(sql: Sql, now: () => Date): (credential: string) => Promise<ApiKey | SessionKey | undefined> {
  const find = keyFinder(sql, now);
  return (credential) => {
    if (credential.startsWith(TOKEN)) return findByStreamToken(sql, credential.slice(TOKEN.length), now());
    if (isSession(credential)) return findBySession(sql, credential.slice(SESSION.length), now());
    return find(credential);
  };
}

/**
 * A browser sends the cookie with whatever asks for it, so a request that changes something must say that a page of this address made it. SameSite does not tell the ports of
 * one host apart. Errors: `RefusedError('access.cross_site')`.
 */
export function refuseOtherSites(request: FastifyRequest, credential: string | undefined): void {
  if (request.method === 'GET' || request.method === 'HEAD' || credential === undefined || !isSession(credential)) return;
  if (!isFromOwnPage(request))
    throw new RefusedError(
      403,
      'access.cross_site',
      'a request with the cookie of a session must come from a page of this address; a program sends its key: "Authorization: Bearer <key>"',
    );
}

/** By `sec-fetch-site`, which no script can set; by `origin` for browsers that do not send it. */
function isFromOwnPage({ headers }: FastifyRequest): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site === 'same-origin';
  return headers.origin !== undefined && URL.parse(headers.origin)?.host === headers.host;
}

/** Whether a browser says that a page of another address made the request. */
export const isFromOtherPage = (request: FastifyRequest): boolean =>
  (request.headers['sec-fetch-site'] !== undefined || request.headers.origin !== undefined) && !isFromOwnPage(request);
