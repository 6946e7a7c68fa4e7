/** HTTPS: with which certificate, since which version, and after a renewal. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type PeerCertificate, type SecureVersion } from 'node:tls';
import { pino } from 'pino';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { serverOf } from '../../../services/gateway/http/connections.ts';
import { watchCertificate } from '../../../services/platform/machine/certificate.ts';
import { silent } from '../../broker/peers.ts';
import { configOf } from '../../scheduler/configuration.ts';
import { gatewayMesh } from '../mesh.ts';
import { sendRaw } from '../raw.ts';

const folder = mkdtempSync(join(tmpdir(), 'stockmesh-tls-'));
afterAll(() => rmSync(folder, { recursive: true }));

function certificate(name: string): { cert_file: string; key_file: string } {
  const files = { cert_file: join(folder, `${name}.pem`), key_file: join(folder, `${name}.key`) };
  const parts = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', `/CN=${name}`];
  execFileSync(
    'openssl',
    ['req', '-x509', ...parts, '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', files.key_file, '-out', files.cert_file],
    {
      stdio: 'ignore',
    },
  );
  return files;
}

const first = certificate('first');
const second = certificate('second');
const used = { cert_file: join(folder, 'used.pem'), key_file: join(folder, 'used.key') };
const install = (files: typeof used) => {
  copyFileSync(files.cert_file, used.cert_file);
  copyFileSync(files.key_file, used.key_file);
};
install(first);

const mesh = gatewayMesh({ 'gateway.tls.cert_file': first.cert_file, 'gateway.tls.key_file': first.key_file });

interface Greeting {
  protocol: string | null;
  certificate: PeerCertificate;
}
const greet = (maxVersion: SecureVersion = 'TLSv1.3', port = Number(new URL(mesh.gateway.url).port)) =>
  new Promise<Greeting>((resolve, reject) => {
    const ca = [first, second].map(({ cert_file }) => readFileSync(cert_file));
    const socket = connect({ port, host: '127.0.0.1', ca, minVersion: 'TLSv1', maxVersion, ciphers: 'DEFAULT@SECLEVEL=0' });
    socket.once('error', reject).once('secureConnect', () => {
      resolve({ protocol: socket.getProtocol(), certificate: socket.getPeerCertificate() });
      socket.destroy();
    });
  });

test('with a certificate the API is encrypted, and asks browsers to stay with that', async () => {
  expect(mesh.gateway.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
  const answer = await new Promise<{ status: number | undefined; headers: Record<string, unknown> }>((resolve, reject) => {
    get(`${mesh.gateway.url}/healthz`, { ca: readFileSync(first.cert_file) }, (response) => {
      response.resume();
      resolve({ status: response.statusCode, headers: response.headers });
    }).once('error', reject);
  });
  expect(answer).toMatchObject({ status: 200, headers: { 'strict-transport-security': 'max-age=31536000' } });
});

test('a version of TLS before 1.2 is refused', async () => {
  expect((await greet('TLSv1.2')).protocol).toBe('TLSv1.2');
  await expect(greet('TLSv1.1')).rejects.toMatchObject({ code: expect.stringMatching(/PROTOCOL|ECONNRESET/) });
});

test('a request without encryption gets no answer, and the next one with it does', async () => {
  expect(await sendRaw(mesh.gateway.url, 'GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n')).toEqual([]);
  expect((await greet()).certificate.subject.CN).toBe('first');
});

test('a certificate that is renewed is used without a restart, and half of one is not', async () => {
  const warnings: string[] = [];
  const watched = watchCertificate('gateway.tls', used, pino({ level: 'warn' }, { write: (line) => warnings.push(line) }), 20);
  onTestFinished(() => watched?.close());
  const server = serverOf((_, response) => response.end(), configOf().gateway.connections, watched).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const nameShown = async () => (await greet('TLSv1.3', (server.address() as AddressInfo).port)).certificate.subject.CN;
  // Copied again and again: the first look at a file may come after the first copy.
  await expect
    .poll(() => {
      copyFileSync(second.cert_file, used.cert_file);
      return warnings.join();
    })
    .toContain('the certificate of before stays in use');
  expect(await nameShown()).toBe('first');
  await expect
    .poll(() => {
      copyFileSync(second.key_file, used.key_file);
      return nameShown();
    })
    .toBe('second');
});

test.each<[what: string, code: string, files: () => typeof used, named: string]>([
  ['a file that is not there', 'tls.unreadable', () => ({ ...first, key_file: join(folder, 'nowhere.key') }), 'gateway.tls.key_file: '],
  ['what is no certificate', 'tls.unusable', () => ({ ...first, cert_file: first.key_file }), 'first.key'],
  ['the key of another certificate', 'tls.unusable', () => ({ ...first, key_file: second.key_file }), 'second.key'],
  [
    'what is not PEM',
    'tls.unusable',
    () => {
      const cert_file = join(folder, 'text.pem');
      writeFileSync(cert_file, 'hello');
      return { ...first, cert_file };
    },
    'text.pem',
  ],
])('%s is refused at the start, by its name', (_, code, files, named) => {
  expect(() => watchCertificate('gateway.tls', files(), silent)).toThrow(
    expect.objectContaining({ code, message: expect.stringContaining(named) }),
  );
});

test('a certificate without a key is refused by the configuration', () => {
  expect(() => configOf({ 'gateway.tls.cert_file': 'cert.pem' })).toThrow(/gateway\.tls\.key_file.*a certificate needs its key/);
});

test.each([
  ['gateway.trust_proxy', '10.0.0.0/33'],
  ['gateway.trust_proxy', 'proxy.example'],
  ['gateway.cors.origins', '*'],
  ['gateway.cors.origins', 'https://app.example/'],
  ['gateway.open_paths', '/v1/jobs'],
])('%s refuses %s', (key, value) => {
  expect(() => configOf({ [key]: [value] })).toThrow(expect.objectContaining({ message: expect.stringContaining(key) }));
});
