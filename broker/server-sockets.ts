/** Where connections come from: TCP, and WebSocket where it is asked for, each with and without TLS. */
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { createWebSocketStream, WebSocketServer } from 'ws';
import { ConfigError, codeOf, messageOf } from '../services/platform/errors.ts';
import type { Certificate } from '../services/platform/machine/certificate.ts';
import { freePort } from '../services/platform/machine/ports.ts';

export interface ServerSocketOptions {
  host: string;
  /** 0: the system picks one. */
  port: number;
  /** The key that names the port, as a person would write it. */
  option: string;
  /** With it all is encrypted. */
  certificate?: Certificate | undefined;
  /** Told of every connection, before any handshake. It may destroy it. */
  enter: (socket: Socket) => void;
  /** Told of a connection that is ready for MQTT, and of the socket that carries it. */
  accept: (connection: Duplex, socket: Socket) => void;
  /** Told why a handshake of TLS failed. */
  onRefusedHandshake: (socket: Socket, reason: string) => void;
}

export interface ServerSocket {
  port: number;
  /** Takes no more connections and cuts those that are left. */
  close(): Promise<void>;
}

/** Milliseconds of silence after which the system asks whether the peer is still there: one that vanished without a keep-alive of MQTT would stay for ever. */
const PROBE_AFTER_MS = 60_000;
const TCP_OPTIONS = {
  // Nagle's algorithm would let a small message wait for the acknowledgement of the one before, up to 40 ms.
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: PROBE_AFTER_MS,
};

/** With an authority for clients, a client without a certificate of it ends in the handshake. */
function tlsOptions(certificate: Certificate): TlsOptions {
  const options = certificate.options();
  const asks = options.ca !== undefined;
  return { ...options, requestCert: asks, rejectUnauthorized: asks };
}

export async function listenTcp(options: ServerSocketOptions): Promise<ServerSocket> {
  const { certificate, accept } = options;
  const server = certificate === undefined ? createServer(TCP_OPTIONS) : createTlsServer({ ...TCP_OPTIONS, ...tlsOptions(certificate) });
  return await open(server, options, () => {
    server.on(certificate === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
      if (!socket.destroyed) accept(socket, socket);
    });
  });
}

/** A larger WebSocket message ends its connection. Above every payload limit, since what is merely too large for us is to be acknowledged and dropped. */
const MAX_WEB_SOCKET_MESSAGE_BYTES = 4 * 1024 * 1024;

export async function listenWebSocket(options: ServerSocketOptions): Promise<ServerSocket> {
  const { certificate, accept } = options;
  const http =
    certificate === undefined ? createHttpServer(TCP_OPTIONS) : createHttpsServer({ ...TCP_OPTIONS, ...tlsOptions(certificate) });
  http.on('request', (_request, response) => response.writeHead(426, { upgrade: 'websocket' }).end());
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_WEB_SOCKET_MESSAGE_BYTES,
    // [MQTT-6.0.0-3], [MQTT-6.0.0-4]
    handleProtocols: (offered) => (offered.has('mqtt') ? 'mqtt' : false),
  });
  http.on('upgrade', (request, socket, head) => {
    server.handleUpgrade(request, socket, head, (webSocket) => accept(createWebSocketStream(webSocket), request.socket));
  });
  return await open(http, options, () => {});
}

/** Listens, and from then on keeps every connection in sight, those in a handshake too. `attach` adds what comes after that. */
async function open(
  server: Server,
  { host, port, option, certificate, enter, onRefusedHandshake }: ServerSocketOptions,
  attach: () => void,
): Promise<ServerSocket> {
  const connections = new Set<Socket>();
  const keep = (socket: Socket): void => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  };
  server.on('connection', (socket: Socket) => {
    keep(socket);
    enter(socket);
  });
  if (certificate !== undefined) {
    server.on('secureConnection', keep);
    server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
      // What is wrong with the certificate of the client, for which Node only ends the connection.
      const { authorizationError } = socket;
      onRefusedHandshake(socket, authorizationError ? `client certificate: ${authorizationError}` : messageOf(error));
      socket.destroy();
    });
    certificate.onChange((changed) => (server as ReturnType<typeof createTlsServer>).setSecureContext(changed));
  }
  attach();
  const listeningPort = await listen(server, host, port, option);
  return {
    port: listeningPort,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of connections) socket.destroy();
      await closed;
    },
  };
}

async function listen(server: Server, host: string, port: number, option: string): Promise<number> {
  try {
    server.listen({ host, port, exclusive: true });
    await once(server, 'listening');
  } catch (error) {
    if (codeOf(error) === 'EADDRINUSE')
      throw new ConfigError(
        'broker.port_in_use',
        `the broker's port ${port} on ${host} is in use by another program: stop that one, or choose another with ${option}, for example ${await freePort(host)}`,
        { cause: error },
      );
    throw new ConfigError(
      'broker.cannot_listen',
      `the broker cannot listen on port ${port} of ${host} (${messageOf(error)}): change ${option}`,
      {
        cause: error,
      },
    );
  }
  return (server.address() as AddressInfo).port;
}
