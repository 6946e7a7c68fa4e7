import { expect, test } from 'vitest';
import { gendered, tooFull, tooLong, tooLongFunctions } from './house.ts';

const lines = (count: number): string => '// a line\n'.repeat(count);

test('a function of 80 lines may stand, one of 81 is named with its place and its length', () => {
  const code = `// ü\nfunction short() {\n${lines(78)}}\nconst long = () => {\n${lines(79)}};\n`;
  expect(tooLongFunctions('a.ts', code)).toEqual(['a.ts:82: long: 81 lines, at most 80']);
});

test('a method that is too long is named', () => {
  expect(tooLongFunctions('a.ts', `const one = {\n  run() {\n${lines(79)}  },\n};\n`)).toEqual(['a.ts:2: run: 81 lines, at most 80']);
});

test('a file of 400 lines may stand, one of 401 is named', () => {
  expect([...tooLong('a.ts', lines(400)), ...tooLong('b.ts', lines(401))]).toEqual(['b.ts: 401 lines, at most 400']);
});

test('a folder of 15 files may stand, one of 16 is named, and its subfolders do not count', () => {
  const files = (folder: string, count: number): string[] => Array.from({ length: count }, (_, index) => `${folder}/${index}.ts`);
  expect(tooFull([...files('a', 15), ...files('a/b', 2), ...files('c', 16)])).toEqual(['c: 16 files, at most 15']);
});

test('a line that calls a person "he" is named, "the" and "other" are not', () => {
  expect(gendered('a.ts', '// the other user\n// His jobs\n')).toEqual([
    'a.ts:2: "His": name the person (the user, the caller, the operator)',
  ]);
});
