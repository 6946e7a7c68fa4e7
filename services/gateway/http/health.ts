/** For supervisors and collectors: alive, ready, measured. */
import { z } from 'zod';
import { offsetSeconds } from '../../platform/clock.ts';
import { createReadiness } from '../../platform/database/suitable.ts';
import type { App, Parts } from './app.ts';
import type { HttpMetrics } from './metrics.ts';
import { problems } from './schemas.ts';

const ready = z
  .object({
    status: z.enum(['ok', 'unavailable']),
    database: z.boolean().describe('Whether it takes writes'),
    broker: z.boolean(),
    subscriptions: z.boolean().describe('Whether the broker has granted all of them and delivers'),
    missing: z.array(z.string()).describe('Subscriptions that are not granted, or do not deliver what the gateway itself has published'),
    clock_offset_s: z
      .number()
      .nullable()
      .describe("Seconds by which this machine's clock is ahead of the database's; no fault, since the work goes by the database's"),
  })
  .meta({ id: 'Readiness' });

export function healthRoutes(app: App, { clock, db, bus }: Parts, metrics: HttpMetrics): void {
  const takesWrites = createReadiness(db);
  app.route({
    method: 'GET',
    url: '/healthz',
    config: { access: 'open', uncounted: true },
    schema: {
      operationId: 'isAlive',
      summary: 'Alive',
      tags: ['health'],
      security: [],
      response: { 200: z.object({ status: z.literal('ok') }), ...problems },
    },
    handler: async () => ({ status: 'ok' as const }),
  });

  app.route({
    method: 'GET',
    url: '/readyz',
    config: { access: 'open' },
    schema: {
      operationId: 'isReady',
      summary: 'Ready: database, broker, subscriptions',
      tags: ['health'],
      security: [],
      response: { 200: ready, 503: ready, ...problems },
    },
    async handler(_, reply) {
      const database = await takesWrites();
      const broker = bus.state === 'online';
      const { missing } = bus.report();
      const isReady = database && broker && missing.length === 0;
      return reply
        .code(isReady ? 200 : 503)
        .header('cache-control', 'no-store')
        .send({
          status: isReady ? 'ok' : 'unavailable',
          database,
          broker,
          subscriptions: missing.length === 0,
          missing,
          clock_offset_s: offsetSeconds(clock),
        });
    },
  });

  app.route({
    method: 'GET',
    url: '/metrics',
    config: { access: 'local' },
    schema: {
      operationId: 'readMetrics',
      summary: 'Prometheus',
      description:
        'Without a key from the machine of the gateway, and from everywhere when `gateway.open_paths` names it; else with a key for `read`.',
      tags: ['health'],
      security: [{}, { key: [] }],
      response: { 200: { content: { 'text/plain': { schema: z.string() } } }, ...problems },
    },
    async handler(_, reply) {
      const { contentType, body } = await metrics.render();
      return reply.type(contentType).serializer(String).send(body);
    },
  });
}
