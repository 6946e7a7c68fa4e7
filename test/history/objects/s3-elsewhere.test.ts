import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { createAuthority } from '../../support/certificates.ts';
import { folderOfTest, sampleFile } from './support/files.ts';
import { serverOfTest, storeAt } from './support/stores.ts';

// What answers at the address is not what was meant.

const { signal } = new AbortController();
const folder = folderOfTest();
const server = await serverOfTest({ folder: join(folder, 'server') });
const file = sampleFile(folder, 'file', 1_000_000);
const key = 'historical-stock/eod/root=AAPL/year=2024/data.parquet';

async function errorAt(elsewhere: Server, protocol: string): Promise<unknown> {
  await new Promise<void>((listening) => elsewhere.listen(0, '127.0.0.1', listening));
  try {
    const endpoint = `${protocol}://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`;
    return await storeAt(server, { endpoint })
      .head(key, signal)
      .catch((error: unknown) => error);
  } finally {
    elsewhere.close();
  }
}

const page =
  (status: number, headers: Record<string, string>, body: string): RequestListener =>
  (_, response) =>
    response.writeHead(status, headers).end(body);

test.each([
  { name: 'a web page', answer: page(200, { 'content-type': 'text/html' }, '<!doctype html><html><body><p>Hello<br></body></html>') },
  { name: 'JSON', answer: page(200, { 'content-type': 'application/json' }, '{"status":"ok"}') },
  { name: 'XML of something else', answer: page(200, { 'content-type': 'application/xml' }, '<?xml version="1.0"?><feed><entry/></feed>') },
  { name: 'nothing', answer: page(200, {}, '') },
  { name: 'another page', answer: page(302, { location: 'http://127.0.0.1:1/' }, '') },
])('a server that answers with $name is no S3', async ({ answer }) => {
  expect(await errorAt(createServer(answer), 'http')).toMatchObject({
    name: 'PermanentError',
    code: 'objects.refused',
    message: expect.stringContaining('history.store.s3.endpoint'),
  });
});

test('https:// to a server without TLS is refused with the way out', async () => {
  expect(await errorAt(createServer(page(200, {}, '')), 'https')).toMatchObject({
    name: 'PermanentError',
    code: 'objects.refused',
    message: expect.stringContaining('is it http:// or https://?'),
  });
});

test('a certificate that nobody vouches for is refused with the way out', async () => {
  const issued = createAuthority(folder, 'authority').issue('server', 'IP:127.0.0.1');
  const certificate = { cert: readFileSync(issued.cert), key: readFileSync(issued.key) };
  expect(await errorAt(createTlsServer(certificate, page(200, {}, '')), 'https')).toMatchObject({
    name: 'PermanentError',
    code: 'objects.refused',
    message: expect.stringContaining('NODE_EXTRA_CA_CERTS'),
  });
});

test('a proxy that has no server behind it may have one later', async () => {
  expect(await errorAt(createServer(page(502, { 'content-type': 'text/html' }, '<html>Bad Gateway</html>')), 'http')).toMatchObject({
    name: 'TransientError',
    code: 'objects.unavailable',
  });
});

test('the SDK writes nothing to the console, past the log', async () => {
  const spies = (['log', 'info', 'warn', 'error', 'debug'] as const).map((name) => vi.spyOn(console, name));
  server.faults.next('PUT', { kind: 'cut', after: 100_000 }, 5);
  await expect(storeAt(server).put(key, file.path, file.digest, signal)).rejects.toMatchObject({ code: 'objects.unavailable' });
  for (const spy of spies) expect(spy).not.toHaveBeenCalled();
});
