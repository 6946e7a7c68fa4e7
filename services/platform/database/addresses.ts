/** Where the database is. Of several addresses one is in use, until it shows that it does not work. */
import { connect, isIP, isIPv6, type Socket } from 'node:net';

export interface HostAddress {
  host: string;
  port: number;
}
export type Address = HostAddress | { socketPath: string };

/** Of the driver's settings of one connection. */
export interface ConnectionPlace {
  host?: string | undefined;
  port?: number | undefined;
}

export interface Addresses {
  /** Counts the moves. A connection that was opened in an earlier epoch is not used again: its server is another one, or did not answer. */
  readonly epoch: number;
  readonly count: number;
  /** A connection has been made since the start, so the account and the names are right. */
  reached: boolean;
  /** Opens a socket to the address in use, for the driver: the connection's own settings get the host, by which its certificate is checked. */
  open(connection: { config: ConnectionPlace }): Socket;
  /** The epoch in which the connection with these settings was opened: it may have changed before the connection is made. */
  epochOf(config: ConnectionPlace): number;
  /**
   * A connection of this epoch has shown that its server does not work, so the others of it are not to be trusted either: the next address is in use from now on, or
   * new connections to the only one.
   */
  moveOn(epoch: number): void;
  /** Cuts every connection that is open or being made. */
  cutAll(): void;
}

/** The system notices a peer that is gone after some eight missed answers. Idle connections only: those in use have a limit. */
const KEEP_ALIVE_MS = 10_000;

export function addressList(addresses: readonly [Address, ...Address[]]): Addresses {
  /** Those that are open. */
  const sockets = new Set<Socket>();
  const epochs = new WeakMap<ConnectionPlace, number>();
  let epoch = 0;
  let index = 0;
  return {
    get epoch() {
      return epoch;
    },
    count: addresses.length,
    reached: false,
    open({ config }) {
      const address = addresses[index] as Address;
      const socket = 'host' in address ? connect(address) : connect(address.socketPath);
      if ('host' in address) socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS);
      // Without the dot the driver would not hand an IP address on, and the certificate would be compared with "localhost". Node takes the dot away again.
      if ('host' in address)
        Object.assign(config, { host: isIP(address.host) === 0 ? address.host : `${address.host}.`, port: address.port });
      epochs.set(config, epoch);
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      return socket;
    },
    epochOf: (config) => epochs.get(config) ?? -1,
    moveOn(seen) {
      // Ten connections that miss their limit together are one event.
      if (seen !== epoch) return;
      epoch++;
      index = (index + 1) % addresses.length;
    },
    cutAll() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** `host`, `host:port`, `[IPv6]:port` or an IPv6 address alone, several separated by commas; undefined when one of them is none of these. */
export function addressesIn(text: string, port: number): [HostAddress, ...HostAddress[]] | undefined {
  const addresses = text.split(',').map((one) => addressIn(one.trim(), port));
  return addresses.every((one) => one !== undefined) ? (addresses as [HostAddress, ...HostAddress[]]) : undefined;
}

function addressIn(text: string, port: number): HostAddress | undefined {
  if (isIPv6(text)) return { host: text, port };
  const [, bracketed, name, own] = /^(?:\[([^\]]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? name;
  const number = own === undefined ? port : Number(own);
  const isRight = host !== undefined && (bracketed === undefined || isIPv6(bracketed)) && number >= 1 && number <= 65_535;
  return isRight ? { host, port: number } : undefined;
}
