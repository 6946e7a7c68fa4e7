/** What answers tell browsers: what may be loaded, framed and read, and by pages of which origins. */
import { expect, onTestFinished, test } from 'vitest';
import { gatewayMesh } from '../mesh.ts';
import { sendRaw } from '../raw.ts';

const ORIGIN = 'https://app.example';
const mesh = gatewayMesh({ 'gateway.cors.origins': [ORIGIN, 'http://127.0.0.1:5173'] });

/** Those of the OWASP REST security cheat sheet, and of helmet's defaults. */
const SECURE = {
  'content-security-policy': "default-src 'none';frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
};

/** The headers of an answer whose body, an event stream perhaps, is not waited for. */
async function headersOf(path: string, headers: Record<string, string> = {}, method = 'GET') {
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const answer = await fetch(`${mesh.gateway.url}${path}`, { method, headers, signal: stop.signal });
  return { status: answer.status, ...Object.fromEntries(answer.headers) } as Record<string, string | number>;
}
const bearer = () => ({ authorization: `Bearer ${mesh.operator.key}` });

test.each(['/healthz', '/v1/jobs', '/nothing', '/v1/jobs/%zz', '/openapi.json', '/metrics'])('the answer of %s says so', async (path) => {
  expect(await headersOf(path, bearer())).toMatchObject(SECURE);
});

test('so does an event stream', async () => {
  expect(await headersOf('/v1/events', bearer())).toMatchObject({ status: 200, ...SECURE });
});

test('what the parser refuses is not guessed to be something else', async () => {
  const [answer] = await sendRaw(mesh.gateway.url, 'BAD\r\n\r\n');
  expect(answer?.headers).toMatchObject({ 'x-content-type-options': 'nosniff' });
});

test('nothing names the software, and without encryption nothing asks for it', async () => {
  const headers = await headersOf('/healthz');
  for (const name of ['server', 'x-powered-by', 'strict-transport-security']) expect(headers).not.toHaveProperty(name);
});

test('the pages of the documentation run only scripts of their own, and hold none', async () => {
  for (const path of ['/docs', '/docs/', '/docs/static/swagger-initializer.js', '/docs/static/swagger-ui-bundle.js']) {
    const { 'content-security-policy': policy } = await headersOf(path);
    expect(policy).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self'; /);
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
  }
  const page = String((await mesh.anonymous.get('/docs/')).body);
  expect(page.match(/<script(?! src="[^"]+" charset="UTF-8"> <\/script>)/g)).toBeNull();
  expect(page).not.toMatch(/<style|style=|\son\w+=/);
  const initializer = String((await mesh.anonymous.get('/docs/static/swagger-initializer.js')).body);
  expect(initializer).toContain('"validatorUrl":null');
});

const preflight = (origin: string) =>
  headersOf('/v1/jobs', { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' }, 'OPTIONS');

test('a page of a listed origin may call with its key, and read when to come again', async () => {
  expect(await preflight(ORIGIN)).toMatchObject({
    status: 204,
    'access-control-allow-origin': ORIGIN,
    'access-control-allow-methods': 'GET, HEAD, POST, PUT, DELETE',
    'access-control-allow-headers': 'authorization, content-type, last-event-id',
  });
  const answer = await headersOf('/v1/jobs', { origin: ORIGIN, ...bearer() });
  expect(answer).toMatchObject({ status: 200, 'access-control-allow-origin': ORIGIN, vary: expect.stringMatching(/origin/i) });
  expect(answer['access-control-expose-headers']).toContain('retry-after');
  expect(answer).not.toHaveProperty('access-control-allow-credentials');
});

test.each(['/v1/events', '/nothing'])('a page of a listed origin reads the answer of %s', async (path) => {
  expect(await headersOf(path, { origin: ORIGIN, ...bearer() })).toMatchObject({ 'access-control-allow-origin': ORIGIN });
});

test.each(['https://app.example.evil.example', 'https://evil.example', 'http://app.example', 'null'])(
  'a page of %s may not',
  async (origin) => {
    expect(await preflight(origin)).not.toHaveProperty('access-control-allow-origin');
    expect(await headersOf('/v1/jobs', { origin, ...bearer() })).not.toHaveProperty('access-control-allow-origin');
  },
);
