/** `/v1/keys` and `/v1/audit`: who may speak to this API, and who changed what by hand, for `admin` alone; and the tokens of event streams. */
import { z } from 'zod';
import { after, nowOf } from '../../ledger/job.ts';
import { AUDITED, type AuditedAction, listAudit } from '../../platform/registry/audit.ts';
import type { App, Parts } from '../http/app.ts';
import { pageOf } from '../http/page.ts';
import { instant, limit, problems } from '../http/schemas.ts';
import { callerOf } from './access.ts';
import { actorOf } from './audit.ts';
import { endKey, makeKey, renewKey, renewWebhookSecret } from './key-changes.ts';
import { type ApiKey, listKeysAfter, SCOPES, stateOf } from './keys.ts';
import { createStreamToken } from './stream-tokens.ts';

const LONGEST_OVERLAP = 30 * 86_400;

const key = z
  .object({
    id: z.string().describe('It stays when the secret is renewed'),
    name: z.string(),
    scopes: z.array(z.string()),
    state: z.enum(['in force', 'expired', 'revoked']),
    created_at: instant,
    expires_at: instant.nullable(),
    last_used_at: instant.nullable().describe('To the minute'),
    rotated_at: instant.nullable(),
    old_until: instant.nullable().describe('Until then the secret before the present one works too'),
    revoked_at: instant.nullable(),
  })
  .meta({ id: 'ApiKey' });
const secret = {
  key: z.string().describe('The secret, shown this once: for "Authorization: Bearer"'),
  signing_secret: z.string().describe('Verifies the signatures of its webhooks; shown this once'),
};
const overlap = z
  .int()
  .min(0)
  .max(LONGEST_OVERLAP)
  .optional()
  .describe('How long the old secret works; gateway.keys.rotation_overlap if not given, 0: not at all');
const expiry = instant.optional().describe('When it ends by itself');

const params = z.strictObject({ id: z.string().regex(/^[0-9a-f]{16}$/, 'not the id of a key; GET /v1/keys lists them') });
const tags = ['keys'];
/** A secret in an answer is no one's to keep but the caller's. */
const UNSTORED = ['cache-control', 'no-store'] as const;

export function keyRoutes(app: App, parts: Parts): void {
  listRoute(app, parts);
  createRoute(app, parts);
  changeRoutes(app, parts);
  auditRoute(app, parts);
  tokenRoute(app, parts);
}

const keyJson = (one: ApiKey, now: Date) => ({ ...one, state: stateOf(one, now) });

function listRoute(app: App, { db, clock }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/keys',
    config: { access: 'admin' },
    schema: {
      operationId: 'listKeys',
      summary: 'All keys, the newest first',
      tags,
      querystring: z.strictObject({
        limit: limit(100, 500),
        cursor: params.shape.id.optional().describe('`next` of the page before'),
      }),
      response: {
        200: z.object({ keys: z.array(key), next: z.string().nullable().describe('`cursor` of the next page; null on the last one') }),
        ...problems,
      },
    },
    async handler({ query: { limit: most, cursor } }) {
      const now = nowOf({ clock });
      const found = await listKeysAfter(db, cursor, most + 1);
      const { rows, next } = pageOf(
        found.map((one) => keyJson(one, now)),
        most,
        ({ id }) => id,
      );
      return { keys: rows, next };
    },
  });
}

function createRoute(app: App, { db, clock }: Parts): void {
  app.route({
    method: 'POST',
    url: '/v1/keys',
    config: { access: 'admin' },
    schema: {
      operationId: 'createKey',
      summary: 'Make a key',
      tags,
      body: z.strictObject({
        name: z.string().describe('The program or person that uses it'),
        scopes: z.array(z.string().max(80)).min(1).max(100).describe(Object.keys(SCOPES).join(', ')),
        expires_at: expiry,
      }),
      response: { 201: z.object({ id: z.string(), ...secret }), ...problems },
    },
    async handler(request, reply) {
      const { id, key: made, signingSecret } = await makeKey(db, actorOf(request), request.body, nowOf({ clock }));
      return reply
        .code(201)
        .header(...UNSTORED)
        .send({ id, key: made, signing_secret: signingSecret });
    },
  });
}

function changeRoutes(app: App, { db, clock, config }: Parts): void {
  app.route({
    method: 'POST',
    url: '/v1/keys/:id/rotate',
    config: { access: 'admin' },
    schema: {
      operationId: 'rotateKey',
      summary: 'Give a key a new secret',
      description:
        'The old secret goes on working for a while, so that programs can be told one after the other. Webhooks get a new secret as well, and are signed with both for that time.',
      tags,
      params,
      body: z
        .strictObject({
          overlap_seconds: overlap,
          expires_at: expiry.describe('A new end of the key; without it the end stays'),
        })
        .nullish(),
      response: { 200: key.extend(secret), ...problems },
    },
    async handler(request, reply) {
      const now = nowOf({ clock });
      const { overlap_seconds: overlapSeconds = config.gateway.keys.rotation_overlap, expires_at } = request.body ?? {};
      const {
        key: made,
        signingSecret,
        ...renewed
      } = await renewKey(db, actorOf(request), request.params.id, { overlapSeconds, expires_at }, now);
      return reply.header(...UNSTORED).send({ ...keyJson(renewed, now), key: made, signing_secret: signingSecret });
    },
  });

  app.route({
    method: 'POST',
    url: '/v1/keys/:id/webhook-secret',
    config: { access: 'admin' },
    schema: {
      operationId: 'rotateWebhookSecret',
      summary: 'Give the webhooks of a key a new secret',
      description: 'The key itself stays. Until `old_until` the old secret signs too: `webhook-signature` has a signature by each.',
      tags,
      params,
      body: z.strictObject({ overlap_seconds: overlap }).nullish(),
      response: { 200: z.object({ id: z.string(), signing_secret: secret.signing_secret, old_until: instant }), ...problems },
    },
    async handler(request, reply) {
      const { overlap_seconds = config.gateway.keys.rotation_overlap } = request.body ?? {};
      const { id, signingSecret, old_until } = await renewWebhookSecret(
        db,
        actorOf(request),
        request.params.id,
        overlap_seconds,
        nowOf({ clock }),
      );
      return reply.header(...UNSTORED).send({ id, signing_secret: signingSecret, old_until });
    },
  });

  app.route({
    method: 'POST',
    url: '/v1/keys/:id/revoke',
    config: { access: 'admin' },
    schema: {
      operationId: 'revokeKey',
      summary: 'Revoke a key',
      description: 'Every gateway refuses it within a second, and ends its event streams within two.',
      tags,
      params,
      body: z.strictObject({}).nullish(),
      response: { 200: key, ...problems },
    },
    async handler(request) {
      const now = nowOf({ clock });
      return keyJson(await endKey(db, actorOf(request), request.params.id, now), now);
    },
  });
}

function auditRoute(app: App, { db }: Parts): void {
  const actions = Object.keys(AUDITED) as [AuditedAction, ...AuditedAction[]];
  const row = z.object({
    id: z.string(),
    at: instant,
    source: z.enum(['http', 'cli']),
    actor: z.string().nullable().describe('http: id of the key, null without one in force; cli: account@host of the operating system'),
    name: z.string().nullable().describe('Of the key'),
    address: z.string().nullable(),
    action: z.enum(actions),
    target: z.string().nullable().describe('`job:{id}`, `user:{id}`, `key:{id}`, `position:{id}`; of a refusal method and path'),
    outcome: z.enum(['done', 'refused']),
    code: z.string().nullable().describe('Why it was refused'),
    times: z.int().describe('Refusals of the same caller and kind that the row stands for'),
    details: z.string().nullable(),
  });

  app.route({
    method: 'GET',
    url: '/v1/audit',
    config: { access: 'admin' },
    schema: {
      operationId: 'listAudit',
      summary: 'Who changed what by hand, and who was refused, newest first',
      description: `Kept for \`audit.keep_days\`. ${Object.entries(AUDITED)
        .map(([action, meaning]) => `\`${action}\`: ${meaning}`)
        .join('; ')}.`,
      tags,
      querystring: z.strictObject({
        action: z.enum(actions).optional(),
        actor: z.string().max(128).optional(),
        target: z.string().max(190).optional(),
        outcome: row.shape.outcome.optional(),
        since: instant.optional(),
        limit: limit(50, 500),
        cursor: z
          .string()
          .regex(/^\d{1,18}$/, 'not a cursor; use `next` of the page before')
          .optional(),
      }),
      response: { 200: z.object({ rows: z.array(row), next: z.string().nullable() }), ...problems },
    },
    async handler({ query: { limit: most, cursor, ...filter } }) {
      const found = await listAudit(db, { ...filter, before: cursor, limit: most + 1 });
      const rows = found.slice(0, most);
      return { rows, next: found.length > most ? (rows.at(-1)?.id ?? null) : null };
    },
  });
}

function tokenRoute(app: App, { db, clock, config }: Parts): void {
  app.route({
    method: 'POST',
    url: '/v1/events/token',
    config: { access: 'key' },
    schema: {
      operationId: 'createStreamToken',
      summary: 'A token that opens event streams',
      description:
        'For an EventSource, which sends no header: `GET /v1/events?token=…` and `GET /v1/jobs/{id}/events?token=…`. It must be used within `gateway.events.token_seconds`, opens streams alone, and shows what this key may see. A stream ends within two seconds when the key is revoked or expires.',
      tags: ['live'],
      body: z.strictObject({}).nullish(),
      response: { 201: z.object({ token: z.string(), expires_at: instant }), ...problems },
    },
    async handler(request, reply) {
      const expires_at = after(nowOf({ clock }), config.gateway.events.token_seconds);
      const token = await createStreamToken(db, callerOf(request).id, expires_at);
      return reply
        .code(201)
        .header(...UNSTORED)
        .send({ token, expires_at });
    },
  });
}
