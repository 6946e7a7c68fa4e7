/** Encryption of the database's connections, with a server whose certificates openssl made. What each mode promises: https://dev.mysql.com/doc/refman/8.4/en/connection-options.html#option_general_ssl-mode */
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect as connectTo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { type DatabaseOptions, openDatabase } from '../../../services/platform/database/database.ts';
import type { DatabaseTls } from '../../../services/platform/database/tls.ts';
import { type EmbeddedDatabase, startDatabase } from '../../../sql/embedded.ts';
import { type CertificateFiles, createAuthority } from '../../support/certificates.ts';

const folder = mkdtempSync(join(tmpdir(), 'stockmesh-database-tls-'));
const ours = createAuthority(folder, 'ours');
const others = createAuthority(folder, 'others');
const certificates = {
  name: ours.issue('name', 'DNS:localhost'),
  address: ours.issue('address', 'IP:127.0.0.1'),
  elsewhere: ours.issue('elsewhere', 'DNS:db.example'),
  expired: ours.issue('expired', 'DNS:localhost,IP:127.0.0.1', -1),
  foreign: others.issue('foreign', 'DNS:localhost,IP:127.0.0.1'),
};
const client = ours.issue('client', 'DNS:client');
const used: CertificateFiles = { cert: join(folder, 'used.pem'), key: join(folder, 'used.key') };
const ca = readFileSync(ours.cert, 'utf8');
const passwords = { root: 'root-secret', migrate: 'migrate-secret', service: 'service-secret', read: 'read-secret' };

let server: EmbeddedDatabase;
let root: mysql.Connection;
beforeAll(async () => {
  install('name');
  const settings = { 'ssl-ca': ours.cert, 'ssl-cert': used.cert, 'ssl-key': used.key };
  server = await startDatabase({
    ...{ dataDir: join(folder, 'database'), passwords, log: pino({ level: 'silent' }), durable: false },
    settings: { ...settings, 'innodb-buffer-pool-size': '32M', 'innodb-log-file-size': '16M' },
  });
  root = await mysql.createConnection({ socketPath: server.socket, ...server.accounts.root });
});
afterAll(async () => {
  await root.end();
  await server.stop();
  rmSync(folder, { recursive: true });
});

function install(name: keyof typeof certificates): void {
  copyFileSync(certificates[name].cert, used.cert);
  copyFileSync(certificates[name].key, used.key);
}
const present = async (name: keyof typeof certificates) => {
  install(name);
  await root.query('FLUSH SSL');
};

const IDENTITY: DatabaseTls = { verify: 'identity', ca };

function connect(tls: DatabaseTls | undefined, more: Partial<DatabaseOptions> = {}) {
  const db = openDatabase({ host: '127.0.0.1', port: server.port, ...server.accounts.service, database: server.database, tls, ...more });
  onTestFinished(() => db.close());
  return db;
}

/** The server's own word for how it is reached, or the code of the refusal. */
const ask = (tls: DatabaseTls | undefined, more: Partial<DatabaseOptions> = {}): Promise<string> =>
  connect(tls, more)
    .rows<{ Value: string }>("SHOW SESSION STATUS LIKE 'Ssl_version'")
    .then(
      ([row]) => row!.Value,
      ({ code }) => code,
    );

const REFUSED = 'database.tls_refused';
test.each<[keyof typeof certificates, string, string, Record<DatabaseTls['verify'], string>]>([
  ['name', 'localhost', 'names the host', { nothing: 'TLSv1.3', authority: 'TLSv1.3', identity: 'TLSv1.3' }],
  ['address', '127.0.0.1', 'names the address', { nothing: 'TLSv1.3', authority: 'TLSv1.3', identity: 'TLSv1.3' }],
  ['name', '127.0.0.1', 'names "localhost" only, for an address', { nothing: 'TLSv1.3', authority: 'TLSv1.3', identity: REFUSED }],
  ['elsewhere', 'localhost', 'names another host', { nothing: 'TLSv1.3', authority: 'TLSv1.3', identity: REFUSED }],
  ['expired', 'localhost', 'has expired', { nothing: 'TLSv1.3', authority: REFUSED, identity: REFUSED }],
  ['foreign', 'localhost', 'is of another authority', { nothing: 'TLSv1.3', authority: REFUSED, identity: REFUSED }],
])('certificate "%s" at %s, which %s', async (name, host, _, expected) => {
  await present(name);
  for (const [verify, answer] of Object.entries(expected))
    expect(await ask({ verify: verify as DatabaseTls['verify'], ca }, { host }), verify).toBe(answer);
});

test('without an authority of its own the server has to be known to everybody', async () => {
  await present('name');
  expect(await ask({ verify: 'authority' }, { host: 'localhost' })).toBe(REFUSED);
});

// A MySQL server makes certificates of its own.
test.skipIf(process.env.STOCKMESH_TEST_SERVER)('encryption is never given up: a server without it gets no account', async () => {
  const { port } = inject('databaseServer');
  for (const verify of ['nothing', 'authority', 'identity'] as const) {
    const failure = await connect({ verify, ca }, { port })
      .rows('SELECT 1')
      .catch((error) => error);
    expect(failure).toMatchObject({ name: 'ConfigError', code: REFUSED, message: expect.stringMatching(/no encryption.*database\.tls/) });
  }
  expect(await ask(undefined, { port, password: inject('databaseServer').passwords.service, database: 'information_schema' })).toBe('');
});

test('the reason of the refusal is there to read', async () => {
  await present('expired');
  const failure = await connect(IDENTITY)
    .transaction((tx) => tx.rows('SELECT 1'))
    .catch((error) => error);
  expect(failure.message).toMatch(/certificate has expired.*ssl-mode/);
});

test('a client certificate is shown where the server asks for one', async () => {
  await present('address');
  await root.query("ALTER USER 'stockmesh'@'127.0.0.1' REQUIRE X509");
  onTestFinished(async () => void (await root.query("ALTER USER 'stockmesh'@'127.0.0.1' REQUIRE NONE")));
  expect(await ask(IDENTITY)).toBe('ER_ACCESS_DENIED_ERROR');
  const own = { cert: readFileSync(client.cert, 'utf8'), key: readFileSync(client.key, 'utf8') };
  expect(await ask({ ...IDENTITY, ...own })).toBe('TLSv1.3');
});

test('each address of a list is compared with its own certificate, and the next one is used when one is not trusted', async () => {
  await present('address');
  const place = (host: string) => ({ host, port: server.port });
  expect(await ask(IDENTITY, { addresses: [place('localhost'), place('127.0.0.1')] })).toBe('TLSv1.3');
  expect(await ask(IDENTITY, { addresses: [place('localhost'), place('localhost')] })).toBe(REFUSED);
});

/** The network between: it knows nothing of MySQL, of which an encrypted connection shows nothing. `onClient`: the client has sent something. */
async function startWire(onClient: (client: Socket) => void = () => {}) {
  const sockets = new Set<Socket>();
  const wire = createServer((near) => {
    const far = connectTo(server.port, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('error', () => to.destroy()).on('close', () => to.destroy());
    }
    near.on('data', () => onClient(near));
    near.pipe(far).pipe(near);
  }).listen(0, '127.0.0.1');
  await once(wire, 'listening');
  const cut = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  onTestFinished(() => {
    cut();
    wire.close();
  });
  return { port: (wire.address() as AddressInfo).port, cut };
}

test('a certificate that expires while a service runs is an outage, and the service goes on when it is renewed', async () => {
  await present('address');
  const wire = await startWire();
  const db = connect(IDENTITY, { port: wire.port });
  await db.rows('SELECT 1');
  await present('expired');
  wire.cut();
  const codeNow = () =>
    db.rows('SELECT 1').then(
      () => 'answered',
      ({ code }) => code,
    );
  await expect.poll(codeNow).toBe('database.unavailable');
  await present('address');
  await expect.poll(codeNow).toBe('answered');
});

test('what is under way on an encrypted connection that is cut fails at once as an outage', async () => {
  await present('address');
  const wire = await startWire();
  const db = connect(IDENTITY, { port: wire.port, statementSeconds: 60 });
  const underWay = db.rows('SELECT SLEEP(60)').catch(({ code }) => code);
  const running = async () => {
    const [rows] = await root.query("SELECT 1 FROM information_schema.processlist WHERE info = 'SELECT SLEEP(60)'");
    return rows;
  };
  await expect.poll(running).toHaveLength(1);
  wire.cut();
  expect(await underWay).toBe('database.unavailable');
});

test('a handshake that is cut is an outage, not a refusal', async () => {
  await present('address');
  // The client speaks first with its wish for encryption, and then at once its part of the handshake.
  const wire = await startWire((near) => near.resetAndDestroy());
  expect(await ask(IDENTITY, { port: wire.port })).toBe('database.unavailable');
});
