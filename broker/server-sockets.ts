/** Where connections come from: TCP, and WebSocket where it is asked for. */
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { createWebSocketStream, WebSocketServer } from 'ws';
import { ConfigError, codeOf, messageOf } from '../services/platform/errors.ts';
import { freePort } from '../services/platform/machine/ports.ts';

export interface ServerSocketOptions {
  host: string;
  /** 0: the system picks one. */
  port: number;
  accept: (connection: Duplex) => void;
}

export interface ServerSocket {
  port: number;
  /** Takes no more connections and cuts those that are left. */
  close(): Promise<void>;
}

export async function listenTcp({ host, port, accept }: ServerSocketOptions): Promise<ServerSocket> {
  const connections = new Set<Duplex>();
  // Nagle's algorithm would let a small message wait for the acknowledgement of the one before, up to 40 ms.
  const server = createServer({ noDelay: true }, (socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
    accept(socket);
  });
  const listeningPort = await listen(server, host, port, 'queue.mqtt.port (--mqtt-port)');
  return {
    port: listeningPort,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const connection of connections) connection.destroy();
      await closed;
    },
  };
}

/** A larger WebSocket message ends its connection. Above every payload limit, since what is merely too large for us is to be acknowledged and dropped. */
const MAX_WEB_SOCKET_MESSAGE_BYTES = 4 * 1024 * 1024;

export async function listenWebSocket({ host, port, accept }: ServerSocketOptions): Promise<ServerSocket> {
  const http = createHttpServer((_request, response) => response.writeHead(426, { upgrade: 'websocket' }).end());
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_WEB_SOCKET_MESSAGE_BYTES,
    // [MQTT-6.0.0-3], [MQTT-6.0.0-4]
    handleProtocols: (offered) => (offered.has('mqtt') ? 'mqtt' : false),
  });
  http.on('upgrade', (request, socket, head) => {
    server.handleUpgrade(request, socket, head, (webSocket) => accept(createWebSocketStream(webSocket)));
  });
  const listeningPort = await listen(http, host, port, 'queue.mqtt.websocket_port');
  return {
    port: listeningPort,
    close: async () => {
      const closed = new Promise<void>((resolve) => http.close(() => resolve()));
      for (const socket of server.clients) socket.terminate();
      http.closeAllConnections();
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
