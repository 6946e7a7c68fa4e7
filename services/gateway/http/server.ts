/** The HTTP server: its plugins in order, and every route. */
import fastify, { LogController } from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { watchCertificate } from '../../platform/machine/certificate.ts';
import { configRoutes } from '../admin/config.ts';
import { notificationRoutes } from '../admin/notifications.ts';
import { scheduleRoutes } from '../admin/schedules.ts';
import { guard } from '../auth/access.ts';
import { createAddresses } from '../auth/addresses.ts';
import { keyRoutes } from '../auth/key-routes.ts';
import { watchKeys } from '../auth/key-watch.ts';
import { sessionRoutes } from '../auth/session-routes.ts';
import { historyCoverageRoute } from '../history/coverage.ts';
import { historyDownloadsRoute } from '../history/downloads.ts';
import { historyObjectRoutes } from '../history/objects.ts';
import { historyReadRoutes } from '../history/read.ts';
import { historySubmitRoutes } from '../history/submit.ts';
import { jobBulkRoute } from '../jobs/bulk.ts';
import { findRoute } from '../jobs/find.ts';
import { jobSearchRoutes } from '../jobs/search.ts';
import { jobTypesRoute } from '../jobs/types.ts';
import { streamRoutes } from '../live/stream.ts';
import { optionRoutes } from '../market/options.ts';
import { rankedSymbolsRoute } from '../market/ranked-symbols.ts';
import { statsHistoryRoute } from '../mesh/history.ts';
import { sourcesRoute } from '../mesh/sources.ts';
import { cronRoutes } from '../picks/cron.ts';
import { picksRoutes } from '../picks/picks.ts';
import { profileRoutes } from '../picks/profile.ts';
import { spendRoutes } from '../picks/spend.ts';
import { portfolioImportRoute } from '../portfolios/import.ts';
import { loginsRoute, usersRoute } from '../portfolios/users.ts';
import { researchRoutes } from '../research/research.ts';
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
import { unsubscribeRoutes } from '../unsubscribe/routes.ts';
import type { App, Parts } from './app.ts';
import { readBodies } from './body.ts';
import { answerClientError, limitConnections, serverOf } from './connections.ts';
import { dashboardRoutes } from './dashboard.ts';
import { documentation } from './documentation.ts';
import { addHeaders, allowOrigins } from './headers.ts';
import { healthRoutes } from './health.ts';
import { measure } from './metrics.ts';
import { answerNotFound, answerProblem, MOST_BODY_BYTES, refuseRequests } from './problems.ts';

/** Builds the server; the caller listens and closes. Errors: `ConfigError('tls.unreadable' | 'tls.unusable')`. */
export async function buildServer(parts: Parts): Promise<App> {
  const { connections, trust_proxy, tls, cors } = parts.config.gateway;
  const { cert_file, key_file } = tls;
  const addresses = createAddresses(trust_proxy);
  const certificate = watchCertificate('gateway.tls', { cert_file, key_file }, parts.log);
  const app: App = fastify({
    loggerInstance: parts.log,
    logController: new LogController({ disableRequestLogging: true }),
    serverFactory: (handler) => serverOf(handler, connections, certificate),
    bodyLimit: MOST_BODY_BYTES,
    // Of a key of a stored object, with its slashes percent-encoded.
    routerOptions: { maxParamLength: 600 },
    trustProxy: addresses.isTrusted,
    clientErrorHandler: answerClientError,
    frameworkErrors: answerProblem,
    // Refused with a problem, by `refuseRequests`.
    return503OnClosing: false,
    // A client that holds its connection open must not keep a process that has to stop.
    forceCloseConnections: 'idle',
  }).withTypeProvider<ZodTypeProvider>();
  const refusals = limitConnections(app.server, { limits: connections, addresses, log: parts.log });
  addHeaders(app.server, { isEncrypted: certificate !== undefined });
  app.addHook('onClose', async () => certificate?.close());
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler(answerProblem);
  app.setNotFoundHandler(answerNotFound);
  readBodies(app);
  refuseRequests(app);
  // A query parameter that a route does not name is refused: it is most likely misspelt.
  app.addHook('onRoute', (route) => {
    // The addresses of the dashboard's pages hold what the page shows.
    if (route.url === '/' || route.url.startsWith('/ui')) return;
    if (route.url.startsWith('/docs') || route.url === '/openapi.json') route.config = { ...route.config, access: 'local' };
    else route.schema = { querystring: z.strictObject({}), ...route.schema };
  });
  await allowOrigins(app, cors);
  guard(app, { ...parts, addresses });
  const metrics = measure(app, { ...parts, refusals });
  await documentation(app);
  addRoutes(app, parts, metrics);
  await app.ready();
  return app;
}

function addRoutes(app: App, parts: Parts, metrics: ReturnType<typeof measure>): void {
  dashboardRoutes(app);
  healthRoutes(app, parts, metrics);
  loginRoutes(app, parts);
  jobTypesRoute(app);
  findRoute(app, parts);
  jobSearchRoutes(app, parts);
  jobBulkRoute(app, parts);
  jobRoutes(app, parts);
  jobControlRoutes(app, parts);
  const watchKey = watchKeys(app, parts);
  jobEventRoutes(app, parts, watchKey);
  symbolRoutes(app, parts);
  researchRoutes(app, parts);
  optionRoutes(app, parts);
  rankedSymbolsRoute(app, parts);
  usersRoute(app, parts);
  loginsRoute(app, parts);
  portfolioImportRoute(app, parts);
  userRoutes(app, parts);
  const readRanking = rankingReader(parts);
  rankingRoutes(app, parts, readRanking);
  positionRoutes(app, parts);
  olderPathRoutes(app, parts, readRanking);
  picksRoutes(app, parts);
  profileRoutes(app, parts);
  spendRoutes(app, parts);
  cronRoutes(app, parts);
  historySubmitRoutes(app, parts, watchKey);
  historyCoverageRoute(app, parts);
  historyDownloadsRoute(app, parts);
  historyObjectRoutes(app, parts, parts.history);
  historyReadRoutes(app, parts, parts.history);
  operationRoutes(app, parts);
  statsHistoryRoute(app, parts);
  sourcesRoute(app, parts);
  keyRoutes(app, parts);
  scheduleRoutes(app, parts);
  configRoutes(app, parts);
  notificationRoutes(app, parts);
  unsubscribeRoutes(app, parts);
  sessionRoutes(app, parts);
  streamRoutes(app, parts, watchKey);
}
