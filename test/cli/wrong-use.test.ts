import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Ran, stockmesh } from './command-line.ts';

let empty: string;
beforeAll(() => {
  empty = mkdtempSync(join(tmpdir(), 'stockmesh-nothing-'));
});
afterAll(() => rmSync(empty, { recursive: true }));

const refused = (args: readonly string[]): Promise<Ran> => stockmesh([...args, '--data', empty]);

test.each([
  [['jobs', '--stat', 'ready'], "unknown option '--stat' \\(Did you mean --state\\?\\)"],
  [['jobs', '--state', 'gone'], "argument 'gone' is invalid"],
  [['jobs', '--limit', '0'], 'whole number from 1 to 1000'],
  [['jobs', 'AAPL'], 'too many arguments'],
  [['job'], "missing required argument 'id'"],
  [['job', 'not-an-id'], 'is not a job id'],
  [['cancel', '42'], 'is not a job id'],
  [['retry', '01932c07-5f2a-7000-8a3b-0123456789abcdef'], 'is not a job id'],
  [['redrive', '--state', 'running'], "argument 'running' is invalid"],
  [['fetch'], 'name symbols'],
  [['fetch', 'AAPL', '--portfolio', 'alice'], 'not both'],
  [['fetch', 'AAPL', '--timeout', 'soon'], 'whole number from 1 to 86400'],
  [['backfill', 'AAPL', '--from', '2020-02-30'], 'Write a day as YYYY-MM-DD'],
  [['backfill', 'AAPL', '--from', '2020-02-02', '--to', '2020-02-01'], 'ends before it begins'],
  [['backfill', 'AAPL'], "required option '--from <day>' not specified"],
  [['login', ' '], 'user " " is empty'],
  [['login', `${'x'.repeat(65)}`], 'has 65 characters; a user id has 1 to 64'],
  [['position', 'list', 'a\u2028b'], 'has the character U\\+2028, which cannot be seen; leave it out'],
  [['login', 'al\u202eice'], 'user "al\\\\u202eice" has the character U\\+202E'],
  [['login', '\u00a0alice'], 'has the character U\\+00A0, which looks like a space'],
  [['position', 'add', 'alice', 'AAPL270115C00250000', '--price', 'free'], "option '--price <dollars>' argument 'free' is invalid"],
  [['up', '--workers', '2', '--set', 'worker.worker_id=w1'], 'worker.worker_id "w1" is the name of one worker, and --workers asks for 2'],
  [['service', 'nonsense'], 'there is no service "nonsense"'],
  [['jobs', '--set', 'worker'], 'write it as KEY=VALUE'],
  [['jobs', '--set', 'worker.max_jobs=3'], 'unknown key "worker.max_jobs"'],
  [['jobs', '--config', '/nowhere/at/all.yaml'], 'no such file'],
  [['config', 'show', 'nothing.here'], 'no key is called "nothing.here"'],
])('%j is refused with one line and 2', async (args, pattern) => {
  const ran = await refused(args);
  expect(ran.stderr).toMatch(new RegExp(`^stockmesh: [^\\n]*${pattern}[^\\n]*\\n$`));
  expect(ran).toMatchObject({ code: 2, stdout: '' });
});

test.each(['AB/CD', 'A+B', 'A#', 'A B', 'A'.repeat(200), 'A\u0001B', 'A\u0000', '', '..'])(
  'the symbol %j is refused by every command that takes one',
  async (text) => {
    for (const args of [
      ['fetch', text],
      ['symbol', text],
      ['backfill', text, '--from', '2020-01-02'],
      ['jobs', '--symbol', text],
      ['redrive', '--symbol', text],
    ]) {
      const ran = await refused(args);
      expect(ran.stderr).toMatch(/^stockmesh: symbol "[^\n]*; a symbol is 1 to 32 letters[^\n]*\n$/);
      expect(ran).toMatchObject({ code: 2, stdout: '' });
    }
  },
);

test('a command without a running mesh says how to start one, and fails with 1', async () => {
  for (const args of [['jobs'], ['stats'], ['login', 'alice'], ['migrate', 'status'], ['top']]) {
    const ran = await refused(args);
    expect(ran.stderr).toMatch(/^stockmesh: no stockmesh runs over [^\n]*: start it with "npm start"[^\n]*\n$/);
    expect(ran).toMatchObject({ code: 1, stdout: '' });
  }
});
