import { get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import fastify from 'fastify';
import { expect, onTestFinished, test } from 'vitest';
import { frameOf, openStream } from '../../../services/gateway/live/sse.ts';

test('a reader that does not read is cut as soon as too much waits for it, and holds no more', async () => {
  const app = fastify();
  onTestFinished(() => app.close());
  const frame = frameOf('data', 'x'.repeat(16_384));
  const MOST = 65_536;
  let waiting = 0;
  let frames = 0;
  const { promise: over, resolve: end } = Promise.withResolvers<void>();
  app.get('/', async (_, reply) => {
    const stream = openStream(reply, { heartbeatMs: 10_000, maxBehind: MOST });
    let closed = false;
    void stream.closed.then(() => {
      closed = true;
    });
    // The system's own buffers take some megabytes first: 160 MB would mean that nothing stops it.
    for (; !closed && frames < 10_000; frames++) {
      waiting = Math.max(waiting, reply.raw.writableLength);
      stream.send(frame);
      await turn();
    }
    end();
  });
  await app.listen({ port: 0 });
  const client = get(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}/`);
  client.on('response', (response: IncomingMessage) => response.pause().on('error', () => {})).on('error', () => {});
  await over;
  expect(frames).toBeLessThan(10_000);
  expect(waiting).toBeLessThanOrEqual(MOST);
  client.destroy();
});

test('an event is three lines: where the reader stands, what it is, its data', () => {
  // The stream format of the HTML standard, 9.2.5.
  expect(frameOf('data', { text: 'a\nb' }, 'e-1')).toBe('id: e-1\nevent: data\ndata: {"text":"a\\nb"}\n\n');
});
