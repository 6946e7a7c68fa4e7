/** What `key` shows of stored keys, word by word. */
import { afterEach, describe, expect, test } from 'vitest';
import { ago, overDatabase } from './over-database.ts';

const { db, run, json } = await overDatabase();
afterEach(() => db.run('DELETE FROM api_keys'));

/** Names and values of a list. */
const fieldsOf = (text: string): Record<string, string> =>
  Object.fromEntries([...text.matchAll(/^(\S+(?: \S+)*?) {2,}(.*)$/gm)].map(([, name, value]) => [name, value]));
const cells = (line: string | undefined): string[] => (line ?? '').trim().split(/ {2,}/);

describe('keys', () => {
  test('none says how to make one; a new one is shown once with its secret and the way to end it', async () => {
    expect((await run('key', 'list')).stdout).toBe('no keys; "npx stockmesh key create --name <name> --scope read" makes one\n');
    const { stdout } = await run('key', 'create', '--name', 'dash', '--scope', 'read', '--scope', 'jobs');
    expect(fieldsOf(stdout)).toMatchObject({
      key: expect.stringMatching(/^smk_/),
      scopes: 'read, jobs',
      'webhook secret': expect.stringMatching(/^whsec_/),
    });
    const { id } = fieldsOf(stdout);
    expect(stdout).toContain(`\nIt is shown this once; what is stored does not give it back. "npx stockmesh key revoke ${id}" ends it.\n`);
    expect(await json('key', 'revoke', 'dash')).toEqual({ ok: true, id, name: 'dash' });
  });

  test('have when they were made and used, and whether they are in force', async () => {
    await run('key', 'create', '--name', 'one', '--scope', 'read');
    await run('key', 'create', '--name', 'two', '--scope', 'admin');
    await db.run("UPDATE api_keys SET created_at = ?, last_used_at = ?, revoked_at = ? WHERE name = 'one'", [
      ago(7_300),
      ago(3_700),
      ago(130),
    ]);
    const [head, ...rows] = (await run('key', 'list')).stdout.trimEnd().split('\n').map(cells);
    expect(head).toEqual(['ID', 'NAME', 'SCOPES', 'CREATED', 'USED', 'EXPIRES', 'STATE']);
    expect(rows.map((row) => row.slice(1))).toEqual([
      ['two', 'admin', expect.stringMatching(/s ago$/), 'never', 'never', 'in force'],
      ['one', 'read', '2 h ago', '61 min ago', 'never', 'revoked 2 min ago'],
    ]);
    expect((await json('key', 'list')).keys).toHaveLength(2);
  });
});
