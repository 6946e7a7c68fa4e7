/** What a client can hold of the server that sends nothing, half a request, or takes no answer. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { createAddresses } from '../../../services/gateway/auth/addresses.ts';
import { answerClientError, limitConnections, serverOf } from '../../../services/gateway/http/connections.ts';
import { configOf } from '../../scheduler/configuration.ts';
import { connectTo, readAnswers, sendRaw } from '../raw.ts';

const LIMITS = { max: 100, max_per_address: 100, header_timeout: 0.2, request_timeout: 0.4, keep_alive: 0.2, stall_timeout: 60 };
const PLAIN = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n';
const HALF = 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{"a"';

async function serve(
  limits: Partial<typeof LIMITS> = {},
  answer: (response: ServerResponse) => void = (response) => response.setHeader('content-length', 2).end('ok'),
  trusted: string[] = [],
) {
  const lines: string[] = [];
  const all = { ...LIMITS, ...limits };
  const server = serverOf((request, response) => void request.resume().once('end', () => answer(response)), all, undefined);
  server.on('clientError', answerClientError);
  const log = pino({ level: 'warn' }, { write: (line) => lines.push(line) });
  const counters = limitConnections(server, { limits: all, addresses: createAddresses(trusted), log });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, counters, lines, server };
}

const closed = (socket: Socket) => (socket.closed ? Promise.resolve() : once(socket, 'close'));

test.each([
  ['no byte', ''],
  ['half of its headers', 'GET / HTTP/1.1\r\nhost: x\r\nx-a: '],
  ['half of its body', HALF],
])('a connection that sends %s is answered 408 and closed', async (_, bytes) => {
  const { url } = await serve();
  const [answer, ...more] = await sendRaw(url, bytes);
  expect([answer?.status, more]).toEqual([408, []]);
  expect(JSON.parse(answer?.body ?? '')).toMatchObject({ code: 'request.timeout', status: 408 });
});

test('a body that comes a byte at a time gets no more time than another', async () => {
  const { url } = await serve();
  const socket = await connectTo(url);
  const answers = readAnswers(socket, 1);
  socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n');
  const dripping = setInterval(() => socket.write('a'), 20);
  expect((await answers).map(({ status }) => status)).toEqual([408]);
  clearInterval(dripping);
});

test('an answer that lasts is not cut by the times for requests', async () => {
  const open: ServerResponse[] = [];
  const { url } = await serve({}, (response) => open.push(response.writeHead(200)) && response.flushHeaders());
  const stream = await connectTo(url);
  stream.write(PLAIN);
  await once(stream, 'data');
  // A request that came later and is overdue shows that the time of the first has passed, too.
  expect((await sendRaw(url, HALF))[0]?.status).toBe(408);
  open[0]?.write('still here');
  expect(String((await once(stream, 'data'))[0])).toContain('still here');
  stream.destroy();
});

test('a connection whose client takes nothing of an answer is cut', async () => {
  const { url, server } = await serve({ stall_timeout: 0.2 }, (response) => response.end(Buffer.alloc(64 * 1024 * 1024)));
  const [[accepted], client] = await Promise.all([once(server, 'connection') as Promise<[Socket]>, connectTo(url)]);
  client.pause().write(PLAIN);
  await closed(accepted);
  client.destroy();
});

test('of one address only so many connections are open, and a closed one makes room', async () => {
  const { url, counters, lines } = await serve({ max_per_address: 3, header_timeout: 60, request_timeout: 60 });
  const open = await Promise.all([1, 2, 3].map(() => connectTo(url)));
  await closed((await connectTo(url)).resume());
  await closed((await connectTo(url)).resume());
  expect(counters.refused).toEqual({ all: 0, address: 2 });
  expect(lines.map((line) => JSON.parse(line).msg)).toEqual([
    'connections are refused: gateway.connections.max_per_address (3) is reached, the last one came from 127.0.0.1',
  ]);
  open[0]?.destroy();
  await expect.poll(async () => (await sendRaw(url, PLAIN))[0]?.status).toBe(200);
});

test('half requests of one address leave room for another address', async () => {
  const { url, counters } = await serve({ max: 400, max_per_address: 200, header_timeout: 60, request_timeout: 60 });
  const half: Socket[] = [];
  // The system's queue of connections that wait to be taken is 511 long.
  for (let batch = 0; batch < 6; batch++) half.push(...(await Promise.all(Array.from({ length: 100 }, () => connectTo(url, '127.0.0.2')))));
  for (const socket of half) socket.resume().write(HALF);
  await expect.poll(() => counters.refused.address + counters.refused.all).toBe(400);
  expect((await sendRaw(url, PLAIN))[0]?.status).toBe(200);
  for (const socket of half) socket.destroy();
});

test('a trusted proxy, which stands for many callers, has only the limit of all', async () => {
  const { url, counters } = await serve({ max_per_address: 1, max: 3, header_timeout: 60, request_timeout: 60 }, undefined, [
    '127.0.0.0/8',
  ]);
  const open = await Promise.all([1, 2, 3].map(() => connectTo(url)));
  await closed((await connectTo(url)).resume());
  expect(counters.refused).toEqual({ all: 1, address: 0 });
  for (const socket of open) socket.destroy();
});

test('never more connections are taken than the process may open files', async () => {
  const { server, lines } = await serve({ max: 1_000_000_000 });
  expect(server.maxConnections).toBeLessThan(1_000_000_000);
  expect(lines[0]).toContain('LimitNOFILE');
});

test('the shipped times are in order: headers before the whole request, a request before a stalled answer', () => {
  const { header_timeout, request_timeout, stall_timeout, max, max_per_address } = configOf().gateway.connections;
  expect([header_timeout, request_timeout, stall_timeout]).toEqual(
    [header_timeout, request_timeout, stall_timeout].toSorted((a, b) => a - b),
  );
  expect(max_per_address).toBeLessThan(max);
});
