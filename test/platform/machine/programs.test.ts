import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { findProgram } from '../../../services/platform/machine/programs.ts';

/** Two folders of a PATH. `a` holds one program; `b` holds another one, a file that cannot be run and a folder of such a name. */
function folders(): { a: string; b: string; path: string } {
  const folder = mkdtempSync(join(tmpdir(), 'programs-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const [a, b] = [join(folder, 'a'), join(folder, 'b')] as const;
  for (const one of [a, b]) mkdirSync(one);
  for (const program of [join(a, 'older'), join(b, 'newer')]) {
    writeFileSync(program, '');
    chmodSync(program, 0o755);
  }
  writeFileSync(join(b, 'text'), '', { mode: 0o644 });
  mkdirSync(join(b, 'directory'));
  return { a, b, path: `${a}:${b}` };
}

test('an earlier name wins over an earlier folder', () => {
  const { a, b, path } = folders();
  expect(findProgram(['newer', 'older'], path)).toBe(join(b, 'newer'));
  expect(findProgram(['missing', 'older'], path)).toBe(join(a, 'older'));
});

test.each(['text', 'directory', 'missing'])('what cannot be run is no program: %s', (name) => {
  expect(findProgram([name], folders().path)).toBeUndefined();
});

test('a folder of PATH that depends on where a command is given is passed over', () => {
  const { a } = folders();
  expect(findProgram(['older'], relative(process.cwd(), a))).toBeUndefined();
});
