import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadConfig } from '../../services/platform/config/load.ts';
import { MEASURED_BYTES, MEASURED_COSTS } from '../../services/simulation/costs.ts';
import { fetchesPerSecond, type Sizing, sizingOf } from '../../services/simulation/sizing.ts';

const TEXT = readFileSync(new URL('../../docs/sizing.md', import.meta.url), 'utf8');
const LOAD = { holdings: 12, loginsPerUser: 1, zipf: 1 };
// Of the shipped defaults: the file of the environment that runs here keeps jobs for a day.
const { config } = loadConfig({
  environment: 'development',
  files: [],
  overrides: { 'jobs.cleanup_after_days': { value: '7', option: '--set' } },
});
const sized = (users: number, symbols: number): Sizing =>
  sizingOf({ ...LOAD, users, symbols }, { config, costs: MEASURED_COSTS, bytes: MEASURED_BYTES, sourceMs: 200, day: '2026-11-25' });

function between(name: string): string {
  const [, found] = new RegExp(`<!-- ${name}: begin -->\\n\\n?([^]*?)\\n?<!-- ${name}: end -->`).exec(TEXT) ?? [];
  return (found ?? '').trim();
}

function markdown(rows: readonly (readonly string[])[]): string {
  const [head = [], ...body] = rows;
  return [head, head.map((_, index) => (index === 0 ? '---' : '---:')), ...body].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

const whole = (value: number): string => Math.round(value).toLocaleString('en-US');
const short = (value: number): string => (value >= 100 ? whole(value) : value.toPrecision(2));

test('the examples of docs/sizing.md are what the formula gives', () => {
  const cases = [
    [1_000, 500],
    [100_000, 5_000],
    [1_000_000, 20_000],
  ] as const;
  const columns = cases.map(([users, symbols]) => sized(users, symbols));
  const row = (name: string, text: (sizing: Sizing) => string): string[] => [name, ...columns.map(text)];
  expect(between('sizing')).toBe(
    markdown([
      ['users, symbols', ...cases.map(([users, symbols]) => `${whole(users)}, ${whole(symbols)}`)],
      row('logins a second, busiest hour', ({ loginsPerSecond }) => short(loginsPerSecond)),
      row('fetches a second, busiest hour', (one) => short(one.fetchesPerSecond)),
      row('requests a minute to the source', ({ requestsPerMinute }) => whole(requestsPerMinute)),
      row('fetches in the day', ({ fetches }) => whole(fetches)),
      row('cores in use, busiest hour', ({ coresUsed }) => short(coresUsed)),
      row('cores', ({ cores }) => whole(cores)),
      row('portfolio-priority, workers', ({ portfolioPriority, workers }) => `${portfolioPriority}, ${workers}`),
      row('connections to the database', ({ connections }) => whole(connections)),
      row('messages a second', ({ messagesPerSecond }) => short(messagesPerSecond)),
      row('database', ({ databaseBytes }) => `${short(databaseBytes / 1e9)} GB`),
    ]),
  );
});

test('the costs of docs/sizing.md are those that the formula and the simulation go by', () => {
  const milliseconds = [
    ['a transaction of logins', MEASURED_COSTS.batchMs],
    ['a login', MEASURED_COSTS.loginMs],
    ['a symbol of a login: reading and judging it', MEASURED_COSTS.symbolMs],
    ['a request for a job: score, subscription, joining', MEASURED_COSTS.requestMs],
    ['a transaction of claims', MEASURED_COSTS.claimMs],
    ['a transaction in which jobs end', MEASURED_COSTS.commitMs],
    ['a fetch, with its rows and messages', MEASURED_COSTS.fetchMs],
    ['an analysis, the same', MEASURED_COSTS.analysisMs],
    ['a second without work', MEASURED_COSTS.idleMsPerSecond],
  ] as const;
  const bytes = [
    ['an ended fetch: job, end, subscribers', MEASURED_BYTES.fetchJob],
    ['an ended analysis, and its dependency', MEASURED_BYTES.analysisJob],
    ['the stored answer to a login', MEASURED_BYTES.answer],
    ['a daily bar', MEASURED_BYTES.bar],
    ['a symbol: state, analysis, actions', MEASURED_BYTES.symbol],
    ['a holding', MEASURED_BYTES.holding],
    ['a user: activity, slots', MEASURED_BYTES.user],
  ] as const;
  expect(between('costs')).toBe(
    markdown([
      ['step', 'ms', 'row', 'bytes'],
      ...milliseconds.map(([step, ms], index) => [
        step,
        String(ms),
        bytes[index]?.[0] ?? '',
        bytes[index] === undefined ? '' : whole(bytes[index][1]),
      ]),
    ]),
  );
});

test('a symbol that is asked for without pause is fetched once in its fresh time, and one that nobody asks for never', () => {
  const one = { users: 1, symbols: 1, holdings: 1, loginsPerUser: 1, zipf: 1 };
  expect(fetchesPerSecond(1e9, one, 300)).toBeCloseTo(1 / 300, 6);
  expect(fetchesPerSecond(0, one, 300)).toBe(0);
  // Once in 300 s on average: fetched once in the 300 s of being fresh and the 300 s until the next login.
  expect(fetchesPerSecond(1 / 300, one, 300)).toBeCloseTo(1 / 600, 9);
});

test('more users and more symbols never need less', () => {
  const keys = [
    'loginsPerSecond',
    'fetchesPerSecond',
    'coresUsed',
    'cores',
    'workers',
    'connections',
    'requestsPerMinute',
    'databaseBytes',
  ] as const;
  for (const [less, more] of [
    [sized(10_000, 1_000), sized(20_000, 1_000)],
    [sized(10_000, 1_000), sized(10_000, 2_000)],
  ] as const)
    for (const key of keys) expect(more[key], key).toBeGreaterThanOrEqual(less[key]);
});
