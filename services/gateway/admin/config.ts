/** `GET /v1/config` and `POST /v1/workers/{instance}/drain`: what the gateway runs with, and the end of a service by hand. */
import { z } from 'zod';
import { nowOf } from '../../ledger/job.ts';
import { describeConfig } from '../../platform/config/show.ts';
import { InputError } from '../../platform/errors.ts';
import { listInstances } from '../../platform/registry/instances.ts';
import { aliveInstance, tellInstance } from '../../platform/registry/tell-instance.ts';
import { actorOf } from '../auth/audit.ts';
import type { App, Parts } from '../http/app.ts';
import { problems } from '../http/schemas.ts';

export function configRoutes(app: App, parts: Parts): void {
  configRoute(app, parts);
  drainRoute(app, parts);
}

function configRoute(app: App, { config, loaded }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/config',
    config: { access: 'admin' },
    schema: {
      operationId: 'readConfiguration',
      summary: 'The configuration that this gateway runs with, and where each value comes from',
      description: 'A secret that is set is shown as `•••`. Services of one mesh are started with the same configuration.',
      tags: ['operations'],
      querystring: z.strictObject({ below: z.string().min(1).max(200).optional().describe('Only this key, or those of this section') }),
      response: {
        200: z.object({
          environment: z.string().nullable(),
          warnings: z.array(z.string()),
          keys: z.array(z.object({ key: z.string(), value: z.unknown(), origin: z.string() })),
        }),
        ...problems,
      },
    },
    async handler({ query: { below } }) {
      const keys = describeConfig(loaded ?? { config, origins: new Map() }).filter(
        ({ key }) => below === undefined || key === below || key.startsWith(`${below}.`),
      );
      if (keys.length === 0) throw new InputError('config.unknown', `no key is called ${JSON.stringify(below)} or lies below it`);
      return { environment: loaded?.environment ?? null, warnings: [...(loaded?.warnings ?? [])], keys };
    },
  });
}

function drainRoute(app: App, { db, ledger, bus }: Parts): void {
  app.route({
    method: 'POST',
    url: '/v1/workers/:instance/drain',
    config: { access: 'admin' },
    schema: {
      operationId: 'drainInstance',
      summary: 'Let a service finish its work and end',
      description:
        'A worker claims no more, finishes what it can within the grace period and hands the rest back. Whoever supervises it may start it again.',
      tags: ['operations'],
      params: z.strictObject({ instance: z.string().min(1).max(64) }),
      body: z.strictObject({}).nullish(),
      response: { 202: z.object({ instance: z.string() }), ...problems },
    },
    async handler(request, reply) {
      const { instance } = request.params;
      aliveInstance(await listInstances(db, new Date(nowOf(ledger).getTime() - ledger.leaseSeconds * 1000)), instance);
      await tellInstance(db, bus, actorOf(request), { instance, action: 'drain' });
      return reply.code(202).send({ instance });
    },
  });
}
