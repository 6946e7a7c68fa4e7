import { once } from 'node:events';
import { get, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import fastify from 'fastify';
import { expect, onTestFinished, test } from 'vitest';
import { frameOf, openStream, type Stream, type StreamOptions } from '../../../services/gateway/live/sse.ts';

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

/** A stream on a server of its own, whose reader has the answer but has not begun to read it. */
async function open(options: Pick<StreamOptions, 'heartbeatMs' | 'maxBehind'>) {
  const app = fastify();
  onTestFinished(() => app.close());
  const cuts: string[] = [];
  const opened = Promise.withResolvers<{ stream: Stream; raw: ServerResponse }>();
  app.get('/', (_, reply) =>
    opened.resolve({ stream: openStream(reply, { ...options, onCut: (reason) => cuts.push(reason) }), raw: reply.raw }),
  );
  await app.listen({ port: 0 });
  const client = get(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}/`).on('error', () => {});
  onTestFinished(() => void client.destroy());
  const [response] = (await once(client, 'response')) as [IncomingMessage];
  response.on('error', () => {});
  return { ...(await opened.promise), response, cuts };
}

/** Sends until so much waits that the system's own buffers are full as well. */
async function fill({ send }: Stream, raw: ServerResponse): Promise<void> {
  for (let frames = 0; frames < 10_000 && raw.writableLength === 0; frames++) {
    send(frameOf('data', 'x'.repeat(16_384)));
    await turn();
  }
}

test('a reader that was too slow and reads again hears why it was cut, as the last event', async () => {
  const { stream, raw, response, cuts } = await open({ heartbeatMs: 60_000, maxBehind: 65_536 });
  let isOpen = true;
  void stream.closed.then(() => {
    isOpen = false;
  });
  while (isOpen) {
    stream.send(frameOf('data', 'x'.repeat(16_384)));
    await turn();
  }
  expect(raw.destroyed).toBe(false);
  let text = '';
  for await (const chunk of response) text = (text + chunk).slice(-1_000);
  const reason = 'more than 65536 bytes waited for its reader (gateway.events.max_behind)';
  expect(text).toContain(frameOf('cut', { code: 'events.slow_reader', reason }));
  expect(cuts).toEqual([reason]);
});

test('a reader that takes nothing for two heartbeats is cut although little waits for it', async () => {
  const { stream, raw, cuts } = await open({ heartbeatMs: 20, maxBehind: 16 * 1024 * 1024 });
  await fill(stream, raw);
  await stream.closed;
  expect(cuts).toEqual(['its reader has taken nothing for two heartbeats']);
});

test('a reader that reads is not cut, however long the stream is quiet', async () => {
  const { response, cuts } = await open({ heartbeatMs: 5, maxBehind: 65_536 });
  let beats = 0;
  for await (const chunk of response) {
    beats += String(chunk).split(': alive').length - 1;
    if (beats > 20) break;
  }
  expect(cuts).toEqual([]);
});

test('a stream for a reader that has gone before it is opened is closed at once', async () => {
  const app = fastify();
  onTestFinished(() => app.close());
  const { promise: opened, resolve } = Promise.withResolvers<Stream>();
  app.get('/', async (_, reply) => {
    client.destroy();
    await once(reply.raw, 'close');
    resolve(openStream(reply, { heartbeatMs: 60_000, maxBehind: 65_536 }));
    return reply;
  });
  await app.listen({ port: 0 });
  const client = get(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}/`).on('error', () => {});
  await (await opened).closed;
});
