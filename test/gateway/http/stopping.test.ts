import { expect, test } from 'vitest';
import { gatewayMesh } from '../mesh.ts';
import { connectTo, readAnswers } from '../raw.ts';

const mesh = gatewayMesh();

test('a request that comes while the gateway stops is refused with a problem, and its connection ends', async () => {
  const { url } = mesh.gateway;
  const socket = await connectTo(url);
  // The answer to the first shows that half of the second is there, which keeps the connection open.
  const first = readAnswers(socket, 1);
  const all = readAnswers(socket);
  socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\nGET /v1/jobs HTTP/1.1\r\nhost: x\r\n');
  await first;
  const drained = mesh.gateway.drain();
  await expect
    .poll(() =>
      connectTo(url).then(
        (taken) => taken.destroy(),
        () => 'refused',
      ),
    )
    .toBe('refused');
  socket.write('\r\n');
  const [, refused, ...more] = await all;
  expect([refused?.status, refused?.headers.connection, more]).toEqual([503, 'close', []]);
  expect(JSON.parse(refused?.body ?? '')).toMatchObject({ status: 503, code: 'gateway.stopping' });
  await drained;
});
