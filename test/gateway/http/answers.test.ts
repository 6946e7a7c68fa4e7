/** Facts about answers that hold over many routes: what the document promises, how much may be asked for at once, and what an error says. */
import fastify from 'fastify';
import { describe, expect, test } from 'vitest';
import { answerProblem, statusOf } from '../../../services/gateway/http/problems.ts';
import { InputError, PermanentError, TransientError } from '../../../services/platform/errors.ts';
import { gatewayMesh } from '../mesh.ts';
import { withoutRankings } from '../routes/ranking-rows.ts';

const mesh = gatewayMesh();
withoutRankings(mesh);
const fetchOf = (symbol: string, more: object = {}) => ({ type: 'fetch', symbol, analyse: false, ...more });
const many = (count: number) => Array.from({ length: count }, (_, index) => `S${index}`);

test('the document says of each operation how it succeeds: 200, and 202 where work is taken', async () => {
  const { paths } = (await mesh.anonymous.get('/openapi.json')).body as {
    paths: Record<string, Record<string, { responses: Record<string, unknown>; summary?: string; tags?: string[] }>>;
  };
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation })),
  );
  const others: Record<string, string[]> = {
    'POST /v1/jobs': ['202'],
    'POST /v1/schedules/{name}/run': ['202'],
    'POST /v1/workers/{instance}/drain': ['202'],
    'POST /v1/notifications/routes/{name}/test': ['202'],
    'POST /v1/keys': ['201'],
    'POST /v1/events/token': ['201'],
    'POST /v1/events/login': ['202'],
    'POST /v1/rankings': ['200', '202'],
    'POST /functions/v1/trigger-ranking-job': ['200', '202'],
    'POST /v1/historical/option': ['200', '202'],
    'POST /v1/historical/stock': ['200', '202'],
    'POST /historical/option': ['200', '202'],
    'POST /v1/history/gaps': ['200', '202'],
    'POST /v1/users/{id}/picks': ['200', '202'],
    'POST /v1/cron/weekly-picks': ['202'],
    'GET /v1/history/objects/{key}/data': ['200', '206'],
  };
  expect(operations.length).toBeGreaterThan(25);
  for (const { name, operation } of operations) {
    expect([name, Object.keys(operation.responses).filter((status) => status.startsWith('2'))]).toEqual([name, others[name] ?? ['200']]);
    expect([name, operation.summary, operation.tags?.length]).toEqual([name, expect.stringMatching(/\w/), 1]);
  }
  expect(Object.keys(paths['/readyz']!.get!.responses)).toEqual(['200', '503', '4XX', '5XX']);
  // The document itself and its pages are no operations of it.
  expect(Object.keys(paths).filter((path) => path.startsWith('/docs') || path === '/openapi.json')).toEqual([]);
});

test('the document explains what a name alone does not say', async () => {
  const { paths } = (await mesh.anonymous.get('/openapi.json')).body;
  const parameter = (path: string, name: string): string => {
    const { description, schema } = paths[path].get.parameters.find((one: { name: string }) => one.name === name);
    return description ?? schema.description;
  };
  expect(parameter('/v1/rankings', 'mode')).toMatch(/^monitor: .*; entry: .*; exit: /);
  expect(parameter('/v1/events', 'types')).toMatch(/separated by commas: job, status, data/);
  expect(parameter('/v1/jobs', 'cursor')).toContain('`next` of the page before');
  const portfolio = paths['/v1/users/{id}/portfolio'].get.responses['200'].content['application/json'].schema;
  expect(portfolio.properties.worth.description).toBe('All holdings in the base currency, with the rates used');
});

// docs/http.md: `limit` of each list.
test.each([
  ['/v1/jobs', 50, 500],
  ['/v1/jobs/{id}/items', 100, 1000],
  ['/v1/symbols/{symbol}/bars', 250, 5000],
  ['/v1/symbols/{symbol}/indicators', 250, 5000],
  ['/v1/rankings', 50, 500],
  ['/functions/v1/options-rankings', 50, 500],
])('%s gives %d without a limit, and at most %d', async (path, standard, most) => {
  const { paths } = (await mesh.anonymous.get('/openapi.json')).body;
  const { schema } = paths[path].get.parameters.find(({ name }: { name: string }) => name === 'limit');
  expect(schema).toMatchObject({ default: standard, minimum: 1, maximum: most });
});

describe('at once may be asked for', () => {
  const positions = (count: number) => many(count).map((symbol) => ({ symbol, quantity: 1 }));
  const options = (count: number) =>
    Array.from({ length: count }, (_, index) => ({
      contract: `AAPL450317C${String(index + 1).padStart(5, '0')}000`,
      quantity: 1,
      entry_price: 1,
    }));

  test.each<[string, 'post' | 'put', string, (count: number) => object, number, string]>([
    ['100 jobs', 'post', '/v1/jobs', (count) => ({ jobs: many(count).map((symbol) => fetchOf(symbol)) }), 100, 'jobs'],
    [
      '500 symbols of a batch',
      'post',
      '/v1/jobs',
      (count) => ({ type: 'batch_fetch', symbols: many(count), analyse: false }),
      500,
      'symbols',
    ],
    ['500 rankings', 'post', '/v1/rankings', (count) => ({ symbols: many(count) }), 500, 'symbols'],
    ['1,000 positions', 'put', '/v1/users/alice/portfolio', (count) => ({ positions: positions(count) }), 1000, 'positions'],
    ['1,000 option positions', 'put', '/v1/users/alice/positions', (count) => ({ positions: options(count) }), 1000, 'positions'],
  ])('%s and no more', async (_, method, path, bodyOf, most, field) => {
    expect((await mesh.operator[method](path, bodyOf(most))).status).toBeLessThan(300);
    expect(await mesh.operator[method](path, bodyOf(most + 1))).toMatchObject({
      status: 400,
      body: { code: 'request.invalid', errors: [{ in: 'body', field }] },
    });
  });

  test('a megabyte, and not a byte more', async () => {
    const bodyOf = (bytes: number): string => JSON.stringify({ type: 'x' }).padEnd(bytes, ' ');
    expect((await mesh.operator.post('/v1/jobs', bodyOf(1_048_576))).body.code).toBe('request.invalid');
    expect((await mesh.operator.post('/v1/jobs', bodyOf(1_048_577))).body.code).toBe('request.too_large');
  });

  test('a least rank of 100, and a cursor of 60 characters', async () => {
    await mesh.operator.post('/v1/rankings', { symbol: 'AAPL' });
    expect((await mesh.operator.get('/v1/rankings?symbol=AAPL&min_rank=100')).status).toBe(200);
    expect((await mesh.operator.get(`/v1/rankings?symbol=AAPL&cursor=${'1'.repeat(61)}`)).body.code).toBe('request.invalid');
  });
});

describe('a problem', () => {
  const detailOf = async (path: string, body: unknown): Promise<string> => (await mesh.operator.post(path, body)).body.detail;

  test('says in a sentence where the first three faults are, and lists all of them', async () => {
    const bad = { type: 'fetch', symbol: 'AAPL' };
    const { body } = await mesh.operator.post('/v1/jobs', { ...bad, a: 1, b: 2, c: 3, d: 4 });
    expect(body.detail).toBe('body "a" is 1: is not known here; body "b" is 2: is not known here; body "c" is 3: is not known here');
    expect(body.errors).toHaveLength(4);
    expect((await mesh.operator.get('/v1/jobs?colour=red')).body.detail).toBe('query parameter "colour" is "red": is not known here');
  });

  test('shows 80 characters of a value that is not right', async () => {
    const shown = await detailOf('/v1/jobs', { type: 'fetch', symbol: 'x '.repeat(100) });
    expect(shown).toContain(`is "${'x '.repeat(39)}x…: `);
    expect(await detailOf('/v1/jobs', { type: 'fetch', symbol: `${'x '.repeat(38)}yz` })).toContain(`is "${'x '.repeat(38)}yz": `);
  });

  test('of a request without its body says so, and names no field', async () => {
    expect(await mesh.operator.post('/v1/events/login')).toMatchObject({ status: 400, body: { errors: [{ in: 'body', field: '' }] } });
    expect(await detailOf('/v1/events/login', undefined)).toMatch(/^body [^"]/);
  });

  test('names a header that is not right as one, and shows it', async () => {
    const { status, body } = await mesh.operator.get('/v1/events', { 'last-event-id': 'x'.repeat(101) });
    expect([status, body.errors]).toEqual([
      400,
      [{ in: 'header', field: 'last-event-id', message: expect.stringMatching(/^is "x{79}…: /) }],
    ]);
  });

  test('of a path that is not there needs no key', async () => {
    expect(await mesh.anonymous.get('/v1/weather')).toMatchObject({ status: 404, body: { code: 'route.unknown' } });
  });

  test.each<[unknown, number]>([
    [new InputError('job.unknown', ''), 404],
    [new InputError('job.live', ''), 409],
    [new InputError('job.bad', ''), 400],
    [new TransientError('source.busy', ''), 503],
    [new PermanentError('callback.private_address', ''), 422],
    // RFC 9110, 15.5: the faults of the caller are 400 to 499.
    [{ statusCode: 400 }, 400],
    [{ statusCode: 499 }, 499],
    [{ statusCode: 399 }, 500],
    [{ statusCode: 500 }, 500],
    [{}, 500],
    [null, 500],
  ])('of %o has the status %d', (error, status) => {
    expect(statusOf(error)).toBe(status);
  });

  test('of the server that has no code of ours is "request.refused", and of a source that wants a pause says for how long', async () => {
    const app = fastify();
    app.setErrorHandler(answerProblem);
    app.get('/teapot', () => {
      throw Object.assign(new Error('I am a teapot'), { statusCode: 418, code: 'FST_TEAPOT' });
    });
    app.get('/busy', () => {
      throw new TransientError('source.busy', 'come again', { retryAfterMs: 2_001 });
    });
    const teapot = await app.inject('/teapot');
    expect([teapot.statusCode, teapot.json().code, teapot.json().detail]).toEqual([418, 'request.refused', 'I am a teapot']);
    const busy = await app.inject('/busy');
    expect([busy.statusCode, busy.headers['retry-after'], busy.headers['cache-control']]).toEqual([503, '3', 'no-store']);
    await app.close();
  });
});

test('a job id may be written in capitals, and is answered as it is kept', async () => {
  const { body } = await mesh.operator.post('/v1/jobs', fetchOf('AAPL'));
  const { id } = body.jobs[0];
  expect((await mesh.operator.get(`/v1/jobs/${id.toUpperCase()}`)).body.id).toBe(id);
  expect((await mesh.operator.post(`/v1/jobs/${id.toUpperCase()}/cancel`)).body.changes[0].id).toBe(id);
});
