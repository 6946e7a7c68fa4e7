/** The alert rules with Prometheus' own tool: each is raised by its cause alone, and over when the cause is. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { expect, test } from 'vitest';
import { findProgram } from '../../../services/platform/machine/programs.ts';
import { ROOT } from '../../docs/markdown.ts';

const TESTS = 'test/deploy/grafana/rules.test.yaml';
const read = (path: string): unknown => load(readFileSync(join(ROOT, path), 'utf8'));

const isInstalled = findProgram(['promtool']) !== undefined;
if (!isInstalled) console.warn('skipped: the alert rules with promtool, since Debian’s package prometheus is not installed');

test.skipIf(!isInstalled).each([
  ['check', 'rules', '--lint-fatal', 'deploy/grafana/rules.yaml'],
  ['check', 'config', 'deploy/grafana/prometheus.yml'],
  ['test', 'rules', TESTS],
])('promtool %s %s finds nothing', { timeout: 120_000 }, (...args) => {
  const { status, stdout, stderr } = spawnSync('promtool', args, { cwd: ROOT, encoding: 'utf8' });
  expect(status, `${stdout}${stderr}`).toBe(0);
});

test('each rule is among the tests', () => {
  const { groups } = read('deploy/grafana/rules.yaml') as { groups: { rules: { alert: string }[] }[] };
  const { tests } = read(TESTS) as { tests: { name: string }[] };
  expect(tests.map(({ name }) => name)).toEqual(groups.flatMap(({ rules }) => rules.map(({ alert }) => alert)));
});
