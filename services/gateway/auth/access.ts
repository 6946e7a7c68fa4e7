/** Who calls, and what the caller may do. A route that states no `access` is for `admin` only. */

import rateLimit from '@fastify/rate-limit';
import type { FastifyRequest } from 'fastify';
import type { Clock } from '../../platform/clock.ts';
import { COMMAND } from '../../platform/command-name.ts';
import type { Config } from '../../platform/config/load.ts';
import type { Sql } from '../../platform/database/database.ts';
import { InputError } from '../../platform/errors.ts';
import type { App } from '../http/app.ts';
import { RefusedError } from '../http/problems.ts';
import { type ApiKey, keyFinder } from './keys.ts';
import { requestWindows } from './request-windows.ts';

/** `open`: without a key. `key`: any key in force; what it may see, the handler decides by its user. */
export type Access = 'open' | 'key' | 'read' | 'jobs' | 'admin';

export type Caller = Pick<ApiKey, 'id' | 'name' | 'scopes'>;

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
  }
  interface FastifyRequest {
    caller: Caller | undefined;
  }
}

/** Identifies the caller by key, limits the rate of requests, and refuses forbidden ones before their body is read. */
export async function guard(app: App, { db, clock, config }: { db: Sql; clock: Clock; config: Config }): Promise<void> {
  const { requests, anonymous_requests, window } = config.gateway.rate_limit;
  const find = keyFinder(db, () => new Date(clock.now().epochMilliseconds));
  app.decorateRequest('caller', undefined);
  app.addHook('onRequest', async (request) => {
    const key = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
    if (key !== undefined) request.caller = await find(key);
  });
  // Its hooks are the routes' own and run after the one above.
  await app.register(rateLimit, {
    store: requestWindows(window * 1000),
    keyGenerator: (request) => (request.caller === undefined ? `address ${request.ip}` : `key ${request.caller.id}`),
    max: (request) => (request.caller === undefined ? anonymous_requests : requests),
    timeWindow: window * 1000,
    allowList: (request) => request.caller === undefined && request.routeOptions.config.access === 'open',
    errorResponseBuilder: (_, { max, after }) =>
      new RefusedError(429, 'request.too_many', `more than ${max} requests within ${window} s; try again in ${after}`),
  });
  app.addHook('preParsing', async (request) => {
    if (request.is404) return;
    const access = request.routeOptions.config.access ?? 'admin';
    if (access === 'open') return;
    const { scopes } = callerOf(request);
    if (access !== 'key' && !scopes.includes(access) && !scopes.includes('admin')) throw lacking(request, access);
  });
}

/** Errors: `RefusedError('access.no_key' | 'access.bad_key')`. */
export function callerOf(request: FastifyRequest): Caller {
  if (request.caller !== undefined) return request.caller;
  throw request.headers.authorization === undefined
    ? new RefusedError(401, 'access.no_key', `send "Authorization: Bearer <key>"; "${COMMAND} key create" makes a key`)
    : new RefusedError(401, 'access.bad_key', `this key is unknown or was revoked; "${COMMAND} key list" shows the valid ones`);
}

/** Whether the caller has the scope for all users, or a key of this user. */
export function mayFor({ scopes }: Caller, scope: 'read' | 'jobs' | 'admin', user: string | undefined): boolean {
  return scopes.includes('admin') || scopes.includes(scope) || (user !== undefined && scopes.includes(`user:${user}`));
}

/** The users whose key the caller has; undefined when the caller has `scope` for all users. */
export function ownUsers({ scopes }: Pick<Caller, 'scopes'>, scope: 'read' | 'jobs' | 'admin'): string[] | undefined {
  if (scopes.includes('admin') || scopes.includes(scope)) return undefined;
  return scopes.flatMap((one) => (one.startsWith('user:') ? [one.slice('user:'.length)] : []));
}

/**
 * The one user whose key the caller has; undefined for a caller who has none or sees everything. Errors: `InputError('request.which_user')` for a key of several users,
 * which must say whom it means.
 */
export function oneUser(caller: Caller): string | undefined {
  const users = ownUsers(caller, 'read') ?? [];
  if (users.length > 1)
    throw new InputError(
      'request.which_user',
      `key "${caller.name}" is of the users ${users.map((user) => JSON.stringify(user)).join(', ')}: say with "user" whom you mean`,
    );
  return users[0];
}

/** Errors: `RefusedError('access.missing_scope')`. */
export function demand(request: FastifyRequest, scope: 'read' | 'jobs' | 'admin', user?: string): Caller {
  const caller = callerOf(request);
  if (!mayFor(caller, scope, user)) throw lacking(request, scope, user);
  return caller;
}

function lacking(request: FastifyRequest, scope: string, user?: string): RefusedError {
  const { name, scopes } = callerOf(request);
  const needed = user === undefined ? `"${scope}"` : `"${scope}" or "user:${user}"`;
  return new RefusedError(403, 'access.missing_scope', `key "${name}" has the scopes ${scopes.join(', ')}; this needs ${needed}`);
}
