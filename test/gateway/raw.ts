/** HTTP as bytes, for requests that no client sends. */
import { connect, type Socket } from 'node:net';

export interface RawAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** Connects, sends the bytes, and gives all that comes back until the server closes the connection or `answers` are whole. */
export async function sendRaw(url: string, bytes: string | Buffer, answers = 1): Promise<RawAnswer[]> {
  const socket = await connectTo(url);
  const got = readAnswers(socket, answers);
  socket.write(bytes);
  return got.finally(() => socket.destroy());
}

/** An open connection to the server. `from`: the address of this side; on Linux all of 127.0.0.0/8 are. */
export function connectTo(url: string, from?: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect({ port: Number(port), host: hostname, ...(from === undefined ? {} : { localAddress: from }) });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      // What the server does then shows in what was read.
      socket.on('error', () => {});
      resolve(socket);
    });
  });
}

/** The answers on a connection, each with a content-length. */
export function readAnswers(socket: Socket, count = Number.POSITIVE_INFINITY): Promise<RawAnswer[]> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, Buffer.from(chunk)]);
      const all = answersIn(bytes);
      if (all.length >= count) resolve(all);
    });
    socket.on('close', () => resolve(answersIn(bytes)));
  });
}

function answersIn(bytes: Buffer): RawAnswer[] {
  const found: RawAnswer[] = [];
  for (let at = 0; ; ) {
    const end = bytes.indexOf('\r\n\r\n', at);
    if (end === -1) return found;
    const [line = '', ...fields] = bytes.toString('latin1', at, end).split('\r\n');
    const headers = Object.fromEntries(
      fields.map((field) => [field.slice(0, field.indexOf(':')).toLowerCase(), field.slice(field.indexOf(':') + 1).trim()]),
    );
    const status = Number(line.split(' ')[1]);
    const length = Number(headers['content-length'] ?? 0);
    if (bytes.length < end + 4 + length) return found;
    at = end + 4 + length;
    if (status !== 100) found.push({ status, headers, body: bytes.toString('utf8', at - length, at) });
  }
}
