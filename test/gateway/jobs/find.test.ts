import { beforeEach, expect, test } from 'vitest';
import { type Caller, gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh();
const found = async (q: string, caller: Caller = mesh.operator) => (await caller.get(`/v1/find?q=${encodeURIComponent(q)}`)).body;

beforeEach(async () => {
  for (const user of ['alice', 'alan', 'bob'])
    await mesh.operator.put(`/v1/users/${user}/portfolio`, {
      positions: [
        { symbol: 'AAPL', quantity: 1 },
        { symbol: 'A_B', quantity: 0 },
      ],
    });
});

test('symbols and users are found by their beginning, without regard to signs that SQL knows', async () => {
  expect(await found('a')).toEqual({ symbols: ['AAPL', 'A_B'], users: ['alan', 'alice'], jobs: [] });
  expect(await found('a_')).toMatchObject({ symbols: ['A_B'], users: [] });
  expect(await found('%')).toEqual({ symbols: [], users: [], jobs: [] });
});

test('a job is found by its id or the beginning of it', async () => {
  const { id } = (await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'MSFT', analyse: false })).body.jobs[0];
  const job = { id, type: 'fetch', symbol: 'MSFT', state: 'ready' };
  expect((await found(id)).jobs).toEqual([job]);
  expect((await found(id.slice(0, 18).toUpperCase())).jobs).toEqual([job]);
  expect((await found(id.slice(0, 6))).jobs).toEqual([]);
});

test('a key of a user finds that user, the own jobs, and every symbol', async () => {
  const alice = await mesh.caller('user:alice');
  const { id } = (await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'MSFT', user: 'bob', analyse: false })).body.jobs[0];
  expect(await found('a', alice)).toEqual({ symbols: ['AAPL', 'A_B'], users: ['alice'], jobs: [] });
  expect(await found('bob', alice)).toMatchObject({ users: [] });
  expect((await found(id, alice)).jobs).toEqual([]);
});

test('each type that can be asked for has a schema that its own example fulfils', async () => {
  const { types } = (await mesh.operator.get('/v1/job-types')).body;
  const bodyOf = (name: string) => types.find((one: { name: string }) => one.name === name).body;
  expect(types.map(({ name }: { name: string }) => name)).toEqual(Object.keys(mesh.ledger.types));
  expect(bodyOf('fetch')).toMatchObject({
    ...{ type: 'object', additionalProperties: false, required: ['type', 'symbol'] },
    properties: { type: { const: 'fetch' }, symbol: { type: 'string' }, priority: { type: 'integer', minimum: 1, maximum: 10 } },
  });
  expect(bodyOf('rank').properties.mode.enum).toEqual(['monitor', 'entry', 'exit']);
});
