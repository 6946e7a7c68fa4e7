/** SQL that MariaDB takes and MySQL refuses, which no test beside a MariaDB would notice. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const statements = globSync('services/**/*.ts', { cwd: root })
  .filter((file) => !file.includes('node_modules'))
  .flatMap((file) => (readFileSync(join(root, file), 'utf8').match(/`[^`]*`|'[^'\n]*'|"[^"\n]*"/g) ?? []).map((sql) => ({ file, sql })));

test('a list of JSON that is locked with the rows it is joined to is a derived table: MySQL refuses it otherwise (3569)', () => {
  const locked = statements.filter(({ sql }) => /JSON_TABLE\(/.test(sql) && /FOR UPDATE|LOCK IN SHARE MODE/.test(sql));
  expect(locked.length).toBeGreaterThanOrEqual(2);
  expect(locked.filter(({ sql }) => !/\(SELECT \* FROM JSON_TABLE\(/.test(sql))).toEqual([]);
});

test('no statement uses a function or a clause that one of the two servers lacks', () => {
  const words = /\b(RETURNING\b|MD5\(|SHA1?\(|NEXTVAL\(|seq_\d+_to_|FOR UPDATE OF\b|VALUES ROW\()/;
  expect(statements.filter(({ sql }) => /\b(SELECT|INSERT|UPDATE|DELETE)\b/.test(sql) && words.test(sql))).toEqual([]);
});
