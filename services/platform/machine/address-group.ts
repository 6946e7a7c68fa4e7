/** Who shares a limit: the addresses of one caller, as far as an address tells. */
import { isIP } from 'node:net';

/** Of IPv4 the address, of IPv6 its /64, which is one customer's. */
export function addressGroup(address: string | undefined): string {
  const plain = plainAddress(address);
  return isIP(plain) === 6 ? `${networkOf(plain)}::/64` : plain;
}

/** Without the zone of a link (`fe80::1%eth0`); an IPv4 address that a server of both families sees (`::ffff:192.0.2.1`) as itself. */
export function plainAddress(address = ''): string {
  const [plain = ''] = address.split('%');
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain)?.[1] ?? plain;
}

/** The first four groups of an IPv6 address. */
function networkOf(address: string): string {
  const [before = '', after] = address.split('::');
  const groups = (part: string | undefined): string[] => (part === undefined || part === '' ? [] : part.split(':'));
  const [left, right] = [groups(before), groups(after)];
  // An IPv4 address at the end stands for two groups.
  const length = left.length + right.length + (address.includes('.') ? 1 : 0);
  const all = after === undefined ? left : [...left, ...Array<string>(8 - length).fill('0'), ...right];
  return all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':');
}
