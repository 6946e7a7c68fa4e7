/** Who calls, and what the caller may do. A route that states no `access` is for `admin` only. */

import type { FastifyRequest } from 'fastify';
import type { Clock } from '../../platform/clock.ts';
import { COMMAND } from '../../platform/command-name.ts';
import type { Config } from '../../platform/config/load.ts';
import type { Sql } from '../../platform/database/database.ts';
import { InputError } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log/log.ts';
import type { App } from '../http/app.ts';
import { RefusedError } from '../http/problems.ts';
import type { Addresses } from './addresses.ts';
import { auditRefusals } from './audit.ts';
import { credentialFinder, credentialOf, isSession, refuseOtherSites } from './credentials.ts';
import type { ApiKey, FoundKey } from './keys.ts';
import { createRequestLimits } from './request-limits.ts';
import type { SessionKey } from './sessions.ts';

/**
 * `open`: without a key. `local`: without a key from this machine, and where gateway.open_paths names it; else `read`. `key`: any key in force that may do more than sign
 * users in; what it may see, the handler decides by its user. `login`: a key that may sign users in.
 */
export type Access = 'open' | 'local' | 'key' | 'login' | 'read' | 'jobs' | 'admin';

/** Scopes that are of all users. */
export type Scope = 'read' | 'jobs' | 'login' | 'admin';

export interface Caller extends Pick<ApiKey, 'id' | 'name' | 'scopes'>, Partial<Pick<FoundKey, 'rotated_at' | 'valid_until'>> {
  /** Of a browser that is signed in; a program has none. */
  session?: SessionKey['session'];
}

/** What each scope of all users includes beside itself. */
const INCLUDED_IN: Record<Scope, readonly string[]> = { read: ['admin'], jobs: ['admin'], login: ['jobs', 'admin'], admin: [] };

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
    /** Not counted by the rate limit: its answer is a constant, and a supervisor must get it. */
    uncounted?: true;
  }
  interface FastifyRequest {
    caller: Caller | undefined;
  }
}

/** Identifies the caller by key, limits the rate of requests, and refuses forbidden ones before their body is read. */
export function guard(
  app: App,
  { db, clock, config, addresses, log }: { db: Sql; clock: Clock; config: Config; addresses: Addresses; log: Logger },
): void {
  const { open_paths } = config.gateway;
  const limits = createRequestLimits(config.gateway, addresses);
  const find = credentialFinder(db, () => new Date(clock.now().epochMilliseconds));
  app.decorateRequest('caller', undefined);
  app.addHook('onRequest', async (request, reply) => {
    const { access, uncounted } = request.routeOptions.config;
    if (uncounted) return;
    const key = credentialOf(request);
    if (access === 'open' || (access === 'local' && key === undefined)) limits.countOpen(request, reply);
    else {
      refuseOtherSites(request, key);
      request.caller = await limits.identify(request, reply, key, find);
    }
  });
  const isOpenHere = (request: FastifyRequest): boolean =>
    addresses.isLocal(request) || open_paths.some((path) => PATHS[path].test(request.routeOptions.url ?? ''));
  app.addHook('preParsing', async (request) => {
    if (request.is404) return;
    const access = request.routeOptions.config.access ?? 'admin';
    if (access === 'open' || (access === 'local' && isOpenHere(request))) return;
    const needed = access === 'local' ? 'read' : access;
    const caller = callerOf(request);
    if (needed === 'key' ? !caller.scopes.every((scope) => scope === 'login') : hasScope(caller, needed)) return;
    if (needed === 'login' && caller.scopes.some((scope) => scope.startsWith('user:'))) return;
    throw lacking(caller, needed === 'key' ? 'read' : needed);
  });
  auditRefusals(app, { db, log });
}

/** The routes of each entry of gateway.open_paths. */
const PATHS = { '/metrics': /^\/metrics$/, '/docs': /^\/(?:docs(?:\/|$)|openapi\.json$)/ } as const;

/** Errors: `RefusedError('access.no_key' | 'access.bad_key' | 'access.signed_out')`. */
export function callerOf(request: FastifyRequest): Caller {
  if (request.caller !== undefined) return request.caller;
  const credential = credentialOf(request);
  if (credential !== undefined && isSession(credential))
    throw new RefusedError(
      401,
      'access.signed_out',
      `this session has ended; sign in again: "${COMMAND} dashboard" prints a link that does`,
    );
  throw credential === undefined && request.headers.authorization === undefined
    ? new RefusedError(401, 'access.no_key', `send "Authorization: Bearer <key>"; "${COMMAND} key create" makes a key`)
    : new RefusedError(
        401,
        'access.bad_key',
        `this key is unknown, was revoked or has expired; "${COMMAND} key list" shows the valid ones`,
      );
}

/** Whether the caller has the scope for all users, or a key of this user. */
export function mayFor(caller: Caller, scope: Scope, user: string | undefined): boolean {
  return hasScope(caller, scope) || (user !== undefined && caller.scopes.includes(`user:${user}`));
}

function hasScope({ scopes }: Pick<Caller, 'scopes'>, scope: Scope): boolean {
  return [scope, ...INCLUDED_IN[scope]].some((one) => scopes.includes(one));
}

/** The scopes of all users that the caller has, those that others include too. */
export function allScopes(caller: Pick<Caller, 'scopes'>): Scope[] {
  return (Object.keys(INCLUDED_IN) as Scope[]).filter((scope) => hasScope(caller, scope));
}

/** The users whose key the caller has; undefined when the caller has `scope` for all users. */
export function ownUsers(caller: Pick<Caller, 'scopes'>, scope: Scope): string[] | undefined {
  if (hasScope(caller, scope)) return undefined;
  return caller.scopes.flatMap((one) => (one.startsWith('user:') ? [one.slice('user:'.length)] : []));
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
export function demand(request: FastifyRequest, scope: Scope, user?: string): Caller {
  const caller = callerOf(request);
  if (!mayFor(caller, scope, user)) throw lacking(caller, scope, user);
  return caller;
}

/** The same for a body that may name a user: the error tells a key of users to name one. */
export function demandForBody(request: FastifyRequest, scope: Scope, user: string | undefined): Caller {
  const caller = callerOf(request);
  const [own, ...others] = user === undefined ? (ownUsers(caller, scope) ?? []) : [];
  if (own === undefined) return demand(request, scope, user);
  const which = others.length === 0 ? 'for whom it asks' : `for which of its ${others.length + 1} users it asks`;
  throw lacking(caller, scope, undefined, `; a key of users says ${which}: "user": ${JSON.stringify(own)}`);
}

/**
 * The same as `ownUsers` for what only its users may know of. Errors: `RefusedError('access.missing_scope')` for a caller who has neither the scope nor a user: nothing is
 * hidden from it that it could have.
 */
export function usersFor(caller: Caller, scope: Scope): string[] | undefined {
  const users = ownUsers(caller, scope);
  if (users?.length === 0) throw lacking(caller, scope);
  return users;
}

function lacking({ name, scopes }: Caller, scope: string, user?: string, way = ''): RefusedError {
  const needed = user === undefined ? `"${scope}"` : `"${scope}" or "user:${user}"`;
  return new RefusedError(403, 'access.missing_scope', `key "${name}" has the scopes ${scopes.join(', ')}; this needs ${needed}${way}`);
}
