import { expect, test } from 'vitest';
import { stockmesh } from './command-line.ts';

const SMALL = ['simulate', '--users', '500', '--symbols', '60'];

test('simulate prints a line for each hour and one for the day, in columns', async () => {
  const { code, stdout } = await stockmesh(SMALL);
  expect(code).toBe(0);
  const lines = stdout.split('\n');
  const head = lines.findIndex((line) => line.startsWith('HOUR'));
  const rows = lines.slice(head + 1, head + 26);
  expect(rows.map((line) => line.split(/ /)[0])).toEqual([
    ...Array.from({ length: 24 }, (_, hour) => `${String(hour).padStart(2, '0')}:00`),
    'day',
  ]);
  expect(rows.every((line) => line.length === lines[head]?.length)).toBe(true);
});

test('simulate --json gives the same figures as one document, and the day is the sum of its hours', async () => {
  const { hours, total, sizing, mesh } = JSON.parse((await stockmesh([...SMALL, '--json'])).stdout);
  expect(total.logins).toBe(500);
  for (const name of ['logins', 'made', 'joined', 'fresh', 'asked'])
    expect(hours.reduce((sum: number, hour: Record<string, number>) => sum + (hour[name] as number), 0)).toBe(total[name]);
  expect(mesh).toEqual({ cores: sizing.cores, portfolio_priority: sizing.portfolio_priority, workers: sizing.workers });
});

test('simulate goes by the configuration', async () => {
  const { total } = JSON.parse((await stockmesh([...SMALL, '--json', '--set', 'stock_jobs.data_fetch.rate_limit=7'])).stdout);
  expect(total.budget).toBe(7 * 60 * 24);
});

test.each([
  [['--users', '0'], 'whole number from 1'],
  [['--users', '1.5'], 'whole number from 1'],
  [['--day', '2026-02-30'], 'YYYY-MM-DD'],
  [['--day', '1066-10-14'], 'outside of the calendar'],
  [['--zipf', '-1'], 'from 0 to 3'],
  [['--symbols', '5', '--holdings', '9'], 'more than the 5 symbols'],
  [['--set', 'stock_jobs.data_fetch.sources=cached'], 'no source that can be asked'],
])('simulate %s is one line that says what is wrong', async (args, text) => {
  const { code, stdout, stderr } = await stockmesh(['simulate', ...args]);
  expect(code).not.toBe(0);
  expect(stdout).toBe('');
  expect(stderr).toMatch(new RegExp(`^stockmesh: [^\\n]*${text}[^\\n]*\\n$`));
});
