/** What the help says of each command, and which values its options take. */
import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { commandLine } from '../../services/cli/program.ts';
import { stockmesh } from './command-line.ts';

const program = commandLine(() => {});
const commandOf = (path: string): Command =>
  path.split(' ').reduce((within, name) => within.commands.find((one) => one.name() === name) as Command, program);
const optionOf = (path: string, flag: string) => commandOf(path).options.find(({ long }) => long === flag)!;

test('the commands are listed by what they are for, those of an earlier name are not', async () => {
  const { stdout } = await stockmesh(['--help']);
  const groups = [...stdout.matchAll(/^([A-Z][\w ]*):\n((?: {2}.*\n)+)/gm)].map(([, title, lines]) => [
    title,
    [...lines!.matchAll(/^ {2}([a-z]+)/gm)].map(([, name]) => name),
  ]);
  expect(Object.fromEntries(groups)).toEqual({
    Options: [],
    Run: ['up', 'demo', 'service'],
    'Request jobs': ['login', 'fetch', 'backfill', 'rank', 'research', 'opinion'],
    Jobs: ['jobs', 'job', 'cancel', 'retry', 'redrive'],
    'Show data': ['portfolio', 'symbol', 'bars', 'indicators', 'signals', 'ranks', 'position', 'stats', 'top'],
    'Historical data': ['history'],
    'Weekly picks': ['picks', 'spend'],
    Operate: [
      'migrate',
      'db',
      'drain',
      'reload',
      'backup',
      'restore',
      'key',
      'dashboard',
      'audit',
      'config',
      'simulate',
      'asyncapi',
      'notify',
    ],
    Commands: ['help'],
  });
  expect(stdout).toContain('Exit codes: 0 done, 1 failed, 2 used wrongly. With --json standard output is one JSON document.');
});

test('the version is that of the package', async () => {
  expect(await stockmesh(['--version'])).toEqual({ code: 0, stdout: `${packageJson.version}\n`, stderr: '' });
});

test('a command without one is wrong use, and the help of a command names its keys', async () => {
  expect((await stockmesh([])).code).toBe(2);
  const { stdout } = await stockmesh(['fetch', '--help']);
  expect(stdout).toMatch(/\nKeys of fetch --json:\n {2}ok {9}true when nothing was refused\n/);
  expect(stdout).toMatch(/\nKeys of fetch --wait --json:\n {2}ok {10}true when all requested jobs are completed\n/);
  expect(stdout.match(/--json +for scripts/g)).toHaveLength(1);
});

describe('an option that is not given has its default', () => {
  test.each<[string, string, unknown]>([
    ['up', '--workers', 1],
    ['demo', '--timeout', 120],
    ['login', '--timeout', 120],
    ['fetch', '--timeout', 120],
    ['jobs', '--limit', 20],
    ['redrive', '--state', 'failed'],
    ['ranks', '--mode', 'monitor'],
    ['ranks', '--limit', 20],
    ['rank', '--mode', ['monitor']],
    ['position add', '--quantity', 1],
    ['migrate down', '--steps', 1],
  ])('%s %s: %j', (path, flag, value) => {
    expect(optionOf(path, flag).defaultValue).toEqual(value);
  });

  test('a name and a scope of a key, and a price of a position, must be given', () => {
    const mandatory = (path: string) => commandOf(path).options.flatMap(({ mandatory: must, long }) => (must ? [long] : []));
    expect(mandatory('key create')).toEqual(['--name', '--scope']);
    expect(mandatory('position add')).toEqual(['--price']);
    expect(mandatory('backfill')).toEqual(['--from']);
    expect(mandatory('up')).toEqual([]);
  });
});

describe('an option takes its values and no others', () => {
  const parsed = (path: string, flag: string, text: string): unknown => {
    try {
      return optionOf(path, flag).parseArg!(text, undefined as never);
    } catch (error) {
      return (error as Error).message;
    }
  };
  const upTo = (most: number) => `It must be a whole number from 1 to ${most}.`;
  const WHOLE = 'It must be a whole number of at least 1.';
  test.each<[string, string, string, unknown]>([
    ...['0', '-1', '1.5', 'x', ''].map((text): [string, string, string, unknown] => ['jobs', '--limit', text, upTo(1_000)]),
    ['jobs', '--limit', '1', 1],
    ['jobs', '--limit', '1000', 1_000],
    ['jobs', '--limit', '1001', upTo(1_000)],
    ['ranks', '--limit', '1000', 1_000],
    ['ranks', '--limit', '1001', upTo(1_000)],
    ['fetch', '--timeout', '86400', 86_400],
    ['fetch', '--timeout', '86401', upTo(86_400)],
    ['demo', '--timeout', '86400', 86_400],
    ['demo', '--timeout', '86401', upTo(86_400)],
    ['up', '--workers', '0', WHOLE],
    ['up', '--workers', '3', 3],
    ['up', '--mqtt-port', '1883', 1_883],
    ['up', '--http-port', 'x', WHOLE],
    ['migrate down', '--steps', '99', 99],
    ['ranks', '--min-rank', '0', 0],
    ['ranks', '--min-rank', '100', 100],
    ['ranks', '--min-rank', '100.1', 'It must be a number from 0 to 100.'],
    ['ranks', '--min-rank', '-1', 'It must be a number from 0 to 100.'],
    ['ranks', '--min-rank', ' ', 'It must be a number from 0 to 100.'],
    ['ranks', '--expiry', '2026-02-28', '2026-02-28'],
    ['ranks', '--expiry', '2026-02-30', 'Write a day as YYYY-MM-DD.'],
    ['position add', '--price', '-1.5', -1.5],
    ['position add', '--price', ' ', 'It must be a number.'],
    ['position add', '--price', 'Infinity', 'It must be a number.'],
    ['position add', '--price', 'x', 'It must be a number.'],
    ['rank', '--mode', 'exit', ['exit']],
    ['rank', '--mode', 'both', 'Allowed choices are monitor, entry, exit.'],
  ])('%s %s %j: %j', (path, flag, text, value) => {
    expect(parsed(path, flag, text)).toEqual(value);
  });

  test('the first mode that is given replaces the default, the next are added', () => {
    const option = optionOf('rank', '--mode');
    const first = option.parseArg!('exit', option.defaultValue);
    expect([first, option.parseArg!('entry', first)]).toEqual([['exit'], ['exit', 'entry']]);
  });

  test('files, keys and scopes are collected in their order', () => {
    for (const option of [
      optionOf('key create', '--scope'),
      ...['--config', '--set'].map((flag) => program.options.find(({ long }) => long === flag)!),
    ]) {
      const first = option.parseArg!('a', undefined as never);
      expect(option.parseArg!('b', first)).toEqual(['a', 'b']);
    }
  });
});
