/** Server-sent events (WHATWG HTML, 9.2) on a plain response: a slow reader holds a bounded number of bytes, and a quiet stream gets heartbeats. */
import type { OutgoingHttpHeaders } from 'node:http';
import type { FastifyReply } from 'fastify';

export interface Stream {
  send(frame: string): void;
  /** Sends the waiting frames and ends. */
  end(): void;
  /** When the reader has gone or was cut: nothing more is sent. */
  readonly closed: Promise<void>;
}

/** One event on the wire. JSON has no line breaks, so the data is one line. */
export function frameOf(event: string, data: unknown, id?: string): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** Milliseconds that a reader that was cut has to read why. */
const LAST_WORD_MS = 5_000;

export interface StreamOptions {
  heartbeatMs: number;
  /** Bytes that may wait for the reader. */
  maxBehind: number;
  onCut?: (reason: string) => void;
}

/**
 * Takes the response over. A reader for whom more than `maxBehind` bytes wait, or that takes nothing for two heartbeats, is cut: the last event, `cut`, says why. It comes
 * back with `Last-Event-ID`.
 */
export function openStream(reply: FastifyReply, { heartbeatMs, maxBehind, onCut }: StreamOptions): Stream {
  reply.hijack();
  const { raw } = reply;
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  raw.writeHead(200, {
    ...(reply.getHeaders() as OutgoingHttpHeaders),
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  /** Heartbeats since the reader had taken everything. */
  let missed = 0;
  const beating = setInterval(() => {
    if (raw.writableLength === 0) missed = 0;
    else if (++missed > 2) cut('its reader has taken nothing for two heartbeats');
    send(': alive\n\n');
  }, heartbeatMs);
  raw.on('drain', () => {
    missed = 0;
  });
  // The time-out of a connection is about answers that end.
  raw.setTimeout(0);
  const end = (): void => {
    clearInterval(beating);
    resolve();
  };
  raw.once('close', end);
  // A reader that has gone already: `close` is over.
  if (raw.destroyed) end();
  // A reader that went away in the middle of a write: `close` follows.
  raw.on('error', () => {});

  function send(frame: string): void {
    if (raw.destroyed || raw.writableEnded) return;
    raw.write(frame);
    if (raw.writableLength > maxBehind) cut(`more than ${maxBehind} bytes waited for its reader (gateway.events.max_behind)`);
  }

  function cut(reason: string): void {
    end();
    raw.end(frameOf('cut', { code: 'events.slow_reader', reason }));
    setTimeout(() => raw.destroy(), LAST_WORD_MS).unref();
    onCut?.(reason);
  }

  send('retry: 2000\n\n');
  return { send, end: () => raw.end(), closed };
}
