import { expect, test } from 'vitest';
import { ago, money, quantity, sharePrice, span } from '../../../services/cli/output/numbers.ts';
import { type Column, clip, fields, plain, table, textWidth } from '../../../services/cli/output/table.ts';

interface Row {
  name: string;
  size: number | null;
  note: string;
}
const rows: Row[] = [
  { name: 'a', size: 1, note: 'short' },
  { name: 'longer', size: 1234, note: 'a note of quite some length that will not fit' },
];
const columns: Column<Row>[] = [
  { title: 'NAME', value: ({ name }) => name },
  { title: 'SIZE', value: ({ size }) => size, align: 'right', optional: 1 },
  { title: 'NOTE', value: ({ note }) => note, flexible: 16, optional: 0 },
];

test('columns are aligned, numbers to the right, and no line ends with blanks', () => {
  expect(table(rows, columns, Number.POSITIVE_INFINITY)).toBe(
    ['NAME    SIZE  NOTE', 'a          1  short', 'longer  1234  a note of quite some length that will not fit', ''].join('\n'),
  );
});

test('without a limit a long text is whole, and does not widen the other lines', () => {
  const long = 'x'.repeat(300);
  const of = (name: string, note: string) => ({ name, size: 7, note });
  const order = [columns[0]!, columns[2]!, columns[1]!];
  expect(table([of('a', 'short'), of('b', long)], order, Number.POSITIVE_INFINITY).split('\n')).toEqual([
    `NAME  NOTE${' '.repeat(38)}SIZE`,
    `a     short${' '.repeat(40)}7`,
    `b     ${long}     7`,
    '',
  ]);
});

test('a flexible column is cut to the width', () => {
  const lines = table(rows, columns, 40).trimEnd().split('\n');
  expect(lines[2]).toBe('longer  1234  a note of quite some leng…');
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(40);
});

test('on a narrow terminal the most dispensable column goes first', () => {
  expect(table(rows, columns, 26)).toMatch(/^NAME +NOTE\n/);
  expect(table(rows, columns, 12)).toBe('NAME\na\nlonger\n');
});

test('an optional column with nothing in it is left out', () => {
  expect(table([{ name: 'a', size: null, note: 'n' }], columns, 80)).toMatch(/^NAME +NOTE\n/);
});

test('text from elsewhere cannot move the cursor or turn the line', () => {
  expect(table([{ name: 'a\u001b[2Jb\nc\u202e', size: 1, note: '' }], columns, 80)).toContain('a\\u001b[2Jb c\\u202e ');
  expect(plain('a\r\n\tb\u009b')).toBe('a b\\u009b');
});

test('wide and combining characters count as what a terminal shows', () => {
  expect(textWidth('株価')).toBe(4);
  expect(textWidth('e\u0301')).toBe(1);
  expect(clip('株価情報', 5)).toBe('株価…');
});

test('names and values stand in two columns, absent values are left out', () => {
  expect(
    fields([
      ['a', 1],
      ['longer', 'x'],
      ['gone', null],
    ]),
  ).toBe('a       1\nlonger  x\n');
});

test.each([
  [0.4, '0 ms'],
  [999, '999 ms'],
  [1_250, '1.2 s'],
  [59_999, '59.9 s'],
  [60_000, '1 min'],
  [7_199_000, '119 min'],
  [7_200_000, '2 h'],
  [172_800_000, '2 d'],
])('%d ms reads %s', (ms, text) => {
  expect(span(ms)).toBe(text);
});

test('a moment that lies ahead is now', () => {
  expect(ago(new Date(2_000), new Date(1_000))).toBe('0 ms ago');
});

test('money has cents and parted thousands, pennies four digits', () => {
  expect([1234567.891, 0.01234, -45.5, 0, null].map(money)).toEqual(['1,234,567.89', '0.01234', '-45.50', '0.00', null]);
});

test('quantities keep their decimals', () => {
  expect([1200, 0.125, -3000.5].map(quantity)).toEqual(['1,200', '0.125', '-3,000.5']);
});

test('a price has eight digits, cents and no exponent', () => {
  expect([1234567.5, 189.5, 1.0842, 5.16e-6, 3.1e-7, 1.2345678e-12, null].map(sharePrice)).toEqual([
    '1,234,567.50',
    '189.50',
    '1.0842',
    '0.00000516',
    '0.00000031',
    '0.0000000000012345678',
    null,
  ]);
});

test('a value of less than a millionth and a tiny quantity have no exponent', () => {
  expect([money(3.1e-7), money(1.23456e-9), quantity(1e-7), quantity(1.5e-12)]).toEqual([
    '0.00000031',
    '0.000000001235',
    '0.0000001',
    '0.0000000000015',
  ]);
});
