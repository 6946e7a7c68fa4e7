/** What one client can hold of the server: so many connections, for so long without a whole request. What is no HTTP is answered with a problem as well. */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import { createServer as createSecureServer, type Server as HttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Config } from '../../platform/config/load.ts';
import type { Logger } from '../../platform/log/log.ts';
import type { Certificate } from '../../platform/machine/certificate.ts';
import { connectionsWithin } from '../../platform/machine/descriptors.ts';
import type { Addresses } from '../auth/addresses.ts';
import { PROBLEM_TYPE, type ProblemFacts, problemOf } from './problems.ts';

/** Headers and the first line of a request. */
const MOST_HEADER_BYTES = 16_384;
/** Milliseconds between looks for requests that are overdue. */
const LOOK_MS = 1_000;
/** Milliseconds between two lines of the log about refused connections. */
const LOG_MS = 60_000;

type Limits = Config['gateway']['connections'];

/** The server, encrypted with a certificate. An event stream is an answer, so none of the times for requests ends it. */
export function serverOf(handler: RequestListener, limits: Limits, certificate: Certificate | undefined): Server | HttpsServer {
  const { header_timeout, request_timeout, keep_alive, stall_timeout } = limits;
  const options: ServerOptions = {
    headersTimeout: 1000 * Math.min(header_timeout, request_timeout),
    requestTimeout: 1000 * request_timeout,
    keepAliveTimeout: 1000 * keep_alive,
    connectionsCheckingInterval: LOOK_MS,
    maxHeaderSize: MOST_HEADER_BYTES,
    // Node answers without a body; `refuseRequests` says what is missing.
    requireHostHeader: false,
  };
  const server =
    certificate === undefined
      ? createServer(options, handler)
      : createSecureServer({ ...options, ...certificate.options(), handshakeTimeout: options.headersTimeout }, handler);
  certificate?.onChange((changed) => (server as HttpsServer).setSecureContext(changed));
  return server.setTimeout(1000 * stall_timeout);
}

export interface ConnectionCounters {
  /** Connections that were refused, by the limit that was reached. */
  readonly refused: Readonly<Record<'all' | 'address', number>>;
}

/** Keeps the limits from here on. An address of a trusted proxy stands for many callers and has no limit of its own. */
export function limitConnections(
  server: Server,
  { limits, addresses, log }: { limits: Limits; addresses: Addresses; log: Logger },
): ConnectionCounters {
  const refused = { all: 0, address: 0 };
  const open = new Map<string, number>();
  let loggedAt = Number.NEGATIVE_INFINITY;
  function refuse(limit: 'all' | 'address', from: string): void {
    refused[limit]++;
    if (performance.now() - loggedAt < LOG_MS) return;
    loggedAt = performance.now();
    const key = limit === 'all' ? `max (${server.maxConnections})` : `max_per_address (${limits.max_per_address})`;
    log.warn({ refused }, `connections are refused: gateway.connections.${key} is reached, the last one came from ${from}`);
  }

  server.maxConnections = connectionsWithin(limits.max, 'gateway.connections.max', log);
  server.on('drop', (dropped) => refuse('all', dropped?.remoteAddress ?? 'an unknown address'));
  server.on('connection', (socket: Socket) => {
    const { remoteAddress } = socket;
    if (remoteAddress === undefined || addresses.isTrusted(remoteAddress)) return;
    const from = addresses.groupOf(remoteAddress);
    const count = (open.get(from) ?? 0) + 1;
    if (count > limits.max_per_address) {
      refuse('address', from);
      socket.destroy();
      return;
    }
    open.set(from, count);
    socket.once('close', () => {
      const left = (open.get(from) as number) - 1;
      if (left === 0) open.delete(from);
      else open.set(from, left);
    });
  });
  server.on('connect', (_, socket) =>
    end(socket as Socket, { status: 405, code: 'request.no_proxy', detail: 'this is no proxy: it takes no CONNECT' }),
  );
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    const detail = `"expect: ${request.headers.expect}" cannot be met; 100-continue can`;
    const body = JSON.stringify(problemOf({ status: 417, code: 'request.bad_expectation', detail }));
    response.writeHead(417, { 'content-type': PROBLEM_TYPE, 'content-length': Buffer.byteLength(body), connection: 'close' }).end(body);
  });
  return { refused };
}

const CLIENT_ERRORS: Record<string, Omit<ProblemFacts, 'detail'> & { detail?: string }> = {
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: 408,
    code: 'request.timeout',
    detail: 'the request did not come whole within gateway.connections.header_timeout and request_timeout',
  },
  HPE_HEADER_OVERFLOW: {
    status: 431,
    code: 'request.headers_too_large',
    detail: `address and headers together are larger than ${MOST_HEADER_BYTES} bytes`,
  },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: { status: 413, code: 'request.too_large', detail: 'the extensions of the chunks are too large' },
};

/** Answers what node's parser refuses, and ends the connection. For fastify's `clientErrorHandler`. */
export function answerClientError(error: NodeJS.ErrnoException & { reason?: string }, socket: Socket): void {
  // Of node, which has no other way to tell: the answer that this connection waits for.
  const { _httpMessage: answer } = socket as { _httpMessage?: ServerResponse };
  // Text in the middle of an answer that has begun would be taken as a part of it.
  if (error.code === 'ECONNRESET' || !socket.writable || answer?.headersSent === true) {
    socket.destroy();
    return;
  }
  // What is wrong came behind a whole request, which is answered first.
  if (answer?.req.complete === true) {
    answer.once('close', () => answerClientError(error, socket));
    return;
  }
  const known = CLIENT_ERRORS[error.code ?? ''];
  end(socket, { status: 400, code: 'request.malformed', detail: `this is not HTTP: ${error.reason ?? error.message}`, ...known });
}

function end(socket: Socket, facts: ProblemFacts): void {
  const body = JSON.stringify(problemOf(facts));
  const head = [
    `HTTP/1.1 ${facts.status} ${STATUS_CODES[facts.status]}`,
    `content-type: ${PROBLEM_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'cache-control: no-store',
    'x-content-type-options: nosniff',
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}
