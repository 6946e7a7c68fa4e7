/** Encrypted connections, whichever of the two brokers runs: who gets in, and who sees that the broker is not the one it should be. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectTls, type SecureVersion } from 'node:tls';
import { promisify } from 'node:util';
import type { IClientOptions } from 'mqtt';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { findProgram } from '../../services/platform/machine/programs.ts';
import { onEachBroker, type RunningBroker } from './brokers.ts';
import { shown, testCertificates } from './connections/certificates.ts';
import { accounts, connectPacket, join, rawConnection, refusalOf } from './peers.ts';

const certificates = testCertificates();
afterAll(() => certificates.remove());
const authority = certificates.authority('authority');
const stranger = certificates.authority('stranger');
const server = certificates.issue('server', { by: authority });

const trusting = (files: { cert_file: string }): IClientOptions => ({ protocol: 'mqtts', ca: readFileSync(files.cert_file) });
const code = (expected: string) => expect.objectContaining({ code: expected });
const answered = async (port: number, packet: Buffer): Promise<Buffer> => {
  const socket = await rawConnection(port);
  const bytes: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => bytes.push(chunk));
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.write(packet);
  await closed;
  return Buffer.concat(bytes);
};

onEachBroker(({ startTls }) => {
  describe('with a certificate', () => {
    let broker: RunningBroker & { tlsPort: number };
    beforeAll(async () => {
      broker = await startTls(server);
    });
    afterAll(() => broker.close());

    test('a client that trusts its authority hears what a client without encryption publishes', async () => {
      const encrypted = await join(broker.tlsPort, 'monitor', trusting(authority));
      await encrypted.client.subscribeAsync('stock/+/+', { qos: 1 });
      const plain = await join(broker.port, 'service');
      await plain.client.publishAsync('stock/fetch/AAPL', 'job', { qos: 1 });
      await expect.poll(() => encrypted.heard).toMatchObject([{ topic: 'stock/fetch/AAPL', payload: 'job' }]);
    });

    test('a client that trusts another authority does not speak to it', async () => {
      await expect(join(broker.tlsPort, 'monitor', trusting(stranger))).rejects.toEqual(code('UNABLE_TO_VERIFY_LEAF_SIGNATURE'));
    });

    test('user name and password count as without encryption', async () => {
      expect(await refusalOf(broker.tlsPort, { ...trusting(authority), username: 'monitor', password: 'wrong' })).toBe(5);
      expect(await refusalOf(broker.tlsPort, trusting(authority))).toBe(5);
    });

    test('a CONNECT without encryption gets no CONNACK, and the next one with it does', async () => {
      const answer = await answered(broker.tlsPort, connectPacket('monitor', 'plain', 60));
      // At most an alert record of TLS [RFC 8446, 5.1]: type 21.
      expect([undefined, 21]).toContain(answer[0]);
      await join(broker.tlsPort, 'monitor', trusting(authority));
    });

    test('the port without encryption answers no handshake', async () => {
      await expect(join(broker.port, 'monitor', trusting(authority))).rejects.toThrow();
    });

    test.each<[SecureVersion, boolean]>([
      ['TLSv1.3', true],
      ['TLSv1.2', true],
      ['TLSv1.1', false],
    ])('%s is spoken: %s', async (version, spoken) => {
      const ca = readFileSync(authority.cert_file);
      const ciphers = 'DEFAULT@SECLEVEL=0';
      const socket = connectTls({ host: '127.0.0.1', port: broker.tlsPort, ca, minVersion: 'TLSv1', maxVersion: version, ciphers });
      onTestFinished(() => void socket.destroy());
      const protocol = await once(socket, 'secureConnect').then(
        () => socket.getProtocol(),
        () => undefined,
      );
      expect(protocol).toBe(spoken ? version : undefined);
    });

    const mosquittoPub = findProgram(['mosquitto_pub']);
    test.skipIf(mosquittoPub === undefined)('mosquitto_pub --cafile publishes a login', async () => {
      const service = await join(broker.port, 'service');
      await service.client.subscribeAsync('events/login', { qos: 1 });
      const account = ['-u', 'hook', '-P', accounts.hook!.password];
      const to = ['-h', '127.0.0.1', '-p', String(broker.tlsPort), '--cafile', authority.cert_file];
      await promisify(execFile)(mosquittoPub!, [...to, ...account, '-q', '1', '-t', 'events/login', '-m', '{"userId":"ada"}']);
      await expect.poll(() => service.heard).toMatchObject([{ topic: 'events/login', payload: '{"userId":"ada"}' }]);
    });
  });

  test.each<[what: string, days: number, signed: boolean, refused: string]>([
    ['that has expired', -1, true, 'CERT_HAS_EXPIRED'],
    ['that it signed itself', 2, false, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  ])('a client does not speak to a broker with a certificate %s', async (what, days, signed, refused) => {
    const broker = await startTls(certificates.issue(what.replaceAll(' ', '-'), signed ? { by: authority, days } : { days }));
    onTestFinished(() => broker.close());
    await expect(join(broker.tlsPort, 'monitor', trusting(authority))).rejects.toEqual(code(refused));
  });

  describe('with an authority for clients', () => {
    let broker: RunningBroker & { tlsPort: number };
    beforeAll(async () => {
      broker = await startTls({ ...server, client_ca_file: authority.cert_file });
    });
    afterAll(() => broker.close());

    test('a client with a certificate of it connects, with its user name and password', async () => {
      const own = { ...trusting(authority), ...shown(certificates.issue('client', { by: authority })) };
      await join(broker.tlsPort, 'monitor', own);
      expect(await refusalOf(broker.tlsPort, { ...own, username: 'monitor', password: 'wrong' })).toBe(5);
    });

    test.each<[what: string, options: () => object]>([
      ['without a certificate', () => ({})],
      ['with a certificate of another authority', () => shown(certificates.issue('foreign', { by: stranger }))],
      ['with a certificate that has expired', () => shown(certificates.issue('late', { by: authority, days: -1 }))],
      ['with a certificate that it signed itself', () => shown(certificates.issue('self-made'))],
    ])('a client %s is refused, whatever its password', async (_, options) => {
      const { ca } = trusting(authority);
      const socket = connectTls({ host: '127.0.0.1', port: broker.tlsPort, ca: ca as Buffer, ...options() });
      const heard: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => heard.push(chunk));
      // With TLS 1.3 a client may speak before it learns that it is refused.
      socket.on('error', () => {}).write(connectPacket('monitor', 'refused', 60));
      await new Promise((resolve) => socket.once('close', resolve));
      expect(heard).toEqual([]);
    });

    test('the port for this machine needs no certificate', async () => {
      await join(broker.port, 'monitor');
    });
  });
});
