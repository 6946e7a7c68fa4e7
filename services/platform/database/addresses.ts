/** Where the database is. Of several addresses one is in use, until it shows that it does not work. */
import { connect, isIPv6, type Socket } from 'node:net';

export interface HostAddress {
  host: string;
  port: number;
}
export type Address = HostAddress | { socketPath: string };

export interface Addresses {
  /** Counts the moves. A connection that was opened in an earlier epoch is not used again: its server is another one, or did not answer. */
  readonly epoch: number;
  readonly count: number;
  /** A connection has been made since the start, so the account and the names are right. */
  reached: boolean;
  /** Opens a socket to the address in use, for the driver. */
  open(): Socket;
  /** The epoch in which a socket was opened: it may have changed before the connection is made. */
  epochOf(socket: Socket): number;
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
  /** Those that are open, with their epochs. */
  const sockets = new Map<Socket, number>();
  let epoch = 0;
  let index = 0;
  return {
    get epoch() {
      return epoch;
    },
    count: addresses.length,
    reached: false,
    open() {
      const address = addresses[index] as Address;
      const socket = 'host' in address ? connect(address) : connect(address.socketPath);
      if ('host' in address) socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS);
      sockets.set(socket, epoch);
      socket.once('close', () => sockets.delete(socket));
      return socket;
    },
    epochOf: (socket) => sockets.get(socket) ?? -1,
    moveOn(seen) {
      // Ten connections that miss their limit together are one event.
      if (seen !== epoch) return;
      epoch++;
      index = (index + 1) % addresses.length;
    },
    cutAll() {
      for (const socket of sockets.keys()) socket.destroy();
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
