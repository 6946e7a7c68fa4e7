/** Where what is sent to the server is cut, to the byte. */
import mysql from 'mysql2';
import { expect, test } from 'vitest';
import { cutRows, type Format, fits, joinWithin, mostBytes, refuseTooLarge } from '../../../services/platform/database/packets.ts';

const format: Format = (sql, params) => mysql.format(sql, params as Parameters<typeof mysql.format>[1]);

test('a text fits by its bytes in UTF-8, not by its characters', () => {
  expect([fits('abc', 3), fits('abcd', 3), fits('né', 3), fits('éé', 3)]).toEqual([true, false, true, false]);
});

test('statements are joined up to the limit, their separators included, and one that is larger stands alone', () => {
  const texts = (limit: number) => joinWithin(['aaa', 'bbb', 'cccccccccccc', 'd'], limit, ';\n').map(({ text }) => text);
  expect(texts(10)).toEqual(['aaa;\nbbb', 'cccccccccccc', 'd']);
  expect(texts(9)).toEqual(['aaa', 'bbb', 'cccccccccccc', 'd']);
  expect(joinWithin(['é', 'b'], 100, ';\n')).toEqual([{ text: 'é;\nb', count: 2, bytes: 7 }]);
});

test('an INSERT of many rows is cut between them until each piece fits, and no row is lost', () => {
  const rows = [1, 2, 3, 4, 5].map((id) => [id, 'x'.repeat(10)]);
  const sql = 'INSERT INTO t (id, text) VALUES ?';
  const pieces = cutRows(format, sql, [rows], 75);
  expect(pieces.every((piece) => piece.length <= 75)).toBe(true);
  expect(pieces.flatMap((piece) => [...piece.matchAll(/\((\d), /g)].map(([, id]) => Number(id)))).toEqual([1, 2, 3, 4, 5]);
  expect(cutRows(format, sql, [rows], 1_000)).toEqual([format(sql, [rows])]);
});

test.each<[string, string, unknown[] | undefined]>([
  ['one row', 'INSERT INTO t (id, text) VALUES ?', [[[1, 'x'.repeat(100)]]]],
  [
    'a list that is no rows of an INSERT',
    'SELECT 1 FROM t WHERE (id, text) IN (?)',
    [
      [
        [1, 'x'.repeat(50)],
        [2, 'x'.repeat(50)],
      ],
    ],
  ],
  ['a list of values', 'SELECT 1 FROM t WHERE id IN (?)', [Array.from({ length: 50 }, (_, id) => id)]],
  ['a statement without parameters', `SELECT '${'x'.repeat(100)}'`, undefined],
])('%s is not cut', (_, sql, params) => {
  expect(cutRows(format, sql, params, 60)).toEqual([format(sql, params)]);
});

test('a packet has room for its statements and its header, and is never joined beyond 16 MB', () => {
  const MB = 1024 * 1024;
  expect([mostBytes(MB), mostBytes(64 * MB)]).toEqual([MB - 1024, 16 * MB - 1024]);
  refuseTooLarge('x'.repeat(MB - 1024), MB);
  expect(() => refuseTooLarge('x'.repeat(MB - 1023), MB)).toThrow(
    expect.objectContaining({
      code: 'database.too_large',
      message: expect.stringContaining("1048577 bytes is not sent, since the database's max_allowed_packet is 1048576"),
    }),
  );
});
