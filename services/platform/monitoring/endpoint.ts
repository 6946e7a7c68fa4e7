/** `/metrics`, `/healthz` and `/readyz` over HTTP, for a collector and a supervisor on the same machine. */
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Bus } from '../bus/bus.ts';
import type { Config } from '../config/load.ts';
import type { Sql } from '../database/database.ts';
import { createReadiness } from '../database/suitable.ts';
import { codeOf, messageOf } from '../errors.ts';
import type { Logger } from '../log/log.ts';
import { assertPortFree } from '../machine/ports.ts';
import type { MetricsText } from './metrics.ts';

export interface Endpoint {
  port: number;
  close(): Promise<void>;
}

interface EndpointOptions {
  monitoring: Config['monitoring'];
  render: () => Promise<MetricsText>;
  sql: Sql;
  bus: Pick<Bus, 'state' | 'report'>;
  /** Further fields of the answers of `/healthz` and `/readyz`. */
  facts?: () => object;
  log: Logger;
}

/** Listens on `monitoring.host` and `.port`. Errors: `ConfigError('port.in_use' | 'port.not_permitted' | 'port.unusable')`, before anything has started. */
export async function serveMetrics(options: EndpointOptions): Promise<Endpoint> {
  const { host, port } = options.monitoring;
  await assertPortFree({ host, port, option: 'monitoring.port' });
  const server = endpointServer(options);
  await listen(server, host, port);
  return opened(server, options);
}

/** Ports that the processes of one service on one machine share. */
const PORTS = 20;

/**
 * Listens on the first free port of the twenty from `monitoring.ports.{name}` on, since several processes of a service may run on one machine. Undefined where that is 0, or
 * none can be had: the log says so, and the service works without.
 */
export async function serveProcessMetrics(
  name: keyof Config['monitoring']['ports'],
  options: EndpointOptions,
): Promise<Endpoint | undefined> {
  const { enabled, host, ports } = options.monitoring;
  const first = ports[name];
  if (!enabled || first === 0) return undefined;
  const server = endpointServer(options);
  let refusal = '';
  for (let port = first; port < Math.min(first + PORTS, 65_536); port++) {
    try {
      await listen(server, host, port);
      return opened(server, options);
    } catch (error) {
      refusal = messageOf(error);
      if (codeOf(error) !== 'EADDRINUSE') break;
    }
  }
  options.log.warn(
    { host, port: first },
    `no metrics of this process: it can listen on none of the ports ${first} to ${Math.min(first + PORTS, 65_536) - 1} of ${host} (${refusal}); choose others with monitoring.ports.${name}, or 0 for none`,
  );
  return undefined;
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  server.listen({ host, port, exclusive: true });
  await once(server, 'listening');
}

function opened(server: Server, { monitoring: { host }, log }: EndpointOptions): Endpoint {
  const { port } = server.address() as AddressInfo;
  log.info({ host, port }, `metrics on http://${host}:${port}/metrics`);
  return {
    port,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function endpointServer({ monitoring: { health_check_enabled }, render, sql, bus, facts, log }: EndpointOptions): Server {
  const takesWrites = createReadiness(sql);

  async function answer(path: string, response: ServerResponse): Promise<void> {
    if (path === '/metrics') {
      const { contentType, body } = await render();
      send(response, 200, contentType, body);
    } else if ((path === '/healthz' || path === '/readyz') && health_check_enabled) {
      const database = await takesWrites();
      const broker = bus.state === 'online';
      const missing = path === '/readyz' ? bus.report().missing : [];
      const healthy = database && broker && missing.length === 0;
      const status = healthy ? 'ok' : 'unavailable';
      const body = { status, database, broker, ...(path === '/readyz' && { missing }), ...facts?.() };
      send(response, healthy ? 200 : 503, 'application/json', JSON.stringify(body));
    } else
      send(
        response,
        404,
        'text/plain; charset=utf-8',
        `${path} is not here; there are /metrics${health_check_enabled ? ', /healthz and /readyz' : ''}\n`,
      );
  }

  return createServer((request, response) => {
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
}

function send(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, { 'Content-Type': contentType, 'Cache-Control': 'no-store' }).end(body);
}
