/** The HTTP server: its plugins in order, and every route. */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import fastify, { LogController } from 'fastify';
import {
  jsonSchemaTransform,
  jsonSchemaTransformObject,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod';
import { z } from 'zod';
import { VERSION } from '../../platform/lifecycle.ts';
import { guard } from '../auth/access.ts';
import { keyRoutes } from '../auth/key-routes.ts';
import { streamRoutes } from '../live/stream.ts';
import { jobControlRoutes } from '../routes/job-control.ts';
import { jobEventRoutes } from '../routes/job-events.ts';
import { jobRoutes } from '../routes/jobs.ts';
import { loginRoutes } from '../routes/logins.ts';
import { olderPathRoutes } from '../routes/older-paths.ts';
import { operationRoutes } from '../routes/operations.ts';
import { positionRoutes } from '../routes/positions.ts';
import { rankingReader } from '../routes/ranking-reader.ts';
import { rankingRoutes } from '../routes/rankings.ts';
import { symbolRoutes } from '../routes/symbols.ts';
import { userRoutes } from '../routes/users.ts';
import type { App, Parts } from './app.ts';
import { healthRoutes } from './health.ts';
import { measure } from './metrics.ts';
import { answerNotFound, answerProblem } from './problems.ts';

/** A portfolio of a thousand positions is a tenth of it. */
const MOST_BODY_BYTES = 1024 * 1024;

/** Builds the server; the caller listens and closes. */
export async function buildServer(parts: Parts): Promise<App> {
  const app: App = fastify({
    loggerInstance: parts.log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: MOST_BODY_BYTES,
    // A client that holds its connection open must not keep a process that has to stop.
    forceCloseConnections: 'idle',
  }).withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler(answerProblem);
  app.setNotFoundHandler(answerNotFound);
  // A query parameter that a route does not name is refused: it is most likely misspelt.
  app.addHook('onRoute', (route) => {
    if (route.url.startsWith('/docs') || route.url === '/openapi.json') route.config = { ...route.config, access: 'open' };
    else route.schema = { querystring: z.strictObject({}), ...route.schema };
  });
  await guard(app, parts);
  const metrics = measure(app, parts);
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'stockmesh',
        version: VERSION,
        description: 'Jobs, market data and the live stream of a mesh. Every error is a problem (RFC 9457) with a stable code.',
      },
      components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
      security: [{ key: [] }],
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  });
  await app.register(swaggerUi, { routePrefix: '/docs' });
  app.get('/openapi.json', { schema: { hide: true } }, (_, reply) =>
    reply.type('application/json').serializer(JSON.stringify).send(app.swagger()),
  );

  healthRoutes(app, parts, metrics);
  loginRoutes(app, parts);
  jobRoutes(app, parts);
  jobControlRoutes(app, parts);
  jobEventRoutes(app, parts);
  symbolRoutes(app, parts);
  userRoutes(app, parts);
  const readRanking = rankingReader(parts);
  rankingRoutes(app, parts, readRanking);
  positionRoutes(app, parts);
  olderPathRoutes(app, parts, readRanking);
  operationRoutes(app, parts);
  keyRoutes(app, parts);
  streamRoutes(app, parts);
  await app.ready();
  return app;
}
