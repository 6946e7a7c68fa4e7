/** `/metrics`, `/healthz` and `/readyz` over HTTP, for a collector and a supervisor on the same machine. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Bus } from '../platform/bus/bus.ts';
import type { Config } from '../platform/config/load.ts';
import type { Sql } from '../platform/database/database.ts';
import { createReadiness } from '../platform/database/suitable.ts';
import { codeOf, messageOf } from '../platform/errors.ts';
import type { Logger } from '../platform/log/log.ts';
import { assertPortFree } from '../platform/machine/ports.ts';
import type { MetricsRenderer } from './metrics.ts';

export interface Endpoint {
  port: number;
  close(): Promise<void>;
}

/** Listens on `monitoring.host` and `.port`. Errors: `ConfigError('port.in_use' | 'port.not_permitted' | 'port.unusable')`, before anything has started. */
export async function serveMetrics(options: {
  monitoring: Config['monitoring'];
  metrics: MetricsRenderer;
  sql: Sql;
  bus: Pick<Bus, 'state' | 'report'>;
  leads: () => boolean;
  log: Logger;
}): Promise<Endpoint> {
  const { monitoring, metrics, sql, bus, leads, log } = options;
  const { host, port, health_check_enabled } = monitoring;
  await assertPortFree({ host, port, option: 'monitoring.port' });
  const takesWrites = createReadiness(sql);

  async function answer(path: string, response: ServerResponse): Promise<void> {
    if (path === '/metrics') {
      const { contentType, body } = await metrics.render();
      send(response, 200, contentType, body);
    } else if ((path === '/healthz' || path === '/readyz') && health_check_enabled) {
      const database = await takesWrites();
      const broker = bus.state === 'online';
      const missing = path === '/readyz' ? bus.report().missing : [];
      const healthy = database && broker && missing.length === 0;
      send(
        response,
        healthy ? 200 : 503,
        'application/json',
        JSON.stringify({
          status: healthy ? 'ok' : 'unavailable',
          database,
          broker,
          ...(path === '/readyz' && { missing }),
          leads: leads(),
        }),
      );
    } else
      send(
        response,
        404,
        'text/plain; charset=utf-8',
        `${path} is not here; there are /metrics${health_check_enabled ? ', /healthz and /readyz' : ''}\n`,
      );
  }

  const server = createServer((request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      send(response, 405, 'text/plain; charset=utf-8', 'only GET and HEAD are answered\n');
      return;
    }
    const path = (request.url ?? '/').split('?', 1)[0] as string;
    answer(path, response).catch((error: unknown) => {
      log.error({ error, code: codeOf(error) }, `${path} could not be answered: ${messageOf(error)}`);
      send(response, 500, 'text/plain; charset=utf-8', 'the log says why\n');
    });
  });
  server.listen({ host, port, exclusive: true });
  await once(server, 'listening');
  log.info({ host, port }, `metrics on http://${host}:${port}/metrics`);
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function send(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, { 'Content-Type': contentType, 'Cache-Control': 'no-store' }).end(body);
}
