/** Server-sent events (WHATWG HTML, 9.2) on a plain response: a slow reader holds a bounded number of bytes, and a quiet stream gets heartbeats. */
import type { FastifyReply } from 'fastify';

export interface Stream {
  send(frame: string): void;
  /** Sends the waiting frames and ends. */
  end(): void;
  readonly closed: Promise<void>;
}

/** One event on the wire. JSON has no line breaks, so the data is one line. */
export function frameOf(event: string, data: unknown, id?: string): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** Takes the response over. `maxBehind`: bytes that may wait for the reader before the connection is cut; it comes back with `Last-Event-ID`. */
export function openStream(reply: FastifyReply, { heartbeatMs, maxBehind }: { heartbeatMs: number; maxBehind: number }): Stream {
  reply.hijack();
  const { raw } = reply;
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  raw.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
  const beating = setInterval(() => send(': alive\n\n'), heartbeatMs);
  raw.once('close', () => {
    clearInterval(beating);
    resolve();
  });
  // A reader that went away in the middle of a write: `close` follows.
  raw.on('error', () => {});

  function send(frame: string): void {
    if (raw.destroyed || raw.writableEnded) return;
    raw.write(frame);
    if (raw.writableLength > maxBehind) raw.destroy();
  }

  send('retry: 2000\n\n');
  return { send, end: () => raw.end(), closed };
}
