import dns from 'node:dns';
import { afterEach, expect, test, vi } from 'vitest';
import { callbackUrl, isPrivateAddress, publicLookup, refusePrivate } from '../../../services/gateway/webhooks/callback-address.ts';

afterEach(() => void vi.restoreAllMocks());

// The IANA registries of special-purpose addresses: one of each block, and the edges of those that are not whole bytes.
const PRIVATE = [
  ...[
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '100.127.255.255',
    '127.0.0.1',
    '127.255.255.255',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
  ],
  ...[
    '192.0.0.1',
    '192.0.2.1',
    '192.168.1.1',
    '198.18.0.1',
    '198.19.255.255',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
  ],
  ...[
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '::7f00:1',
    '::ffff:0:7f00:1',
    '::ffff:0:8.8.8.8',
    '64:ff9b::7f00:1',
    '64:ff9b:1::7f00:1',
    '100::1',
    '2001::1',
    '2001:db8::1',
    '2002:7f00:1::',
    '2002:a9fe:a9fe::',
    'fc00::1',
    'fdff::1',
    'fe80::1',
    'ff02::1',
  ],
  // What clouds tell their machines: AWS, Google and others, AWS by IPv6, Alibaba, Azure, Oracle.
  ...['169.254.169.254', 'fd00:ec2::254', '100.100.100.200', '168.63.129.16', '192.0.0.192'],
  // IPv4-translated (RFC 2765, 2.1), as text and in hexadecimal; IPv4-compatible; both prefixes of NAT64 (RFC 6052, 8215); 6to4; Teredo.
  ...[
    '::ffff:0:127.0.0.1',
    '::ffff:0:7f00:1',
    '::127.0.0.1',
    '64:ff9b::10.0.0.1',
    '64:ff9b:1::a00:1',
    '2002:a00:1::1',
    '2001:0:4136:e378::',
  ],
  // ISATAP under a public prefix (RFC 5214, 6.1).
  ...['2606:4700::5efe:a00:1', '2606:4700:0:1:200:5efe:10.0.0.1'],
  // Site-local, link-local with a zone, and a global one with a zone; segment routing; a block that was never given out.
  ...['fec0::1', 'fe80::1%eth0', '2606:4700::1111%eth0', '5f00::1', '4000::1'],
  ...['192.88.99.1', '3fff::1', '64:ff9b::', '::ffff:1.1.1.1', 'no address', ''],
];
const PUBLIC = [
  '8.8.8.8',
  '1.1.1.1',
  '100.63.255.255',
  '100.128.0.0',
  '172.15.255.255',
  '172.32.0.0',
  '192.167.255.255',
  '198.17.255.255',
  '223.255.255.255',
  '2606:4700::1111',
  // 5efe elsewhere than in an ISATAP interface.
  '2606:4700:0:1:1:5efe:a00:1',
  '2606:4700:5efe::1',
  '168.63.129.17',
  '2a00:1450::1',
];

test.each(PRIVATE)('%s is private', (address) => expect(isPrivateAddress(address)).toBe(true));
test.each(PUBLIC)('%s is public', (address) => expect(isPrivateAddress(address)).toBe(false));

// Ways to write 127.0.0.1 that the URL standard (4.4, IPv4 parser) reads as such.
test.each([
  'http://127.0.0.1/',
  'http://127.1/',
  'http://2130706433/',
  'http://0x7f000001/',
  'http://0177.0.0.1/',
  'http://[::1]/',
  'http://[::ffff:7f00:1]/',
  'http://[::ffff:0:127.0.0.1]/',
  'http://localhost/',
  'https://LOCALHOST./',
  'http://db.localhost/',
  // Further forms of the same standard: octal and hexadecimal parts, a dot behind, full-width and circled digits, the ideographic full stop, percent-encoding.
  'http://0x7f.0.0.0x1/',
  'http://017700000001/',
  'http://127.0.0.1./',
  'http://１２７.０.０.１/',
  'http://①②⑦.⓪.⓪.①/',
  'http://127。0。0。1/',
  'http://%31%32%37.0.0.1/',
  'http:\\\\127.0.0.1\\',
  'http://[::ffff:0:127.0.0.1]/',
  'http://[::127.0.0.1]/',
  'http://[0:0:0:0:0:0:0:1]/',
  'http://[fd00:ec2::254]/latest/meta-data/',
  'http://169.254.169.254/latest/meta-data/',
  'http://0/',
  'http://255.255.255.255/',
  // Names of networks of one's own.
  'http://ｌｏｃａｌｈｏｓｔ/',
  'http://localhost../',
  'http://localhost.localdomain/',
  'http://metadata.google.internal/',
  'http://printer.local/',
  'http://router.home.arpa./',
  'http://api.default.svc.cluster.local/',
  'http://intranet/',
])('%s is refused by its host alone', (text) => {
  expect(() => refusePrivate(new URL(callbackUrl.parse(text)))).toThrow(expect.objectContaining({ code: 'callback.private_address' }));
});

test.each([
  ['ftp://example.com/', 'must begin with https'],
  ['https://user:secret@example.com/', 'must not contain a user'],
  ['not a url', 'is not a URL'],
  ['file:///etc/passwd', 'must begin with https'],
])('%s is no callback', (text, why) => {
  expect(callbackUrl.safeParse(text).error?.issues[0]?.message).toContain(why);
});

test.each([25, 22, 6379, 3306, 11211, 1883, 444])('port %d is not one of HTTP', (port) => {
  expect(() => refusePrivate(new URL(`http://example.com:${port}/`))).toThrow(expect.objectContaining({ code: 'callback.bad_port' }));
});

test.each([
  'https://example.com/',
  'http://example.com:443/',
  'https://example.com:80/',
  'https://hooks.example.com.:8443/',
  'http://1.1.1.1:8080/',
])('%s may be called', (text) => expect(() => refusePrivate(new URL(callbackUrl.parse(text)))).not.toThrow());

const resolvesTo = (...addresses: string[]) =>
  vi.spyOn(dns, 'lookup').mockImplementation(((_: string, __: object, done: (error: null, found: object[]) => void) =>
    done(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    )) as never);
const look = (all: boolean) =>
  new Promise((resolve, reject) =>
    publicLookup('hooks.example.com', { all }, (error, found) => (error === null ? resolve(found) : reject(error))),
  );

test('a name that resolves to a private address is refused when the connection is made, also when it has public ones too', async () => {
  resolvesTo('93.184.216.34', '10.0.0.7');
  for (const all of [true, false])
    await expect(look(all)).rejects.toMatchObject({
      code: 'callback.private_address',
      message: expect.stringContaining('hooks.example.com (10.0.0.7)'),
    });
});

test('a name that resolves to public addresses is called at these', async () => {
  resolvesTo('93.184.216.34');
  expect(await look(true)).toEqual([{ address: '93.184.216.34', family: 4 }]);
  expect(await look(false)).toBe('93.184.216.34');
});

test('a name that changes to a private address between two questions is refused at the second one: each connection asks once, and goes where the answer says', async () => {
  resolvesTo('93.184.216.34');
  expect(await look(false)).toBe('93.184.216.34');
  resolvesTo('127.0.0.1');
  await expect(look(false)).rejects.toMatchObject({ code: 'callback.private_address' });
});
