/** Configuration files as editors and people write them: read as they are meant, or refused with file, line, key and the way out. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { load, refusal } from './config-files.ts';

const watchlist = (value: string) => `job_processor:\n  ranking:\n    watchlist: ${value}\n`;

function bomb(levels: number): string {
  const lines = Array.from({ length: levels }, (_, level) => {
    const item = level === 0 ? 'AAPL' : `*a${level - 1}`;
    return `      - &a${level} [${Array(9).fill(item).join(', ')}]`;
  });
  return `job_processor:\n  ranking:\n    watchlist:\n${lines.join('\n')}\n`;
}

describe('aliases', () => {
  test.each([
    ['a list', watchlist('&syms [MSFT, *syms]'), '1.yaml:3: job_processor.ranking.watchlist.1: the alias *syms'],
    [
      'a map of levels',
      'job_processor:\n  logging:\n    component_logs: &c\n      portfolio: *c\n',
      '1.yaml:4: job_processor.logging.component_logs.portfolio: the alias *c',
    ],
    ['a section', 'job_processor: &root\n  ranking: *root\n', '1.yaml:2: job_processor.ranking: the alias *root'],
    [
      'a section that there is none of',
      'job_processor:\n  nonsense: &n\n    again: *n\n',
      '1.yaml:3: job_processor.nonsense.again: the alias *n',
    ],
    ['a merge of itself', 'job_processor: &j\n  <<: *j\n', '1.yaml:2: job_processor.<<: the alias *j'],
  ])('of %s that contains itself is the one problem', (_, yaml, where) => {
    expect(refusal(yaml)).toEqual({
      code: 'config.alias_cycle',
      lines: [`${where} stands inside the value that it names, so it would contain itself; write the value out`],
    });
  });

  // Values behind the aliases of a line: 9 × 10, 9 × 91, 9 × 820 and then 9 × 7,381 one after the other.
  test.each([5, 6, 7, 8, 9, 60])('%i levels of nine each are refused where they stand for more than 10,000 values', (levels) => {
    expect(refusal(bomb(levels))).toEqual({
      code: 'config.too_many_aliases',
      lines: [
        '1.yaml:8: job_processor.ranking.watchlist.4.0: the alias *a3 is one too many: the aliases up to it stand for 15670 values, and at most 10000 are read; write out what is needed',
      ],
    });
  });

  test('within the limit are read', () => {
    expect(refusal(bomb(4)).lines[0]).toMatch(/^1\.yaml:4: ranking\.watchlist\.0: must be text/);
    const { config } = load(
      'x-base: &w { poll_interval: 3 }\njob_processor:\n  worker: *w\n'.replace('x-base: &w', 'demo: { worker: &w').replace('3 }', '3 } }'),
    );
    expect(config.worker.poll_interval).toBe(3);
  });

  test('that nest deeper than the file itself may are refused', () => {
    const deep = (inner: string) => `${'['.repeat(60)}${inner}${']'.repeat(60)}`;
    expect(
      refusal(`job_processor:\n  ranking:\n    watchlist: ${deep('A')}\n    watchlist_modes: [&a ${deep('B')}, ${deep('*a')}]\n`),
    ).toMatchObject({
      code: 'config.too_deep',
      lines: [expect.stringContaining('1.yaml:4: ')],
    });
  });

  test('lists in lists are one problem, and too many of them another', () => {
    expect(refusal(watchlist(`${'['.repeat(90)}AAPL${']'.repeat(90)}`)).lines).toEqual([
      expect.stringMatching(/^1\.yaml:3: ranking\.watchlist\.0: must be text, got \[+…$/),
    ]);
    expect(refusal(watchlist(`${'['.repeat(101)}AAPL${']'.repeat(101)}`)).lines).toEqual([
      expect.stringMatching(/^1\.yaml:3: not valid YAML: nesting/),
    ]);
  });
});

test.each([': x', '~: x', '0x10: x', 'TRUE: x'])('an unknown key that YAML turns into another text, %s, is named with a line', (yaml) => {
  expect(refusal(`${yaml}\n`)).toEqual({ code: 'config.unknown_key', lines: [expect.stringMatching(/^1\.yaml:1: unknown key "/)] });
});

describe('a text that YAML turns into something else is to be put in quotes', () => {
  test.each([
    ['TRUE', 'true'],
    ['false', 'false'],
    ['700', 'the number 700'],
    ['000858', 'the number 858'],
    ['2E3', 'the number 2000'],
    ['1E3', 'the number 1000'],
    ['0x1F', 'the number 31'],
    ['0o17', 'the number 15'],
    ['1.10', 'the number 1.1'],
    ['.inf', 'the number Infinity'],
    ['12345678901234567890', 'the number 12345678901234567000'],
    ['~', 'null'],
    ['null', 'null'],
  ])('%s', (written, read) => {
    expect(refusal(watchlist(`[AAPL, ${written}]`))).toEqual({
      code: 'config.wrong_type',
      lines: [`1.yaml:3: ranking.watchlist.1: must be text, got ${written}, which YAML reads as ${read}; put it in quotes: "${written}"`],
    });
  });

  test('all of a list, and those that stay text are none', () => {
    expect(refusal(watchlist('[TRUE, OFF, 700, 000858, 2E3]')).lines.map((line) => /: ("\w+")$/.exec(line)?.[1])).toEqual([
      '"TRUE"',
      '"700"',
      '"000858"',
      '"2E3"',
    ]);
  });

  test('of a worker, a password and a prefix; the password is not shown', () => {
    const yaml =
      'job_processor:\n  worker:\n    worker_id: 007\n    name: 1E3\n  database:\n    password: 0123\n  queue:\n    mqtt: { client_id_prefix: 42 }\n';
    expect(refusal(yaml).lines).toEqual([
      '1.yaml:3: worker.worker_id: must be text, got 007, which YAML reads as the number 7; put it in quotes: "007"; the default is null',
      '1.yaml:4: worker.name: must be text, got 1E3, which YAML reads as the number 1000; put it in quotes: "1E3"; the default is "stockmesh worker"',
      '1.yaml:6: database.password: must be text, got •••, which YAML does not read as text; put it in quotes; the default is •••',
      '1.yaml:8: queue.mqtt.client_id_prefix: must be text, got 42, which YAML reads as the number 42; put it in quotes: "42"; the default is "stockmesh"',
    ]);
  });

  test('behind an alias too', () => {
    expect(refusal('demo: { worker: { worker_id: &n 007 } }\njob_processor:\n  worker: { name: *n }\n').lines).toEqual([
      expect.stringContaining('1.yaml:3: worker.name: must be text, got 007, which YAML reads as the number 7; put it in quotes: "007"'),
    ]);
  });

  test.each(['yes', 'NO', '12:30', '2026-11-27', '1_000', '"TRUE"', "'000858'"])('%s is text as it stands', (written) => {
    expect(load(`job_processor:\n  worker:\n    name: ${written}\n`).config.worker.name).toBe(written.replace(/^["']|["']$/g, ''));
  });

  test('from an option or a variable it is text already', () => {
    const yaml = `job_processor:\n  worker:\n    name: \${NAME}\n    capabilities: ["\${NAME}"]\n`;
    const { config } = load(yaml, { env: { NAME: '1E3' }, overrides: { 'worker.worker_id': { value: '007', option: '--set' } } });
    expect(config.worker).toMatchObject({ name: '1E3', capabilities: ['1E3'], worker_id: '007' });
  });
});

describe('the bytes of a file', () => {
  const text = 'job_processor:\n  worker:\n    name: café\n';

  function nameIn(bytes: Buffer): string {
    const folder = mkdtempSync(join(tmpdir(), 'config-bytes-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, '1.yaml');
    writeFileSync(file, bytes);
    return load('', { files: [file] }).config.worker.name;
  }

  test.each<[string, Buffer]>([
    ['UTF-8 with its mark', Buffer.from(`\ufeff${text}`)],
    ['UTF-8 with its mark and line ends of Windows', Buffer.from(`\ufeff${text.replaceAll('\n', '\r\n')}`)],
    ['line ends of an old Mac', Buffer.from(text.replaceAll('\n', '\r'))],
    ['UTF-16 little-endian with its mark', Buffer.from(`\ufeff${text}`, 'utf16le')],
    ['UTF-16 big-endian with its mark', Buffer.from(`\ufeff${text}`, 'utf16le').swap16()],
  ])('%s are read', (_, bytes) => {
    expect(nameIn(bytes)).toBe('café');
  });

  test.each<[string, Buffer, string]>([
    ['Latin-1', Buffer.from(text, 'latin1'), ':3: byte 39 is 0xE9, which is not UTF-8 there; save the file as UTF-8'],
    ['NUL', Buffer.from('job_processor: {}\n\0'), ':2: byte 19 is NUL, which is no text'],
    ['UTF-16 without its mark', Buffer.from(text, 'utf16le'), ':1: byte 2 is NUL, which is no text'],
  ])('%s are refused with the place', (_, bytes, message) => {
    expect(() => nameIn(bytes)).toThrow(message);
  });

  test('lines count alike with all line ends', () => {
    for (const end of ['\n', '\r\n', '\r'])
      expect(refusal('job_processor:\n  worker:\n    pol_interval: 1\n'.replaceAll('\n', end)).lines[0]).toMatch(/^1\.yaml:3: /);
  });
});

describe('a file that is none', () => {
  const at = (file: string): string => {
    try {
      load('', { files: [file] });
    } catch (error) {
      return (error as Error).message;
    }
    throw new Error('it was accepted');
  };

  test('is a folder', () => {
    expect(at(tmpdir())).toContain('cannot be read (it is a folder); check --config and STOCKMESH_CONFIG');
  });

  test('never ends', () => {
    expect(at('/dev/zero')).toBe(
      '/dev/zero: is larger than 1048576 bytes, so it is hardly a configuration file; check --config and STOCKMESH_CONFIG',
    );
  });

  test('has more faults than a person reads: fifty are named, the others counted', () => {
    const keys = Array.from({ length: 20_000 }, (_, index) => `  key${index}: 1`);
    const { lines } = refusal(`job_processor:\n${keys.join('\n')}\n`);
    expect(lines).toHaveLength(51);
    expect(lines.at(-1)).toBe('and 19950 more');
  });

  test('has a key of half a megabyte: it is cut', () => {
    expect(
      refusal(`job_processor:\n  ${'k'.repeat(1_000)}: 1\n  ? ${'k'.repeat(500_000)}\n  : 1\n`).lines.map((line) => line.length < 500),
    ).toEqual([true, true]);
  });
});

test('a pipe is read', () => {
  const folder = mkdtempSync(join(tmpdir(), 'config-pipe-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const pipe = join(folder, 'pipe');
  execFileSync('sh', ['-c', 'mkfifo "$0"; printf "job_processor: { worker: { name: piped } }" > "$0" &', pipe], { stdio: 'ignore' });
  expect(load('', { files: [pipe] }).config.worker.name).toBe('piped');
});

describe('names', () => {
  test.each([
    ['worker.name', '"box\\u202e"', 'U+202E'],
    ['worker.worker_id', '"a\\u200bb"', 'U+200B'],
    ['worker.name', '"a\\eb"', 'U+001B'],
  ])('%s: %s is refused: a person could not tell it from others', (path, value, code) => {
    const [section, key] = path.split('.');
    expect(refusal(`job_processor:\n  ${section}:\n    ${key}: ${value}\n`).lines[0]).toContain(
      `1.yaml:3: ${path}: has the character ${code}, which cannot be seen; leave it out, got `,
    );
  });

  // Node reads each byte of the command line and of the environment that is not UTF-8 as U+FFFD.
  test('that were not UTF-8 on the command line or in the environment are refused', () => {
    expect(refusal('', { overrides: { 'worker.name': { value: 'caf\ufffd', option: '--set worker.name' } } }).lines[0]).toBe(
      'option --set worker.name: worker.name: the value holds bytes that are not UTF-8; write it in UTF-8',
    );
    expect(refusal(`job_processor:\n  database:\n    password: \${SECRET}\n`, { env: { SECRET: 'caf\ufffd' } }).lines[0]).toBe(
      '1.yaml:3: database.password: variable SECRET holds bytes that are not UTF-8; set it in UTF-8',
    );
  });
});
