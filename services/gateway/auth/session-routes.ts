/** `/v1/session` and `/v1/me`: signing a browser in and out, and who is signed in. */
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { nowOf } from '../../ledger/job.ts';
import { VERSION } from '../../platform/lifecycle.ts';
import { recordChange } from '../../platform/registry/audit.ts';
import type { App, Parts } from '../http/app.ts';
import { RefusedError } from '../http/problems.ts';
import { instant, problems } from '../http/schemas.ts';
import { allScopes, type Caller, callerOf } from './access.ts';
import { actorOf } from './audit.ts';
import { isFromOtherPage } from './credentials.ts';
import { closeSession, openSession, sessionCookie, sessionOf } from './sessions.ts';

/** The exchange of every calendar that is known here. */
const EXCHANGE_ZONE = 'America/New_York';

const me = z
  .object({
    key: z.object({ id: z.string(), name: z.string() }),
    scopes: z.array(z.string()).describe('As the key has them'),
    may: z.array(z.enum(['read', 'jobs', 'login', 'admin'])).describe('Of all users, with those that another scope includes'),
    users: z.array(z.string()).describe('Whose portfolio, logins and jobs it sees beside that'),
    version: z.string(),
    zone: z.string().describe('Of the exchange, as an IANA name'),
    base_currency: z.string(),
    session_expires_at: instant.nullable().describe('null: the request shows a key and no session'),
    at: instant.describe('Now, by the clock of the mesh'),
  })
  .meta({ id: 'Me' });

const shown = z.union([
  z.strictObject({ key: z.string().min(1).max(200) }),
  z.strictObject({ code: z.string().min(1).max(200).describe('Of the link that "stockmesh dashboard" prints; of use once, for a minute') }),
]);

const tags = ['session'];
/** Of each browser its own, and over with the next sign-in. */
const UNSTORED = ['cache-control', 'no-store'] as const;

export function sessionRoutes(app: App, parts: Parts): void {
  signInRoute(app, parts);
  signOutRoute(app, parts);
  meRoute(app, parts);
}

function meJson({ config }: Parts, caller: Caller, now: Date): z.output<typeof me> {
  return {
    key: { id: caller.id, name: caller.name },
    scopes: caller.scopes,
    may: allScopes(caller),
    users: caller.scopes.flatMap((scope) => (scope.startsWith('user:') ? [scope.slice('user:'.length)] : [])),
    version: VERSION,
    zone: EXCHANGE_ZONE,
    base_currency: config.portfolio.base_currency,
    session_expires_at: caller.session?.expires_at ?? null,
    at: now,
  };
}

/** By the gateway itself, or by a proxy in front of it that is trusted (`gateway.trust_proxy`). */
const isEncrypted = ({ protocol }: FastifyRequest): boolean => protocol === 'https';

function signInRoute(app: App, parts: Parts): void {
  const { db, config, clock } = parts;
  app.route({
    method: 'POST',
    url: '/v1/session',
    config: { access: 'open' },
    schema: {
      operationId: 'openSession',
      summary: 'Sign a browser in',
      description:
        'With a key, or with a code of one use. The answer sets a cookie that stands for the key: scripts do not read it, other sites do not send it, and it ends with the key. A request with it that changes something must come from a page of this address. Programs send the key with each request and need no session.',
      tags,
      security: [],
      body: shown,
      response: { 200: me, ...problems },
    },
    async handler(request, reply) {
      refuseOtherPages(request);
      const now = nowOf({ clock });
      const { secret, key } = await openSession(db, request.body, {
        now,
        seconds: config.gateway.sessions.seconds,
        recorded(tx, { id, name }) {
          const by = 'key' in request.body ? 'with the key' : 'with a code';
          recordChange(tx, { ...actorOf(request), actor: id, name }, { action: 'session.open', target: `key:${id}`, details: by });
        },
      });
      const seconds = Math.ceil((key.session.expires_at.getTime() - now.getTime()) / 1000);
      return reply
        .header(...UNSTORED)
        .header('set-cookie', sessionCookie(secret, { seconds, isEncrypted: isEncrypted(request) }))
        .send(meJson(parts, key, now));
    },
  });
}

function signOutRoute(app: App, parts: Parts): void {
  app.route({
    method: 'DELETE',
    url: '/v1/session',
    config: { access: 'open' },
    schema: {
      operationId: 'closeSession',
      summary: 'Sign a browser out',
      description: 'The session of the cookie ends, in all tabs, and its event streams end within two seconds.',
      tags,
      security: [],
      response: { 200: z.object({ was_signed_in: z.boolean() }), ...problems },
    },
    async handler(request, reply) {
      refuseOtherPages(request);
      const secret = sessionOf(request.headers.cookie);
      const was_signed_in = secret !== undefined && (await closeSession(parts.db, secret));
      return reply
        .header(...UNSTORED)
        .header('set-cookie', sessionCookie('', { seconds: 0, isEncrypted: isEncrypted(request) }))
        .send({ was_signed_in });
    },
  });
}

function meRoute(app: App, parts: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/me',
    config: { access: 'key' },
    schema: {
      operationId: 'readMe',
      summary: 'The key of this request, and what it may do',
      tags,
      response: { 200: me, ...problems },
    },
    handler: async (request, reply) => reply.header(...UNSTORED).send(meJson(parts, callerOf(request), nowOf(parts))),
  });
}

/** Else another page signs its visitors in with a key of its own, or out. */
function refuseOtherPages(request: FastifyRequest): void {
  if (isFromOtherPage(request))
    throw new RefusedError(403, 'access.cross_site', 'a browser signs in and out from a page of this address, not from one of another');
}
