/** The end of a gateway while somebody waits for its answer. */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { expect, test } from 'vitest';
import { listen } from '../live/event-source.ts';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh();

test('a request that had begun is answered before the gateway has ended, and no new one is taken', async () => {
  const body = JSON.stringify({ type: 'fetch', symbol: 'AAPL', analyse: false });
  const headers = { authorization: `Bearer ${mesh.operator.key}`, 'content-type': 'application/json', 'content-length': body.length };
  const slow = request(`${mesh.gateway.url}/v1/jobs`, { method: 'POST', headers: { ...headers, expect: '100-continue' } });
  slow.flushHeaders();
  // The gateway has the header and waits for the body.
  await once(slow, 'continue');
  // Streams are ended by the gateway, however long their readers would stay.
  const job = await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'MSFT', analyse: false });
  const streams = await Promise.all(
    ['/v1/events', `/v1/jobs/${job.body.jobs[0].id}/events`].map((path) => listen(`${mesh.gateway.url}${path}`, mesh.operator)),
  );
  await expect.poll(() => streams.map(({ heard }) => heard.length > 0)).toEqual([true, true]);
  const happened: string[] = [];
  const drained = mesh.gateway.drain().then(() => happened.push('drained'));
  await expect
    .poll(() =>
      mesh.anonymous.get('/healthz').then(
        () => 'taken',
        () => 'refused',
      ),
    )
    .toBe('refused');
  // Round trips to the broker, as its own end takes some: what does not wait for the request has ended by now.
  const ping = mesh.connect('ping');
  await ping.online();
  await Promise.all(streams.map(({ ended }) => ended));
  expect(streams[1]!.of('end')).toEqual([]);
  slow.end(body);
  const [answer] = (await once(slow, 'response')) as [IncomingMessage];
  happened.push(`answered ${answer.statusCode}`);
  answer.resume();
  await drained;
  expect(happened).toEqual(['answered 202', 'drained']);
});
