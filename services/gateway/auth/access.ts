/** Who calls, and what the caller may do. A route that states no `access` is for `admin` only. */

import type { FastifyRequest } from 'fastify';
import type { Clock } from '../../platform/clock.ts';
import { COMMAND } from '../../platform/command-name.ts';
import type { Config } from '../../platform/config/load.ts';
import type { Sql } from '../../platform/database/database.ts';
import type { App } from '../http/app.ts';
import { RefusedError } from '../http/problems.ts';
import type { Addresses } from './addresses.ts';
import { type ApiKey, keyFinder } from './keys.ts';
import { createRequestLimits } from './request-limits.ts';

/** `open`: without a key. `local`: without a key from this machine, and where gateway.open_paths names it; else `read`. `key`: any key in force; what it may see, the handler decides by its user. */
export type Access = 'open' | 'local' | 'key' | 'read' | 'jobs' | 'admin';

export type Caller = Pick<ApiKey, 'id' | 'name' | 'scopes'>;

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
export function guard(app: App, { db, clock, config, addresses }: { db: Sql; clock: Clock; config: Config; addresses: Addresses }): void {
  const { open_paths } = config.gateway;
  const limits = createRequestLimits(config.gateway, addresses);
  const find = keyFinder(db, () => new Date(clock.now().epochMilliseconds));
  app.decorateRequest('caller', undefined);
  app.addHook('onRequest', async (request, reply) => {
    const { access, uncounted } = request.routeOptions.config;
    if (uncounted) return;
    const key = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
    if (access === 'open' || (access === 'local' && key === undefined)) limits.countOpen(request, reply);
    else request.caller = await limits.identify(request, reply, key, find);
  });
  const isOpenHere = (request: FastifyRequest): boolean =>
    addresses.isLocal(request) || open_paths.some((path) => PATHS[path].test(request.routeOptions.url ?? ''));
  app.addHook('preParsing', async (request) => {
    if (request.is404) return;
    const access = request.routeOptions.config.access ?? 'admin';
    if (access === 'open' || (access === 'local' && isOpenHere(request))) return;
    const needed = access === 'local' ? 'read' : access;
    const { scopes } = callerOf(request);
    if (needed !== 'key' && !scopes.includes(needed) && !scopes.includes('admin')) throw lacking(request, needed);
  });
}

/** The routes of each entry of gateway.open_paths. */
const PATHS = { '/metrics': /^\/metrics$/, '/docs': /^\/(?:docs(?:\/|$)|openapi\.json$)/ } as const;

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
export function ownUsers({ scopes }: Caller, scope: 'read' | 'jobs' | 'admin'): string[] | undefined {
  if (scopes.includes('admin') || scopes.includes(scope)) return undefined;
  return scopes.flatMap((one) => (one.startsWith('user:') ? [one.slice('user:'.length)] : []));
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
