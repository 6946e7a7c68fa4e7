/** Every answer that is an error is a problem (RFC 9457) with a stable code, whatever comes in. */
import { expect, test } from 'vitest';
import { gatewayMesh } from '../mesh.ts';
import { connectTo, readAnswers, sendRaw } from '../raw.ts';

const mesh = gatewayMesh();
const request = (line: string, ...headers: string[]) => `${[line, 'host: x', ...headers].join('\r\n')}\r\n\r\n`;
const LONG = 'a'.repeat(20_000);

const key = () => `authorization: Bearer ${mesh.operator.key}`;
const problemsOf = async (bytes: string | Buffer, answers = 1) => {
  const got = await sendRaw(mesh.gateway.url, bytes, answers);
  return got.map(({ status, headers, body }) => {
    expect(headers['content-type'], body).toBe('application/problem+json');
    const problem = JSON.parse(body) as { status: number; code: string; type: string; title: string; detail: string };
    expect(problem).toMatchObject({
      status,
      type: `urn:stockmesh:problem:${problem.code}`,
      title: expect.any(String),
      detail: expect.stringMatching(/\w/),
    });
    return [status, problem.code];
  });
};

test.each<[what: string, bytes: string, status: number, code: string]>([
  ['a path that cannot be decoded', request('GET /v1/jobs/%zz HTTP/1.1'), 400, 'request.bad_url'],
  ['a parameter that is too long', request(`GET /v1/symbols/${LONG.slice(0, 700)} HTTP/1.1`), 414, 'request.parameter_too_long'],
  ['headers that are too large', request('GET /healthz HTTP/1.1', `x-long: ${LONG}`), 431, 'request.headers_too_large'],
  ['an address that is too long', request(`GET /v1/jobs?symbol=${LONG} HTTP/1.1`), 431, 'request.headers_too_large'],
  ['a method that does not exist', request('FETCH / HTTP/1.1'), 400, 'request.malformed'],
  ['what is no HTTP', '\x16\x03\x01 hello\r\n\r\n', 400, 'request.malformed'],
  ['a header name with a control character', request('GET /healthz HTTP/1.1', 'x-\x01y: 1'), 400, 'request.malformed'],
  ['two different lengths', request('POST /v1/jobs HTTP/1.1', 'content-length: 2', 'content-length: 3'), 400, 'request.malformed'],
  ['a length and chunks', request('POST /v1/jobs HTTP/1.1', 'content-length: 2', 'transfer-encoding: chunked'), 400, 'request.malformed'],
  ['a chunk without a size', `${request('POST /v1/jobs HTTP/1.1', 'transfer-encoding: chunked')}z\r\n`, 400, 'request.malformed'],
  ['no host', 'GET /healthz HTTP/1.1\r\n\r\n', 400, 'request.no_host'],
  [
    'an expectation that nobody knows',
    request('POST /v1/jobs HTTP/1.1', 'expect: magic', 'content-length: 0'),
    417,
    'request.bad_expectation',
  ],
  ['a proxy’s method', 'CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n', 405, 'request.no_proxy'],
  ['TRACE', request('TRACE /v1/jobs HTTP/1.1'), 404, 'route.unknown'],
  ['an upgrade', request('GET /v1/events HTTP/1.1', 'connection: upgrade', 'upgrade: websocket'), 401, 'access.no_key'],
  ['an older protocol without a host', 'GET /v1/jobs HTTP/1.0\r\n\r\n', 401, 'access.no_key'],
  [
    'OPTIONS of a browser where no origin is configured',
    request('OPTIONS /v1/jobs HTTP/1.1', 'origin: https://a.example'),
    404,
    'route.unknown',
  ],
  [
    'a body of an unknown type',
    `${request('POST /v1/nothing HTTP/1.1', 'content-type: text/xml', 'content-length: 3')}<a>`,
    404,
    'route.unknown',
  ],
])('%s', async (_, bytes, status, code) => {
  expect(await problemsOf(bytes)).toEqual([[status, code]]);
});

test.each<[what: string, headers: string[], body: string | Buffer, status: number, code: string]>([
  ['no JSON', ['content-type: application/json'], '{"type":', 400, 'request.invalid_json'],
  ['no JSON by its type', ['content-type: text/plain'], '{}', 415, 'request.not_json'],
  ['a content type that is none', ['content-type: ;;'], '{}', 415, 'request.not_json'],
  ['an empty body where one is needed', ['content-type: application/json'], '', 400, 'request.invalid'],
  ['no body and no type where one is needed', [], '', 400, 'request.invalid'],
  ['lists without end', ['content-type: application/json'], '['.repeat(100_000), 400, 'request.too_complex'],
  [
    'a field of objects without end',
    ['content-type: application/json'],
    `{"type":${'{"a":'.repeat(50_000)}1${'}'.repeat(50_001)}`,
    400,
    'request.too_complex',
  ],
  [
    'a name that reaches into every object',
    ['content-type: application/json'],
    '{"type":"fetch","__proto__":{"symbol":"AAPL"}}',
    400,
    'request.invalid_json',
  ],
  ['the same, escaped', ['content-type: application/json'], '{"type":"fetch","\\u005f_proto__":{}}', 400, 'request.invalid_json'],
  ['a name twice', ['content-type: application/json'], '{"type":"fetch","symbol":"AAPL","symbol":"MSFT"}', 400, 'request.name_twice'],
  ['a number beyond all', ['content-type: application/json'], '{"type":"fetch","symbol":"AAPL","priority":1e400}', 400, 'request.invalid'],
  ['NUL in a name', ['content-type: application/json'], '{"type":"fetch","symbol":"AAPL","user":"a\\u0000b"}', 400, 'request.invalid'],
])('a body: %s', async (_, headers, body, status, code) => {
  const length = `content-length: ${Buffer.byteLength(body)}`;
  expect(await problemsOf(request('POST /v1/jobs HTTP/1.1', key(), length, ...headers) + body)).toEqual([[status, code]]);
});

test.each([
  ['symbol=AAPL&symbol=MSFT', 'request.invalid'],
  ['__proto__=1', 'request.invalid'],
  ['constructor=1', 'request.invalid'],
  ['symbol=%00', 'request.invalid'],
  ['symbol=%ff', 'request.invalid'],
  ['limit=9007199254740993', 'request.invalid'],
  [Array.from({ length: 2_000 }, (_, index) => `a${index}=`).join('&'), 'request.invalid'],
])('a query: %s', async (query, code) => {
  expect(await problemsOf(request(`GET /v1/jobs?${query} HTTP/1.1`, key()))).toEqual([[400, code]]);
});

test.each([
  ['a byte that begins nothing', Buffer.from('{"type":"fetch","symbol":"A\xff"}', 'latin1'), 28, 'FF'],
  ['a character of which the end is missing', Buffer.from('{"type":"fetch","symbol":"\xe2\x82"}', 'latin1'), 27, 'E2'],
  [
    'a wrong byte behind a character that means "unknown"',
    Buffer.concat([Buffer.from('{"a":"\ufffd'), Buffer.from([0x80]), Buffer.from('"}')]),
    10,
    '80',
  ],
])('a body that is not UTF-8 is refused with the place: %s', async (_, body, place, hex) => {
  const head = request('POST /v1/jobs HTTP/1.1', key(), 'content-type: application/json', `content-length: ${body.length}`);
  const [answer] = await sendRaw(mesh.gateway.url, Buffer.concat([Buffer.from(head), body]));
  expect(answer?.status).toBe(400);
  expect(JSON.parse(answer?.body ?? '')).toMatchObject({
    code: 'request.not_utf8',
    detail: `byte ${place} of the body is 0x${hex}, which is not UTF-8 there; send the JSON as UTF-8`,
  });
});

test.each([
  ['with the content type of JSON', ['content-type: application/json', 'content-length: 0']],
  ['with another content type', ['content-type: application/x-www-form-urlencoded', 'content-length: 0']],
  ['in chunks', ['content-type: application/json', 'transfer-encoding: chunked']],
  ['with nothing', []],
])('a job is cancelled without a body, %s', async (_, headers) => {
  const { body } = await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', analyse: false });
  const path = `/v1/jobs/${body.jobs[0].id}/cancel`;
  const bytes = request(`POST ${path} HTTP/1.1`, key(), ...headers) + (headers.includes('transfer-encoding: chunked') ? '0\r\n\r\n' : '');
  const [answer] = await sendRaw(mesh.gateway.url, bytes);
  expect(answer?.status, answer?.body).toBe(200);
});

test('of very many wrong fields the first are named', async () => {
  const fields = Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`a${index}`, 1]));
  const { status, body } = await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', ...fields });
  expect([status, body.code, body.errors.length]).toEqual([400, 'request.invalid', 100]);
});

test('a HEAD of an event stream is no stream', async () => {
  for (const path of ['/v1/events', '/v1/jobs/01932c07-5f2a-7000-8a3b-0123456789ab/events']) {
    const answer = await fetch(`${mesh.gateway.url}${path}`, { method: 'HEAD', headers: { authorization: `Bearer ${mesh.operator.key}` } });
    expect(answer.status).toBe(404);
  }
});

test('what is malformed behind a good request gets its own answer', async () => {
  const [good, bad] = await sendRaw(mesh.gateway.url, `${request('GET /healthz HTTP/1.1')}BAD\r\n\r\n`, 2);
  expect([good?.status, bad?.status]).toEqual([200, 400]);
});

test('what is malformed on the connection of an event stream ends it, and writes nothing into it', async () => {
  const socket = await connectTo(mesh.gateway.url);
  const text = new Promise<string>((resolve) => {
    let all = '';
    socket.on('data', (chunk) => {
      all += chunk;
      if (all.includes('event: hello')) socket.write('BAD\r\n\r\n');
    });
    socket.on('close', () => resolve(all));
  });
  socket.write(request('GET /v1/events HTTP/1.1', key()));
  expect((await text).match(/HTTP\/1\.1/g)).toHaveLength(1);
});

test('many requests on one connection, sent without waiting, are answered in their order', async () => {
  const socket = await connectTo(mesh.gateway.url);
  const answers = readAnswers(socket, 200);
  socket.write(Array.from({ length: 100 }, () => request('GET /healthz HTTP/1.1') + request('GET /nothing HTTP/1.1', key())).join(''));
  expect((await answers).map(({ status }) => status)).toEqual(Array.from({ length: 200 }, (_, index) => (index % 2 === 0 ? 200 : 404)));
  socket.destroy();
});

test('a body that begins with a byte order mark is refused, as it is over MQTT', async () => {
  const body = Buffer.from('\ufeff{"userId":"alice"}');
  const head = request('POST /v1/events/login HTTP/1.1', key(), 'content-type: application/json', `content-length: ${body.length}`);
  const [answer] = await sendRaw(mesh.gateway.url, Buffer.concat([Buffer.from(head), body]));
  expect([answer?.status, JSON.parse(answer?.body ?? '').code]).toEqual([400, 'request.invalid_json']);
});
