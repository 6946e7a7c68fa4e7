import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { hintsFor } from '../../../services/cli/mesh/hints.ts';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { shellWord } from '../../../services/platform/text/shell-word.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url)).replace(/\/$/, '');
const { config } = loadConfig({ env: {}, environment: 'demo' });
const hints = (dataFolder: string) =>
  hintsFor({ dataFolder, config, log: '/var/log/stockmesh.log', link: 'http://127.0.0.1:8787/ui/#code=smc_x' }).join('\n');
const command = (title: string, text: string): string => new RegExp(`^ +${title} +(.*)$`, 'm').exec(text)?.[1] ?? '';

test.each(['plain', 'two words', "o'brien", '$HOME', 'a"b`c', '; exit 1', ''])('a shell reads %j as one word', (text) => {
  expect(execFileSync('sh', ['-c', `printf %s ${shellWord(text)}`], { encoding: 'utf8' })).toBe(text);
});

test('a hint works over a data folder with spaces and quotes in its path', () => {
  const folder = join(mkdtempSync(join(tmpdir(), 'stockmesh-hints-')), "o'brien and co");
  onTestFinished(() => rmSync(join(folder, '..'), { recursive: true }));
  mkdirSync(folder);
  writeFileSync(join(folder, 'gateway-operator.key'), 'the-key\n');
  const curl = command('over HTTP', hints(folder)).replace(/^curl/, 'printf "%s %s %s"');
  expect(execFileSync('sh', ['-c', curl], { encoding: 'utf8' })).toContain('Authorization: Bearer the-key');
  const login = command('sign a user in', hints(folder)).replace('npx stockmesh', 'printf "%s|"');
  expect(execFileSync('sh', ['-c', login], { encoding: 'utf8' })).toBe(`--data|${folder}|login|alice|--wait|`);
});

test('the commands of npx come with the folder in which npx finds them', () => {
  expect(command('in a terminal in', hints(join(ROOT, 'data')))).toBe(shellWord(ROOT));
  expect(command('sign a user in', hints(join(ROOT, 'data')))).toBe('npx stockmesh login alice --wait');
});
