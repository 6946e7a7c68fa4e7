/** `/v1/notifications`: what people were told lately, the routes of the configuration, and a test of one. */
import { z } from 'zod';
import { nowOf } from '../../ledger/job.ts';
import { listStops } from '../../platform/notify/stops.ts';
import { EVENT_NAMES, SEVERITIES } from '../../platform/outbox.ts';
import {
  asksForUser,
  type MessageRow,
  masked,
  messagesOfEvent,
  recentMessages,
  tryRoute,
  withMaskedAddresses,
} from '../../platform/registry/told.ts';
import { actorOf } from '../auth/audit.ts';
import type { App, Parts } from '../http/app.ts';
import { instant, limit, problems, userId } from '../http/schemas.ts';

const STATES = ['open', 'sending', 'sent', 'failed', 'suppressed', 'bounced'] as const satisfies MessageRow['state'][];

const message = z
  .object({
    id: z.string(),
    route: z.string(),
    channel: z.string().describe('email, webhook or requester'),
    recipient: z.string().describe('An e-mail address without its middle, the host of a webhook, or a user'),
    state: z
      .enum(STATES)
      .describe(
        'open: gathers events; sending: is tried; failed: refused for good, or given up; suppressed: not to be sent; bounced: taken, and then returned',
      ),
    severity: z.enum(SEVERITIES),
    at: instant.describe('When it is tried, or when it ended'),
    attempts: z.int(),
    reason: z.string().nullable().describe('Why it was not sent, is tried again, was delayed, or came back'),
    code: z.string().nullable().describe('Of the mail server, where it gave one, such as 5.1.1 (RFC 3463)'),
    created_at: instant,
    event: z.string().nullable().describe('The name of its first event; null: it was deleted meanwhile'),
    events: z.int(),
  })
  .meta({ id: 'Notification' });

const stop = z
  .object({ address: z.string().describe('Without its middle'), code: z.string(), reason: z.string(), stopped_at: instant })
  .meta({ id: 'StoppedAddress' });
/** Stopped addresses that an answer names. */
const MOST_STOPS = 100;

const tags = ['operations'];

export function notificationRoutes(app: App, parts: Parts): void {
  messagesRoute(app, parts);
  routesRoute(app, parts);
  testRoute(app, parts);
}

function messagesRoute(app: App, { db }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/notifications',
    config: { access: 'admin' },
    schema: {
      operationId: 'listNotifications',
      summary: 'The last messages to people, the newest first, each with what became of it',
      description: 'Kept for `notify.keep_days`.',
      tags,
      querystring: z.strictObject({
        route: z.string().min(1).max(64).optional().describe('Only those of this route'),
        test: z
          .string()
          .regex(/^\d{1,15}$/)
          .optional()
          .describe('Only those of this test of a route; the others are ignored'),
        limit: limit(50, 200),
      }),
      response: {
        200: z.object({
          messages: z.array(message),
          stopped: z
            .array(stop)
            .describe(
              'Addresses that are not written to, since a mail server said for good that nothing arrives there; the newest hundred',
            ),
        }),
        ...problems,
      },
    },
    async handler({ query: { route, test, limit: most } }) {
      const [rows, stops] = await Promise.all([
        test === undefined ? recentMessages(db, { route, limit: most }) : messagesOfEvent(db, Number(test)),
        listStops(db, MOST_STOPS),
      ]);
      return {
        messages: rows.map(shown),
        stopped: stops.map((one) => ({ ...one, address: masked(one.address), reason: withMaskedAddresses(one.reason) })),
      };
    },
  });
}

function shown({ due_at, last_error, recipient, severity, ...row }: MessageRow): z.output<typeof message> {
  return {
    ...row,
    severity: severity as z.output<typeof message>['severity'],
    recipient: masked(recipient),
    at: due_at,
    // A mail server names the address that it refuses, that of a user too.
    reason: last_error === null ? null : withMaskedAddresses(last_error),
  };
}

function routesRoute(app: App, { config }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/notifications/routes',
    config: { access: 'admin' },
    schema: {
      operationId: 'listNotificationRoutes',
      summary: 'Who is told of what: the routes of the configuration',
      tags,
      response: {
        200: z.object({
          routes: z.array(
            z.object({
              name: z.string(),
              on: z.array(z.enum(EVENT_NAMES)),
              min_severity: z.enum(SEVERITIES),
              to: z.array(z.string()).describe('Who is told, for people: addresses without their middle, the host of a webhook'),
              group_by: z
                .array(z.string())
                .nullable()
                .describe('What the events of one message have in common; null: each is a message of its own'),
              wait_s: z.number().describe('Seconds for which a message gathers events'),
              repeat_s: z.number().nullable().describe('Seconds after which an alert that lasts is told again; null: it is told once'),
              quiet: z.string().nullable().describe('When nobody is disturbed'),
              asks_for_user: z.boolean().describe('A test of it must name the user who is told'),
            }),
          ),
        }),
        ...problems,
      },
    },
    async handler() {
      return {
        routes: config.notify.routes.map(({ name, on, min_severity, to, group_by, wait, repeat, quiet }) => ({
          ...{
            name,
            on: [...on],
            min_severity,
            group_by: group_by === undefined ? null : [...group_by],
            wait_s: wait,
            repeat_s: repeat ?? null,
          },
          to: [
            ...(to.email ?? []).map(masked),
            ...(to.webhook === undefined ? [] : [`${to.webhook.format} at ${new URL(to.webhook.url).host}`]),
            ...(to.requester === undefined ? [] : ['whoever asked for the job']),
          ],
          quiet: quiet === undefined ? null : `${quiet.from}-${quiet.to} ${quiet.time_zone}, except ${quiet.except.join(', ')}`,
          asks_for_user: asksForUser({ to }),
        })),
      };
    },
  });
}

function testRoute(app: App, { db, ledger, config }: Parts): void {
  app.route({
    method: 'POST',
    url: '/v1/notifications/routes/:name/test',
    config: { access: 'admin' },
    schema: {
      operationId: 'testNotificationRoute',
      summary: 'Send a message by a route, to try it',
      description:
        'It goes the way of all messages. `GET /v1/notifications?test=…` says what became of it; none yet: is a notifier running?',
      tags,
      params: z.strictObject({ name: z.string().min(1).max(64) }),
      body: z.strictObject({ user: userId.optional().describe('Whom a route to those who ask tells') }).nullish(),
      response: { 202: z.object({ test: z.string().describe('For `GET /v1/notifications?test=…`') }), ...problems },
    },
    async handler(request, reply) {
      const actor = actorOf(request);
      const asked = { name: request.params.name, user: request.body?.user, actor, by: actor.name ?? 'a key', now: nowOf(ledger) };
      const event = await db.transaction((tx) => tryRoute(tx, config.notify.routes, asked));
      return reply.code(202).send({ test: String(event) });
    },
  });
}
