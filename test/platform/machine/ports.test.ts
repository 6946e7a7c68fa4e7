import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { assertPortFree, freePort } from '../../../services/platform/machine/ports.ts';

test('a free port passes, and it is not kept', async () => {
  const port = await freePort();
  await assertPortFree({ port, option: '--http-port' });
  await assertPortFree({ port, option: '--http-port' });
});

test('a port in use is refused with its number, the option and a port that is free', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  const error = await assertPortFree({ port, option: '--broker-port' }).catch((refused: Error) => refused);
  other.close();
  expect(error).toMatchObject({
    code: 'port.in_use',
    message: expect.stringMatching(new RegExp(`^port ${port} of 127\\.0\\.0\\.1 .*--broker-port`)),
  });
  await assertPortFree({ port: Number(/example (\d+)$/.exec((error as Error).message)?.[1]), option: '--broker-port' });
});

test('a host that is not one of this machine is refused with the option', async () => {
  // TEST-NET-1 (RFC 5737): never assigned to a machine.
  await expect(assertPortFree({ port: 4000, host: '192.0.2.1', option: 'gateway.host' })).rejects.toMatchObject({
    code: 'port.unusable',
    message: expect.stringContaining('gateway.host'),
  });
});
