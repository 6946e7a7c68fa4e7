/**
 * The connections that are open, and those among them that have not named their account: a client that connects and says nothing, or half of a handshake or CONNECT.
 *
 * When there are too many of these, the one that has waited longest ends, of the address that has most of them: whoever names itself at once gets in, however many others
 * keep silent.
 */
import type { Socket } from 'node:net';
import { addressGroup } from '../../services/platform/machine/address-group.ts';
import type { BrokerLimits, LimitReports } from './limits.ts';

export interface Visitor {
  address: string;
  /** Its address, of IPv6 the /64. */
  group: string;
  /** It has named an account, with the password. */
  admitted(): void;
}

export interface Visitors {
  /** Takes note of a connection, or destroys it. */
  enter(socket: Socket): void;
  /** Whose connection this is; the socket may be the encrypted one over the one that entered. */
  of(socket: Socket): Visitor | undefined;
  /** Connections now that have not named their account. */
  unauthenticated(): number;
}

/** All four: a system may use one of its ports towards each address of ours at the same time. */
const keyOf = ({ remoteAddress, remotePort, localAddress, localPort }: Socket): string | undefined =>
  remoteAddress === undefined ? undefined : `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;

export function keepVisitors(
  limits: Pick<BrokerLimits, 'connections' | 'unauthenticated' | 'connectSeconds'>,
  { met }: Pick<LimitReports, 'met'>,
): Visitors {
  const open = new Map<string, Visitor>();
  /** By address; the oldest first. */
  const silent = new Map<string, Map<Visitor, Socket>>();
  let unauthenticated = 0;

  function forget(visitor: Visitor): void {
    const waiting = silent.get(visitor.group);
    if (!waiting?.delete(visitor)) return;
    unauthenticated--;
    if (waiting.size === 0) silent.delete(visitor.group);
  }

  function endOldest(): void {
    let most: [address: string, waiting: Map<Visitor, Socket>] | undefined;
    for (const one of silent) if (most === undefined || one[1].size > most[1].size) most = one;
    const [address, waiting] = most!;
    met(
      'unauthenticated',
      address,
      `${limits.unauthenticated} connections have not named their account (queue.mqtt.limits.unauthenticated): the oldest ends, of the address with most`,
    );
    for (const [visitor, socket] of waiting) {
      forget(visitor);
      socket.destroy();
      return;
    }
  }

  return {
    enter(socket) {
      const key = keyOf(socket);
      const address = socket.remoteAddress ?? '';
      if (open.size >= limits.connections)
        met('connections', address, `${limits.connections} connections are open (queue.mqtt.limits.connections): more are closed at once`);
      // Without an address it has gone already.
      if (key === undefined || open.size >= limits.connections) {
        socket.destroy();
        return;
      }
      const overdue = setTimeout(() => {
        const text = `no CONNECT with a password within ${limits.connectSeconds} s (queue.mqtt.limits.connect_timeout): connection ended`;
        met('connect_timeout', address, text);
        socket.destroy();
      }, limits.connectSeconds * 1000);
      const group = addressGroup(address);
      const visitor: Visitor = {
        ...{ address, group },
        admitted() {
          clearTimeout(overdue);
          forget(visitor);
        },
      };
      open.set(key, visitor);
      silent.getOrInsertComputed(group, () => new Map()).set(visitor, socket);
      unauthenticated++;
      socket.once('close', () => {
        visitor.admitted();
        open.delete(key);
      });
      if (unauthenticated > limits.unauthenticated) endOldest();
    },
    of(socket) {
      const key = keyOf(socket);
      return key === undefined ? undefined : open.get(key);
    },
    unauthenticated: () => unauthenticated,
  };
}
