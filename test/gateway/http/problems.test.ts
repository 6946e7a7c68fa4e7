import { request } from 'node:http';
import fastify from 'fastify';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { answerProblem } from '../../../services/gateway/http/problems.ts';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh();
const errorsOf = async (method: 'get' | 'post' | 'put', path: string, body?: unknown) => {
  const answer = await mesh.operator[method](path, body as never);
  expect([answer.status, answer.body.code], JSON.stringify(answer.body)).toEqual([400, 'request.invalid']);
  return answer.body.errors as { in: string; field: string; message: string }[];
};

test('an unknown field is refused by its name, not dropped', async () => {
  expect(await errorsOf('post', '/v1/jobs', { type: 'fetch', symbol: 'AAPL', symbl: 1 })).toEqual([
    { in: 'body', field: 'symbl', message: 'is 1: is not known here' },
  ]);
});

test('in a list the place of a bad field is named', async () => {
  const errors = await errorsOf('post', '/v1/jobs', {
    jobs: [
      { type: 'fetch', symbol: 'AAPL' },
      { type: 'fetch', symbol: 'not a symbol' },
    ],
  });
  expect(errors).toEqual([
    { in: 'body', field: 'jobs.1.symbol', message: expect.stringMatching(/^is "not a symbol": .*contains a space/) },
  ]);
});

test('a field that is missing is named as missing', async () => {
  expect(await errorsOf('post', '/v1/jobs', { type: 'fetch' })).toEqual([
    { in: 'body', field: 'symbol', message: expect.stringMatching(/^is missing: /) },
  ]);
});

test('a type that does not exist is refused by name', async () => {
  const [error] = await errorsOf('post', '/v1/jobs', { type: 'mine' });
  expect(error).toMatchObject({ field: 'type', message: expect.stringContaining('"mine"') });
});

test.each([
  ['/v1/jobs?colour=red', 'colour'],
  ['/v1/jobs?state=failed,done', 'state.1'],
  ['/v1/jobs?limit=0', 'limit'],
  ['/v1/jobs?limit=ten', 'limit'],
  ['/v1/jobs?cursor=42', 'cursor'],
  ['/v1/stats?verbose=1', 'verbose'],
  ['/healthz?deep=1', 'deep'],
  ['/v1/events?types=job,weather', 'types.1'],
  ['/v1/symbols/AAPL/bars?from=yesterday', 'from'],
  ['/v1/symbols/AAPL/bars?adjusted=maybe', 'adjusted'],
])('%s names the query parameter %s', async (path, field) => {
  const errors = await errorsOf('get', path);
  expect(errors).toEqual([expect.objectContaining({ in: 'query', field })]);
});

test('a malformed id is 400 and an unknown one 404', async () => {
  expect(await errorsOf('get', '/v1/jobs/42')).toEqual([expect.objectContaining({ in: 'path', field: 'id' })]);
  expect(await mesh.operator.get('/v1/jobs/01932c07-5f2a-7000-8a3b-0123456789ab')).toMatchObject({
    status: 404,
    body: { code: 'job.unknown' },
  });
});

test('what is no JSON, no JSON by its type, or too large has a code of its own', async () => {
  expect(await mesh.operator.post('/v1/jobs', '{"type":')).toMatchObject({ status: 400, body: { code: 'request.invalid_json' } });
  const large = { type: 'batch_fetch', symbols: ['A'.repeat(1_100_000)] };
  expect(await mesh.operator.post('/v1/jobs', large)).toMatchObject({ status: 413, body: { code: 'request.too_large' } });
  const form = await new Promise<number | undefined>((resolve, reject) => {
    const sent = request(
      `${mesh.gateway.url}/v1/jobs`,
      { method: 'POST', headers: { authorization: `Bearer ${mesh.operator.key}`, 'content-type': 'application/x-www-form-urlencoded' } },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      },
    );
    sent.on('error', reject).end('type=fetch');
  });
  expect(form).toBe(415);
});

test('an unexpected error is 500 and shows nothing of its text, which the log has', async () => {
  const lines: string[] = [];
  const app = fastify({ loggerInstance: pino({ level: 'error' }, { write: (line) => lines.push(line) }) });
  onTestFinished(() => app.close());
  app.setErrorHandler(answerProblem);
  app.get('/broken', () => {
    throw Object.assign(new Error("SELECT hash FROM api_keys: unknown column 'hash'"), { code: 'ER_BAD_FIELD_ERROR' });
  });
  const answer = await app.inject('/broken?user=ada');
  expect(answer.statusCode).toBe(500);
  expect(answer.json()).toEqual({
    type: 'urn:stockmesh:problem:internal',
    title: 'Internal Server Error',
    status: 500,
    detail: 'this is a defect of the gateway; its log says more',
    instance: '/broken',
    code: 'internal',
  });
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ code: 'ER_BAD_FIELD_ERROR', method: 'GET', path: '/broken' }]);
  expect(lines[0]).toContain('SELECT hash FROM api_keys');
});

test('a path that does not exist is a problem too', async () => {
  expect(await mesh.operator.get('/v1/weather?in=Berlin')).toMatchObject({
    status: 404,
    body: { code: 'route.unknown', instance: '/v1/weather', detail: expect.stringContaining('GET /v1/weather') },
  });
});

interface Operation {
  method: string;
  path: string;
}

/** Every operation of the OpenAPI document, with values in the place of its path's parameters. */
async function operations(): Promise<Operation[]> {
  const { paths } = (await mesh.anonymous.get('/openapi.json')).body as { paths: Record<string, Record<string, unknown>> };
  const { body } = await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', analyse: false });
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => ({
      method: method.toUpperCase(),
      path: path.replace('{symbol}', 'AAPL').replace('{id}', path.includes('/users/') ? 'alice' : body.jobs[0].id),
    })),
  );
}
const ask = async ({ method, path }: Operation, key: string | undefined, query = '') => {
  const headers = key === undefined ? undefined : { authorization: `Bearer ${key}` };
  const answer = await fetch(`${mesh.gateway.url}${path}${query}`, { method, ...(headers === undefined ? {} : { headers }) });
  const text = await answer.text();
  const isProblem = answer.headers.get('content-type') === 'application/problem+json';
  const code = isProblem ? (JSON.parse(text) as { code: string }).code : '';
  return { method, path, status: answer.status, code };
};

test('every operation refuses a query parameter that it does not know', async () => {
  const all = await operations();
  expect(all.length).toBeGreaterThan(20);
  for (const operation of all)
    expect(await ask(operation, mesh.operator.key, '?surprise=1')).toEqual({ ...operation, status: 400, code: 'request.invalid' });
});

test('of a list in a parameter the entry that is not right is shown', async () => {
  const [error] = await errorsOf('get', '/v1/jobs?state=failed,done');
  expect(error?.message).toMatch(/^is "done": /);
});

/** What those answer that take no key. */
const WITHOUT_KEY: Record<string, { status: number; code: string }> = {
  '/healthz': { status: 200, code: '' },
  '/readyz': { status: 200, code: '' },
  '/metrics': { status: 200, code: '' },
  // A scheduler outside of the mesh has a secret of its own in place of a key, and the link of a mail its token.
  '/v1/cron/weekly-picks': { status: 401, code: 'cron.bad_secret' },
  '/v1/unsubscribe': { status: 400, code: 'request.invalid' },
};

test('every operation but those for supervisors, collectors, schedulers and links asks for a key, and signing in takes one', async () => {
  for (const operation of (await operations()).filter(({ path }) => path !== '/v1/session'))
    expect(await ask(operation, undefined)).toEqual({
      ...operation,
      ...(WITHOUT_KEY[operation.path] ?? { status: 401, code: 'access.no_key' }),
    });
});

test('a body where none is expected is refused', async () => {
  const { body } = await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', analyse: false });
  expect(await errorsOf('post', `/v1/jobs/${body.jobs[0].id}/cancel`, { reason: 'x' })).toMatchObject([{ in: 'body', field: 'reason' }]);
  expect((await mesh.operator.post(`/v1/jobs/${body.jobs[0].id}/cancel`, {})).status).toBe(200);
});
