import { expect, test } from 'vitest';
import { fromJson, toJson } from '../../../services/platform/database/database.ts';
import { databaseOfFile } from '../../support/database.ts';
import fc from '../../support/fast-check.ts';

const { db } = await databaseOfFile();
const echo = async (value: unknown): Promise<unknown> => {
  const [row] = await db.rows<{ json: unknown }>('SELECT ? AS json, ? AS other', [toJson(value), 'after']);
  return fromJson(row?.json);
};

test.each([
  [`it's`],
  ['a "quoted" word'],
  ['back\\slash'],
  ['\\'],
  [`\\'`],
  [`'; DROP TABLE jobs; --`],
  ['a\nline\tand\0nothing'],
  ['ünïcödé 你好 🚀 \u2028'],
  ['a ? that is no parameter'],
])('%j comes back as it was', async (text) => {
  expect(await echo({ [text]: [text, 1.5, null, true] })).toEqual({ [text]: [text, 1.5, null, true] });
});

test('whatever JSON can hold comes back as it was', async () => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue({ stringUnit: 'binary' }), async (value) => {
      // JSON itself knows no -0 and no lone surrogates.
      const plain = JSON.parse(JSON.stringify(value).replaceAll(/\\ud[89a-f][0-9a-f]{2}/gi, ''));
      expect(await echo({ plain })).toEqual({ plain });
    }),
    { numRuns: 200 },
  );
});
