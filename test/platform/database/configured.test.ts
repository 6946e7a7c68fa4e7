/** How the database is reached by `database.url` and the other keys of `database`. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { databaseOptions, usesEmbedded } from '../../../services/platform/connections.ts';
import { createAuthority } from '../../support/certificates.ts';

const config = (keys: Record<string, unknown> = {}) => {
  const overrides = Object.fromEntries(Object.entries(keys).map(([key, value]) => [key, { value, option: 'test' }]));
  return loadConfig({ environment: 'development', files: [], env: {}, overrides }).config;
};
/** Not a data folder: a database of the configuration needs none. */
const folder = '/nowhere';

describe('a database by configuration', () => {
  const options = (url: string) => databaseOptions(config({ 'database.url': url }), folder, 'service');

  test('by its URL, names and passwords decoded', () => {
    expect(options('mysql://us%40er:p%2Fa%3Ass@db.example:3310/stock_mesh')).toMatchObject({
      host: 'db.example',
      port: 3310,
      user: 'us@er',
      password: 'p/a:ss',
      database: 'stock_mesh',
    });
    expect(options('mysql://u:p@h/s')).not.toHaveProperty('socketPath');
  });

  test('on the usual port unless the URL says otherwise; mariadb: means the same', () => {
    expect(options('mariadb://u:p@db.example/s')).toMatchObject({ host: 'db.example', port: 3306 });
  });

  test('at an IPv6 address, without the brackets of the URL', () => {
    expect(options('mysql://u:p@[::1]:3310/s')).toMatchObject({ host: '::1', port: 3310 });
  });

  test('by the socket in its URL', () => {
    const found = options('mysql://u:p@localhost/s?socketPath=%2Frun%2Fdb.sock');
    expect(found).toMatchObject({ socketPath: '/run/db.sock', database: 's' });
    expect(found).not.toHaveProperty('host');
  });

  test.each(['mysql://u:p@db1,db2:3307,[::1]:3308/s', 'mysql://u:p@db1/s,mysql://u:p@db2:3307/s,mariadb://u:p@[::1]:3308/s'])(
    'on several servers: %s',
    (url) => {
      expect(options(url)).toMatchObject({
        addresses: [
          { host: 'db1', port: 3306 },
          { host: 'db2', port: 3307 },
          { host: '::1', port: 3308 },
        ],
        user: 'u',
        password: 'p',
        database: 's',
      });
    },
  );

  test('on several servers with different accounts is refused, without a password in the message', () => {
    expect(() => options('mysql://u:hunter2@db1/s,mysql://u:hunter3@db2/s')).toThrow(
      expect.objectContaining({ code: 'database.bad_url', message: expect.not.stringContaining('hunter') }),
    );
  });

  test('by a list of hosts; those without a port of their own have database.port', () => {
    const keys = { 'database.host': 'db1,db2:3307, ::1', 'database.port': 3310 };
    expect(databaseOptions(config(keys), folder, 'service')).toMatchObject({
      addresses: [
        { host: 'db1', port: 3310 },
        { host: 'db2', port: 3307 },
        { host: '::1', port: 3310 },
      ],
    });
  });

  test('on the first and the last port that there is', () => {
    expect(databaseOptions(config({ 'database.host': 'db1:1,db2:65535' }), folder, 'service')).toMatchObject({
      addresses: [
        { host: 'db1', port: 1 },
        { host: 'db2', port: 65_535 },
      ],
    });
  });

  test.each(['db1,', 'db1:port', 'db1:0', 'db1:65536', 'db1:99999', '[db1]:3306', 'db 1'])(
    'a list with something that is no host is refused: %j',
    (host) => {
      expect(() => databaseOptions(config({ 'database.host': host }), folder, 'service')).toThrow(
        expect.objectContaining({ name: 'ConfigError', code: 'database.bad_host', message: expect.stringContaining(JSON.stringify(host)) }),
      );
    },
  );

  test.each([
    'postgres://u:hunter2@h/s',
    'mysql://u:hunter2@h',
    'mysql://u:hunter2@h/',
    'hunter2',
    'mysql://u:hunter2%@h/s',
    'mysql://u:hunter2@h:99999/s',
  ])('an address that is not one is refused without repeating its password: %s', (url) => {
    expect(() => options(url)).toThrow(
      expect.objectContaining({ name: 'ConfigError', code: 'database.bad_url', message: expect.not.stringContaining('hunter2') }),
    );
  });

  test.each([
    ['/', '%2F'],
    ['?', '%3F'],
    ['#', '%23'],
    ['@', '%40'],
  ])('a password with %j says so, and how to write it: no other host is asked', (character, encoded) => {
    // With digits before it, "12" would be taken for the port of the host "u".
    for (const url of [`mysql://u:12${character}hunter2@h/s`, `mysql://u:hunter2${character}12@h1,h2:3307/s`])
      expect(() => options(url)).toThrow(
        expect.objectContaining({
          name: 'ConfigError',
          code: 'database.bad_url',
          message: expect.stringMatching(new RegExp(`database\\.url.*"[${character}]" \\(write it as ${encoded}\\)`)),
        }),
      );
    expect(() => options(`mysql://u:12${character}hunter2@h/s`)).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('hunter') }),
    );
    expect(options(`mysql://u:12${encoded}p@h/s`)).toMatchObject({ host: 'h', password: `12${character}p` });
  });

  test.each(['p%', '100%sure', '%zz', '%ff'])('a password with a "%%" that encodes nothing says so: %s', (password) => {
    expect(() => options(`mysql://u:${password}@h/s`)).toThrow(
      expect.objectContaining({ code: 'database.bad_url', message: expect.stringMatching(/"%".*%25/) }),
    );
  });

  test('other characters of a password stay as they are, white space too', () => {
    expect(options('mysql://u:a b\tc:d&=+é[]@h/s')).toMatchObject({ user: 'u', password: 'a b\tc:d&=+é[]' });
  });

  test.each([
    ['mysql://u:p@h/s?sslmode=VERIFY_IDENTITY', '"sslmode"'],
    ['mysql://u:p@h/s?ssl-mode=VERIFY_IDENTITY&connectTimeout=5', '"connectTimeout"'],
    ['mysql://u:p@h/s?ssl-mode=preferred', 'unencrypted'],
    ['mysql://u:p@h/s?ssl-mode=on', 'VERIFY_IDENTITY'],
    ['mysql://u:p@h/s?ssl-mode=', '"ssl-mode" without a value'],
    ['mysql://u:p@h/s?ssl-mode=REQUIRED&ssl-mode=DISABLED', 'twice'],
    ['mysql://u:p@h/s#ssl-mode=REQUIRED', '%23'],
    ['mysql://u:p@h/s?ssl-mode=REQUIRED,mysql://u:p@h2/s', 'only the hosts may differ'],
  ])('a parameter that would have no effect is refused: %s', (url, says) => {
    expect(() => options(url)).toThrow(expect.objectContaining({ code: 'database.bad_url', message: expect.stringContaining(says) }));
  });

  test('a mistake in the URL is found with the configuration, with its place', () => {
    expect(() => config({ 'database.url': 'mysql://u:pa/ss@h/s' })).toThrow(/option test: database\.url: has "\/".*got •••/);
    expect(() => config({ 'queue.mqtt.url': 'mqtt://u:pa/ss@h' })).toThrow(/option test: queue\.mqtt\.url: has "\/".*got •••/);
  });

  test('by host or by socket', () => {
    const account = { 'database.username': 'u', 'database.password': 'p', 'database.database': 's' };
    expect(databaseOptions(config({ ...account, 'database.host': 'h', 'database.port': 3310 }), folder, 'read')).toMatchObject({
      host: 'h',
      port: 3310,
      user: 'u',
      password: 'p',
      database: 's',
    });
    const bySocket = databaseOptions(config({ ...account, 'database.socket': '/run/db.sock' }), folder, 'read');
    expect(bySocket).toMatchObject({ socketPath: '/run/db.sock' });
    expect(bySocket).not.toHaveProperty('host');
  });

  test('is no embedded one; a broker still may be', () => {
    expect(usesEmbedded(config({ 'database.url': 'mysql://u:p@h/s' }))).toEqual({ database: false, broker: true });
    expect(usesEmbedded(config())).toEqual({ database: true, broker: true });
    expect(usesEmbedded(config({ 'queue.mqtt.host': 'h', 'database.socket': '/s' }))).toEqual({ database: false, broker: false });
  });
});

describe('an encrypted database', () => {
  const certificates = mkdtempSync(join(tmpdir(), 'stockmesh-connections-tls-'));
  const authority = createAuthority(certificates, 'authority');
  const client = authority.issue('client', 'DNS:client');
  afterAll(() => rmSync(certificates, { recursive: true }));
  const ca = readFileSync(authority.cert, 'utf8');
  const tls = (keys: Record<string, unknown>) => databaseOptions(config(keys), folder, 'service').tls;
  const byHost = { 'database.host': 'h' };
  const keys = (more: Record<string, unknown>) =>
    Object.fromEntries(Object.entries(more).map(([key, value]) => [`database.tls.${key}`, value]));

  test('is asked for by the URL, in the words of MySQL, whose parameters win over the keys', () => {
    const url = `mysql://u:p@h/s?ssl-mode=VERIFY_IDENTITY&ssl-ca=${encodeURIComponent(authority.cert)}`;
    expect(tls({ 'database.url': url })).toMatchObject({ verify: 'identity', ca });
    expect(tls({ 'database.url': 'mysql://u:p@h/s?ssl-mode=required', ...keys({ mode: 'verify_ca' }) })).toMatchObject({
      verify: 'nothing',
    });
    expect(tls({ 'database.url': 'mysql://u:p@h/s', ...keys({ mode: 'verify_ca', ca_file: authority.cert }) })).toMatchObject({
      verify: 'authority',
      ca,
    });
    const own = `${url}&ssl-cert=${encodeURIComponent(client.cert)}&ssl-key=${encodeURIComponent(client.key)}`;
    expect(tls({ 'database.url': own })).toMatchObject({ cert: readFileSync(client.cert, 'utf8'), key: readFileSync(client.key, 'utf8') });
  });

  test('is asked for by keys, and not there by itself', () => {
    expect(tls(byHost)).toBeUndefined();
    expect(tls({ ...byHost, ...keys({ mode: 'verify_identity' }) })).toMatchObject({ verify: 'identity', ca: undefined });
  });

  test.each<[string, Record<string, unknown>, RegExp]>([
    ['an authority without a mode', { ca_file: authority.cert }, /ca_file is set.*"disabled".*nothing would be encrypted/],
    ['an authority that is not looked at', { mode: 'required', ca_file: authority.cert }, /ca_file would have no effect/],
    ['a certificate without its key', { mode: 'required', cert_file: client.cert }, /key_file is missing/],
    ['a key without its certificate', { mode: 'required', key_file: client.key }, /cert_file is missing/],
    ['a key of another certificate', { mode: 'required', cert_file: client.cert, key_file: authority.key }, /do not fit together/],
    ['a file that is not there', { mode: 'verify_ca', ca_file: '/no/such/ca.pem' }, /ca_file: \/no\/such\/ca\.pem/],
    ['a file that is no certificate', { mode: 'verify_ca', ca_file: client.key }, /ca_file: .*client\.key is not usable/],
  ])('%s is refused before anything is connected', (_, more, says) => {
    expect(() => tls({ ...byHost, ...keys(more) })).toThrow(
      expect.objectContaining({ name: 'ConfigError', code: 'database.bad_tls', message: expect.stringMatching(says) }),
    );
  });

  test('by a socket makes no sense', () => {
    const wanted = expect.objectContaining({ code: 'database.bad_tls', message: expect.stringContaining('socket') });
    expect(() => tls({ 'database.socket': '/s', ...keys({ mode: 'required' }) })).toThrow(wanted);
    expect(() => tls({ 'database.url': 'mysql://u:p@h/s?socketPath=/s&ssl-mode=REQUIRED' })).toThrow(wanted);
  });
});
