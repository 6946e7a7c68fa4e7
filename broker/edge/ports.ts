/** The ports that the embedded broker listens on. */
import type { Certificate } from '../../services/platform/machine/certificate.ts';
import { listenTcp, listenWebSocket, type ServerSocket, type ServerSocketOptions } from '../server-sockets.ts';

export interface BrokerPorts {
  /** Default 127.0.0.1: reached from this machine only. */
  host?: string;
  /** 0: the system picks one. */
  port: number;
  /** MQTT over WebSocket, for browsers. Off by default. */
  webSocketPort?: number;
  /** Encrypted ports beside these. Off by default. */
  tls?: { host: string; port: number; webSocketPort?: number; certificate: Certificate };
}

export interface OpenPorts {
  port: number;
  webSocketPort: number | undefined;
  tlsPort: number | undefined;
  tlsWebSocketPort: number | undefined;
}

/** Opens them one after the other and adds each to `sockets`. Errors: `ConfigError('broker.port_in_use' | 'broker.cannot_listen')`. */
export async function openPorts(
  { host = '127.0.0.1', port, webSocketPort, tls }: BrokerPorts,
  sockets: ServerSocket[],
  handlers: Pick<ServerSocketOptions, 'enter' | 'accept' | 'onRefusedHandshake'>,
): Promise<OpenPorts> {
  async function open(
    listen: typeof listenTcp,
    options: Pick<ServerSocketOptions, 'host' | 'port' | 'option' | 'certificate'>,
  ): Promise<number> {
    const socket = await listen({ ...options, ...handlers });
    sockets.push(socket);
    return socket.port;
  }
  const openWebSocket = (port: number | undefined, options: Omit<Parameters<typeof open>[1], 'port'>) =>
    port === undefined ? undefined : open(listenWebSocket, { ...options, port });
  return {
    port: await open(listenTcp, { host, port, option: 'queue.mqtt.port (--mqtt-port)' }),
    webSocketPort: await openWebSocket(webSocketPort, { host, option: 'queue.mqtt.websocket_port' }),
    tlsPort: tls && (await open(listenTcp, { ...tls, option: 'queue.mqtt.tls.listen_port' })),
    tlsWebSocketPort: tls && (await openWebSocket(tls.webSocketPort, { ...tls, option: 'queue.mqtt.tls.listen_websocket_port' })),
  };
}
