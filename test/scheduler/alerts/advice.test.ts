/** Every alert says what it means and what to do, and names a command that there is. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ADVICE } from '../../../services/platform/registry/alert-advice.ts';

const operate = readFileSync('docs/operate.md', 'utf8');
const section = operate.slice(operate.indexOf('\n## Alerts'), operate.indexOf('\n## Clocks'));
const documented = [...section.matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, name]) => name);

test('docs/operate.md has one table of all alerts, each with its advice', () => {
  expect(documented.toSorted()).toEqual(Object.keys(ADVICE).toSorted());
});

test.for(Object.entries(ADVICE))('%s: sentences for people, and a command of docs/operate.md', ([, { means, todo, command }]) => {
  expect(means).toMatch(/^[A-Z].*\.$/);
  expect(todo).toMatch(/^[A-Z].*\.$/);
  const verb = command.startsWith('history') ? command.split(' ').slice(0, 2).join(' ') : command.split(' ')[0];
  expect(operate).toMatch(new RegExp(`\`npx stockmesh ${verb}\\b|npx stockmesh ${verb}\\b`));
});

test('each is raised, cleared and read as a mail by a test of this folder', () => {
  const tests = ['operations', 'logins-and-data', 'processes']
    .map((name) => readFileSync(`test/scheduler/alerts/${name}.test.ts`, 'utf8'))
    .join('');
  const read = (what: string) => new Set([...tests.matchAll(new RegExp(`\\b${what}\\('(\\w+)'\\)`, 'g'))].map(([, name]) => name));
  expect([...read('raised')].sort()).toEqual(Object.keys(ADVICE).sort());
  expect([...read('cleared')].sort()).toEqual(Object.keys(ADVICE).sort());
});
