import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { readLines, shownText, warningIn } from '../../../services/cli/mesh/log-lines.ts';

async function linesOf(...chunks: (string | Buffer)[]): Promise<string[]> {
  const lines: string[] = [];
  const stream = Readable.from(chunks.map((chunk) => Buffer.from(chunk as string)));
  const ended = new Promise((resolve) => stream.once('end', resolve));
  readLines(stream, (line) => lines.push(line));
  await ended;
  return lines;
}

test('a line ends at the newline alone', async () => {
  expect(await linesOf('{"userId":"a\u2028b\u2029c\u0085d\re"}\nnext\n')).toEqual(['{"userId":"a\u2028b\u2029c\u0085d\re"}', 'next']);
});

test('a line and a character may come in pieces', async () => {
  const bytes = Buffer.from('één 🚀\nzwei');
  expect(await linesOf(...[...bytes].map((byte) => Buffer.from([byte])))).toEqual(['één 🚀', 'zwei']);
});

test('empty lines are lines, and an end without a newline is one', async () => {
  expect(await linesOf('\n\na')).toEqual(['', '', 'a']);
});

test('bytes that are not UTF-8 are replaced', async () => {
  expect(await linesOf(Buffer.from([0xc3, 0x28, 0xff, 0x0a]))).toEqual(['\ufffd(\ufffd']);
});

test('a line without an end is cut, and the next one is whole', async () => {
  const megabyte = 'x'.repeat(1 << 20);
  const lines = await linesOf(...Array.from({ length: 20 }, () => megabyte), '\nnext\n');
  expect(lines).toHaveLength(2);
  expect(lines[0]!.length).toBeLessThan(2 << 20);
  expect(lines[0]).toMatch(/cut: the line had 20971520 bytes\)$/);
  expect(lines[1]).toBe('next');
});

test.each([
  ['{"level":"warn","msg":"slow"}', 'slow'],
  ['{"level":"error","msg":"away"}', 'away'],
  ['{"level":"info","msg":"fine"}', undefined],
  ['{', '{'],
  ['{"level":"warn"', '{"level":"warn"'],
  ['{"level":"warn","msg":3}', '{"level":"warn","msg":3}'],
  ['{"level":"warn"}', '{"level":"warn"}'],
  ['17', '17'],
  ['null', 'null'],
  ['[1]', '[1]'],
  ['"text"', '"text"'],
  ['', undefined],
  ['    at file.ts:1', '    at file.ts:1'],
])('of the line %j the terminal shows %j', (line, shown) => {
  expect(warningIn(line)).toBe(shown);
});

test('nothing that a line contains moves the cursor or fills the screen', () => {
  expect(shownText(JSON.stringify({ msg: '\x1b[2Jgone\nnew\u2028line' }))).toBe('\\u001b[2Jgone new line');
  expect(shownText('y'.repeat(100_000)).length).toBeLessThan(600);
});

test('a line of exactly the most bytes is whole, one of a byte more is cut', async () => {
  const most = 1 << 20;
  const [whole, cut] = await linesOf(`${'x'.repeat(most)}\n`, `${'y'.repeat(most + 1)}\n`);
  expect(whole).toBe('x'.repeat(most));
  expect(cut).toBe(`${'y'.repeat(most)}… (cut: the line had ${most + 1} bytes)`);
});

test('a text of 500 characters is shown whole, a longer one is cut', () => {
  expect(shownText('y'.repeat(500))).toBe('y'.repeat(500));
  expect(shownText('y'.repeat(501))).toBe(`${'y'.repeat(500)}…`);
});

test.each([
  ['{"level":"fatal","msg":"gone"}', 'gone'],
  ['{"level":"debug","msg":"x"}', undefined],
  ['{"msg":"x"}', undefined],
  ['  ', undefined],
])('of the line %j the terminal shows %j', (line, shown) => {
  expect(warningIn(line)).toBe(shown);
});

test('the bytes after the last newline wait for their end, also over several pieces', async () => {
  expect(await linesOf('a\nb', 'c', '\nd\n', 'e')).toEqual(['a', 'bc', 'd', 'e']);
});
