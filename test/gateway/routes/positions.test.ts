import { expect, test } from 'vitest';
import { gatewayMesh } from '../mesh.ts';
import { withoutRankings } from './ranking-rows.ts';

const mesh = gatewayMesh();
withoutRankings(mesh);
const path = '/v1/users/alice/positions';
const CALL = 'AAPL450317C00200000';
const plain = { contract: CALL, quantity: 1, entry_price: 4.5 };
const put = (...positions: object[]) => mesh.operator.put(path, { positions });
const contracts = async (of = path) => (await mesh.operator.get(of)).body.positions.map(({ contract }: { contract: string }) => contract);
const remove = async (position: string, key = mesh.operator.key) =>
  fetch(`${mesh.gateway.url}${position}`, { method: 'DELETE', headers: { authorization: `Bearer ${key}` } });

test('positions are replaced as a whole and told in their order, with all that was given', async () => {
  await put({ ...plain, contract: 'IBM450317P00100000' });
  const full = { entry_iv: 0.3, entry_spot: 195.5, target: 220, stop: 0.4, opened_at: '2026-01-05T15:00:00.000Z' };
  const { status, body } = await put({ ...plain, ...full }, { ...plain, contract: 'AAPL  450317P00190000', quantity: 0.5 });
  expect(status).toBe(200);
  const none = { entry_iv: null, entry_spot: null, target: null, stop: null, opened_at: expect.stringMatching(/Z$/) };
  const unquoted = { mid: null, quoted_at: null, simulated: false, value: null, profit: null, profit_pct: null };
  expect(body).toEqual({
    user: 'alice',
    positions: [
      { id: expect.stringMatching(/^\d+$/), ...plain, ...full, ...unquoted },
      { id: expect.stringMatching(/^\d+$/), ...plain, ...none, ...unquoted, contract: 'AAPL450317P00190000', quantity: 0.5 },
    ],
  });
  expect((await mesh.operator.get(path)).body).toEqual(body);
});

test('one contract may be held twice, bought at different prices', async () => {
  await put(plain, { ...plain, entry_price: 6 });
  expect(await contracts()).toEqual([CALL, CALL]);
});

test('a user without positions has none, and an empty list takes all away', async () => {
  expect((await mesh.operator.get(path)).body).toEqual({ user: 'alice', positions: [] });
  await put(plain);
  expect((await put()).body.positions).toEqual([]);
  expect(await contracts()).toEqual([]);
});

test('one position of a user is removed, and by that user alone', async () => {
  const [first] = (await put(plain, { ...plain, contract: 'AAPL450317P00190000' })).body.positions;
  expect((await remove(`/v1/users/bob/positions/${first.id}`)).status).toBe(404);
  const removed = await remove(`${path}/${first.id}`);
  expect([removed.status, await removed.json()]).toEqual([200, { user: 'alice', removed: first.id }]);
  expect(await contracts()).toEqual(['AAPL450317P00190000']);
  const again = await remove(`${path}/${first.id}`);
  expect([again.status, await again.json()]).toMatchObject([404, { code: 'position.unknown' }]);
  expect((await remove(`${path}/first`)).status).toBe(400);
});

test.each([
  ['a contract that is none', { ...plain, contract: 'AAPL' }, 'contract'],
  ['no quantity', { contract: CALL, entry_price: 4.5 }, 'quantity'],
  ['a quantity of 0', { ...plain, quantity: 0 }, 'quantity'],
  ['a negative price', { ...plain, entry_price: -1 }, 'entry_price'],
  ['a stop in percent', { ...plain, stop: 50 }, 'stop'],
  ['a day that is no moment', { ...plain, opened_at: 'yesterday' }, 'opened_at'],
  ['an unknown field', { ...plain, colour: 'red' }, 'colour'],
])('%s is 400 and named, and what was there stays', async (_, bad, field) => {
  await put(plain);
  expect(await put(plain, bad)).toMatchObject({ status: 400, body: { errors: [{ in: 'body', field: `positions.1.${field}` }] } });
  expect(await contracts()).toEqual([CALL]);
});

test('a contract that has expired is refused, unless it is held already', async () => {
  const expired = { ...plain, contract: 'AAPL140606C00100000' };
  await put(plain);
  expect(await put(plain, expired)).toMatchObject({
    status: 400,
    body: { code: 'position.expired', detail: expect.stringMatching('AAPL140606C00100000 expired on 2014-06-06') },
  });
  expect(await contracts()).toEqual([CALL]);
  await mesh.db.run('UPDATE option_positions SET contract = ?', [expired.contract]);
  expect((await put(expired, plain)).status).toBe(200);
  expect(await contracts()).toEqual([expired.contract, CALL]);
});

test('users see and change their own positions, not those of others', async () => {
  const alice = await mesh.caller('user:alice');
  const reader = await mesh.caller('read');
  const { positions } = (await alice.put(path, { positions: [plain] })).body;
  expect((await alice.get(path)).body.positions).toEqual(positions);
  for (const answer of [
    await alice.get('/v1/users/bob/positions'),
    await alice.put('/v1/users/bob/positions', { positions: [] }),
    await reader.put(path, { positions: [] }),
    await remove(`${path}/${positions[0].id}`, reader.key),
  ])
    expect(answer.status).toBe(403);
  expect((await reader.get(path)).body.positions).toEqual(positions);
  expect((await mesh.anonymous.get(path)).status).toBe(401);
  expect((await remove(`${path}/${positions[0].id}`, alice.key)).status).toBe(200);
});
