/** Keys in the database and in the memory of a gateway, and what a key of a user may do. */
import { describe, expect, test } from 'vitest';
import { createKey, findKey, keyFinder, listKeys, revokeKey, storeKey } from '../../../services/gateway/auth/keys.ts';
import type { Sql } from '../../../services/platform/database/database.ts';
import { hashOfKey, newApiKey } from '../../../services/platform/machine/api-key.ts';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh();
const at = (time: string): Date => new Date(`2026-03-03T${time}Z`);
const idOf = (key: string): string => hashOfKey(key).subarray(0, 8).toString('hex');

test.each(['', '   ', 'x'.repeat(65)])('a key with the name "%s" is refused', async (name) => {
  await expect(createKey(mesh.db, { name, scopes: ['read'] }, new Date())).rejects.toMatchObject({
    code: 'key.bad_name',
    message: expect.stringContaining('1 to 64 characters'),
  });
});

test('a key without a scope, or with one that does not exist, is refused with what is wrong', async () => {
  const refusal = (scopes: string[]) => createKey(mesh.db, { name: 'x', scopes }, new Date()).catch(({ message }: Error) => message);
  expect(await refusal([])).toMatch(/^a key needs a scope; choose from/);
  expect(await refusal(['read', 'write'])).toMatch(/^there is no scope "write"; choose from/);
  expect((await createKey(mesh.db, { name: 'x'.repeat(64), scopes: ['read'] }, new Date())).key).toMatch(/^smk_/);
});

test('keys are listed with the newest first, each scope once, and a key that is stored again stays as it was', async () => {
  const old = newApiKey();
  await storeKey(mesh.db, old, { name: 'old', scopes: ['read', 'read', 'jobs'] }, at('10:00:00'));
  const { id } = await createKey(mesh.db, { name: 'new', scopes: ['read'] }, at('11:00:00'));
  expect(await storeKey(mesh.db, old, { name: 'again', scopes: ['admin'] }, at('12:00:00'))).toEqual({ id: idOf(old), isNew: false });
  const listed = (await listKeys(mesh.db)).filter((key) => [id, idOf(old)].includes(key.id));
  expect(listed.map(({ name, scopes }) => [name, scopes])).toEqual([
    ['new', ['read']],
    ['old', ['read', 'jobs']],
  ]);
});

test('a key that was revoked has no name any more: the other one of that name is meant', async () => {
  const [first, second] = [
    await createKey(mesh.db, { name: 'pair', scopes: ['read'] }, new Date()),
    await createKey(mesh.db, { name: 'pair', scopes: ['read'] }, new Date()),
  ];
  expect(await revokeKey(mesh.db, first.id, at('10:00:00'))).toMatchObject({ id: first.id, revoked_at: at('10:00:00') });
  expect(await revokeKey(mesh.db, 'pair', at('11:00:00'))).toMatchObject({ id: second.id });
  expect(await findKey(mesh.db, second.key, new Date())).toBeUndefined();
});

/** A table of so many keys in memory; `asked` are the ids that were looked up. */
function tableOf(keys: readonly string[]): { sql: Sql; asked: string[] } {
  const asked: string[] = [];
  const rows = new Map(keys.map((key) => [idOf(key), { id: idOf(key), hash: hashOfKey(key), name: 'x', scopes: '["read"]' }]));
  const sql = {
    rows: async (_: string, [hash]: readonly Buffer[]) => {
      const id = hash!.subarray(0, 8).toString('hex');
      asked.push(id);
      const row = rows.get(id);
      const times = { created_at: at('10:00:00'), last_used_at: at('10:00:00'), expires_at: null, revoked_at: null };
      return row === undefined ? [] : [{ ...row, ...times, old: 0 }];
    },
    run: async () => {
      throw new TypeError('x is not a function');
    },
  };
  return { sql: sql as unknown as Sql, asked };
}

test('a key in use is looked up once, an unknown one each time, and no more than a thousand are remembered', async () => {
  const keys = Array.from({ length: 1_001 }, () => newApiKey());
  const { sql, asked } = tableOf(keys);
  const find = keyFinder(sql, () => at('10:00:01'));
  for (const key of ['smk_unknown', 'smk_unknown', keys[0], keys[0]]) await find(key as string);
  expect(asked).toEqual([idOf('smk_unknown'), idOf('smk_unknown'), idOf(keys[0]!)]);
  for (const key of keys) await find(key);
  const before = asked.length;
  await find(keys[0]!);
  expect(asked.length).toBe(before + 1);
});

test('an error that is no outage is not taken for one: the key that is used is not answered', async () => {
  const key = newApiKey();
  await expect(findKey(tableOf([key]).sql, key, at('10:01:00'))).rejects.toThrow('x is not a function');
});

describe('a key of a user', () => {
  const ask = async (symbol: string, user?: string): Promise<string> => {
    const body = { type: 'fetch', symbol, analyse: false, ...(user === undefined ? {} : { user }) };
    return (await mesh.operator.post('/v1/jobs', body)).body.jobs[0].id;
  };

  test('cancels and starts again the jobs that this user waits for, and no others', async () => {
    const alice = await mesh.caller('user:alice');
    const own = await ask('OWN', 'alice');
    const nobodys = await ask('NOBODYS');
    for (const verb of ['cancel', 'retry']) {
      expect((await alice.post(`/v1/jobs/${own}/${verb}`)).status).toBe(200);
      if (verb === 'retry') await mesh.operator.post(`/v1/jobs/${nobodys}/cancel`);
      expect(await alice.post(`/v1/jobs/${nobodys}/${verb}`)).toMatchObject({ status: 404, body: { code: 'job.unknown' } });
    }
  });

  test('may not ask for another user, nor for what another user holds, and is told what that takes', async () => {
    const alice = await mesh.caller('user:alice');
    await mesh.operator.put('/v1/users/bob/portfolio', { positions: [{ symbol: 'AAPL' }] });
    for (const body of [
      { type: 'fetch', symbol: 'AAPL', user: 'bob' },
      { type: 'batch_fetch', portfolio: 'bob', user: 'alice' },
    ])
      expect(await alice.post('/v1/jobs', body)).toMatchObject({
        status: 403,
        body: { detail: 'key "user:alice" has the scopes user:alice; this needs "jobs" or "user:bob"' },
      });
  });

  test('of two users names one of them', async () => {
    const both = await mesh.caller('user:alice', 'user:bob');
    const id = await ask('BOBS', 'bob');
    expect(await both.get('/v1/jobs')).toMatchObject({ status: 400, body: { code: 'request.which_user' } });
    expect((await both.get('/v1/jobs?user=bob')).body.jobs).toMatchObject([{ id }]);
    expect((await both.get(`/v1/jobs/${id}`)).status).toBe(200);
  });
});
