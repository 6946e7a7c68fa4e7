/** Bytes that are no requests, or nearly: the gateway answers with a problem or cuts the connection, within its time limits, and the next request is answered. */
import { connect } from 'node:net';
import { mutated, type Random, shorterBytes } from '../random.ts';
import { shownBytes, type Target, Wrong } from '../target.ts';
import { clientOf } from './http-client.ts';

/** Longer than the gateway's own limit for a whole request (4 s here). */
const PATIENCE_MS = 15_000;

function requestBytes(random: Random, key: string): Buffer {
  // Of those that are right something must be answered as well.
  if (random.once(6))
    return Buffer.from(
      `GET ${random.pick(['/healthz', '/v1/stats'])} HTTP/1.${random.below(2)}\r\nhost: a\r\nauthorization: Bearer ${key}\r\n\r\n`,
    );
  const line = `${random.pick(['GET', 'GET', 'POST', 'PUT', 'HEAD', 'OPTIONS', 'TRACE', 'CONNECT', 'PRI', 'get', 'X'.repeat(300)])} ${random.pick(
    [
      ...[
        '/healthz',
        '/v1/jobs',
        '/v1/jobs?limit=1',
        '*',
        '//',
        '/%',
        '/%ff',
        '/v1/jobs/%2e%2e/%2e%2e/etc/passwd',
        '/../../etc/passwd',
        'http://10.0.0.1/',
        '/docs/..%2f..%2fpackage.json',
      ],
      ...[
        `/${'a'.repeat(random.pick([100, 20_000]))}`,
        '/v1/users/%00/portfolio',
        '/v1/jobs?state[]=1&state[]=2',
        '/v1/jobs?__proto__[x]=1',
        '/v1/symbols/%F0%9F%98%80',
      ],
    ],
  )} ${random.pick(['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/9.9', 'RTSP/1.0', ''])}`;
  const fields = random.list(random.pick([0, 1, 2, 6]), () =>
    random.pick([
      ...[
        'host: x',
        'host: x\r\nhost: y',
        'content-length: 5',
        'content-length: -1',
        'content-length: 5, 6',
        'content-length: 99999999999999999999',
        'transfer-encoding: chunked',
      ],
      ...[
        'transfer-encoding: chunked, identity',
        'Transfer-Encoding : chunked',
        'connection: keep-alive, upgrade',
        'upgrade: h2c',
        'expect: 100-continue',
        'expect: x',
        'content-type: application/json',
      ],
      ...[
        `x: ${'y'.repeat(random.pick([10, 9_000, 40_000]))}`,
        'no colon',
        ' folded: x',
        ': x',
        'a\0b: c',
        'cookie: \xff\xfe',
        'accept-encoding: gzip;q=x',
        'x-forwarded-for: 1.2.3.4, ::1, x',
      ],
      ...[
        'last-event-id: 1',
        'content-encoding: gzip',
        'range: bytes=0-',
        'if-none-match: *',
        `authorization: Bearer ${key}`,
        'authorization: Bearer',
        'authorization: Basic eDp5',
      ],
    ]),
  );
  const body = random.pick([
    '',
    '',
    'hello',
    '{"type":"fetch"',
    '5\r\nhello\r\n0\r\n\r\n',
    'ffffffff\r\nx',
    '-1\r\n\r\n',
    '0\r\nx: y\r\n\r\n',
  ]);
  const bytes = Buffer.from([line, 'host: a', ...fields, '', body].join(random.once(10) ? '\n' : '\r\n'), 'latin1');
  const more = random.once(5) ? Buffer.concat([bytes, bytes]) : bytes;
  return random.once(2) ? mutated(random, more) : more;
}

/** What comes back until the other side ends. This side ends after the bytes. */
function converse(port: number, bytes: Buffer): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  const timer = setTimeout(() => {
    socket.destroy();
    reject(new Wrong(`neither answered nor cut within ${PATIENCE_MS / 1000} s`));
  }, PATIENCE_MS);
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => {});
  socket.on('end', () => socket.destroy());
  socket.on('close', () => {
    clearTimeout(timer);
    resolve(Buffer.concat(chunks));
  });
  socket.on('connect', () => socket.end(bytes));
  return promise;
}

export const rawRequests: Target<Buffer> = {
  name: 'HTTP bytes',
  inputs: 20_000,
  seconds: 60,
  together: 16,
  async open(servers) {
    const { url, key } = await servers.gateway();
    const client = clientOf(url, key);
    const port = Number(new URL(url).port);
    let judged = 0;
    const works = async (): Promise<void> => {
      const { status } = await client.ask('GET', '/v1/stats');
      if (status !== 200) throw new Wrong(`a right request is answered with ${status}`);
    };
    return {
      make: (random) => requestBytes(random, key),
      async judge(bytes) {
        const said = (await converse(port, bytes)).toString('latin1');
        if (++judged % 64 === 0) await works();
        const head = /^HTTP\/1\.1 (\d{3}) /.exec(said);
        if (said !== '' && head === null) throw new Wrong(`answered with ${JSON.stringify(said.slice(0, 200))}`);
        const status = Number(head?.[1] ?? 400);
        if (status >= 500) throw new Wrong(`answered ${said.slice(0, 600)}`);
        const isHead = /^HEAD /.test(bytes.toString('latin1'));
        if (said !== '' && status >= 400 && !isHead && !/\r\ncontent-type: application\/problem\+json/i.test(said))
          throw new Wrong(`an error that is no problem: ${said.slice(0, 600)}`);
        if (/root:x:0|"name": "stockmesh"/.test(said)) throw new Wrong(`gives a file away: ${said.slice(0, 600)}`);
        return status < 400 ? 'accepted' : 'refused';
      },
      smaller: shorterBytes,
      shown: shownBytes,
      async settle() {
        await works();
        if (servers.errors.length > 0) throw new Wrong(`the gateway logged ${servers.errors.length} errors, first ${servers.errors[0]}`);
      },
      close: async () => client.close(),
    };
  },
};
