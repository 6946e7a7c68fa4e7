import type { FastifyRequest } from 'fastify';
import { expect, test } from 'vitest';
import { createAddresses } from '../../../services/gateway/auth/addresses.ts';

const addresses = createAddresses(['10.1.0.0/16', '192.0.2.7', '2001:db8:1::/48']);

test.each([
  ['10.1.2.3', true],
  ['10.2.0.1', false],
  ['192.0.2.7', true],
  ['192.0.2.8', false],
  // An IPv4 neighbour as a server of both families sees it.
  ['::ffff:10.1.2.3', true],
  ['::ffff:10.2.2.3', false],
  ['2001:db8:1:2::3', true],
  ['2001:db8:2::1', false],
  ['unknown', false],
  ['', false],
  // Its caller has gone.
  [undefined, false],
])('whether %j is a trusted proxy: %s', (address, is) => {
  expect(addresses.isTrusted(address)).toBe(is);
});

test.each([
  ['192.0.2.8', '192.0.2.8'],
  ['::ffff:192.0.2.8', '192.0.2.8'],
  // RFC 6177: a site gets at least a /64.
  ['2001:db8:0:1::1', '2001:db8:0:1::/64'],
  ['2001:db8:0:1:ffff:ffff:ffff:ffff', '2001:db8:0:1::/64'],
  ['2001:0db8:0000:0001:0:0:0:9', '2001:db8:0:1::/64'],
  ['2001:db8:0:2::1', '2001:db8:0:2::/64'],
  ['2001:db8::', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['1::', '1:0:0:0::/64'],
  ['64:ff9b::192.0.2.8', '64:ff9b:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['nonsense', 'nonsense'],
  [undefined, ''],
])('%s counts as %s', (address, group) => {
  expect(addresses.groupOf(address)).toBe(group);
});

const from = (peer: string, headers: Record<string, string> = {}, ip = peer) =>
  ({ ip, headers, socket: { remoteAddress: peer } }) as unknown as FastifyRequest;

test.each<[what: string, FastifyRequest, is: boolean]>([
  ['a program on this machine', from('127.0.0.1'), true],
  ['another loopback address', from('127.8.8.8'), true],
  ['IPv6', from('::1'), true],
  ['IPv4 in IPv6', from('::ffff:127.0.0.1'), true],
  ['another machine', from('192.0.2.8'), false],
  ['another machine that says it is this one', from('192.0.2.8', { 'x-forwarded-for': '127.0.0.1' }), false],
  ['a proxy on this machine that nobody configured', from('127.0.0.1', { 'x-forwarded-for': '192.0.2.8' }), false],
  ['the same, by the header of RFC 7239', from('127.0.0.1', { forwarded: 'for=192.0.2.8' }), false],
  ['a trusted proxy that names another machine', from('10.1.2.3', { 'x-forwarded-for': '192.0.2.8' }, '192.0.2.8'), false],
  ['a trusted proxy that names this machine', from('10.1.2.3', { 'x-forwarded-for': '127.0.0.1' }, '127.0.0.1'), true],
])('whether the caller is on this machine: %s', (_, request, is) => {
  expect(addresses.isLocal(request)).toBe(is);
});
