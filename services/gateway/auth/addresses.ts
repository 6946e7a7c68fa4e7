/** Where a request comes from, as far as the configured proxies can be believed. */
import { BlockList, isIP } from 'node:net';
import type { FastifyRequest } from 'fastify';
import { addressGroup, plainAddress } from '../../platform/machine/address-group.ts';

/** An address is undefined when the caller has gone meanwhile. */
export interface Addresses {
  /** Whether `X-Forwarded-For` of this neighbour is believed. */
  isTrusted(address: string | undefined): boolean;
  /** Who shares a limit with this address: of IPv4 the address, of IPv6 its /64, which is one customer's. */
  groupOf(address: string | undefined): string;
  /** Whether the caller is on this machine. A request that another program passed on is not, unless the program is a trusted proxy and says so. */
  isLocal(request: FastifyRequest): boolean;
}

/** `trusted`: addresses and networks (`10.0.0.0/8`) of proxies. */
export function createAddresses(trusted: readonly string[]): Addresses {
  const proxies = listOf(trusted);
  const loopback = listOf(['127.0.0.0/8', '::1']);
  const isTrusted: Addresses['isTrusted'] = (address) => isIn(proxies, address);
  return {
    isTrusted,
    groupOf: addressGroup,
    isLocal({ ip, headers, socket }) {
      if (!isIn(loopback, ip)) return false;
      const isPassedOn = headers['x-forwarded-for'] !== undefined || headers.forwarded !== undefined;
      return !isPassedOn || isTrusted(socket.remoteAddress);
    },
  };
}

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address, bits] = network.split('/') as [string, string | undefined];
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
}

function isIn(list: BlockList, address: string | undefined): boolean {
  const plain = plainAddress(address);
  const version = isIP(plain);
  return version !== 0 && list.check(plain, version === 4 ? 'ipv4' : 'ipv6');
}
