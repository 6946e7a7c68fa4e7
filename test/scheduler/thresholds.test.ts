import { expect, test } from 'vitest';
import type { MeshMetrics } from '../../services/ledger/read/metrics.ts';
import type { HeldFreshness } from '../../services/market/freshness/held.ts';
import { type StaleData, staleData } from '../../services/scheduler/stale.ts';
import { checkLimits } from '../../services/scheduler/thresholds.ts';
import { configOf } from './configuration.ts';

const none = { ready: 0, running: 0, scheduled: 0, blocked: 0 };
const ledger: MeshMetrics['ledger'] = {
  depth: {},
  queues: [{ queue: 'foreground', ...none, oldest_s: null }],
  states: {},
  completed_last_minute: 0,
  failed_last_minute: 0,
  enqueued_last_minute: 0,
  failed: 0,
};
const quiet: MeshMetrics = {
  at: new Date(0),
  ledger,
  workers: { online: 1, slots: 5, busy: 0 },
  missing: [],
  free: [],
  utilisation: 0,
  latencies: [],
  clocks: [],
};
const fresh: StaleData = { symbols: [], oldestHours: 0, outdated: [], withBars: 20 };

/** The names of the limits that are not kept. */
const beyond = (metrics: Partial<MeshMetrics>, stale = fresh) =>
  checkLimits({ ...quiet, ...metrics }, stale, configOf())
    .filter((one) => one.beyond)
    .map(({ name }) => name);

test('a quiet mesh keeps every limit', () => {
  expect(beyond({})).toEqual([]);
});

test.each([
  [{ 1: 400, 8: 600 }, []],
  [{ 1: 401, 8: 600 }, ['max_queue_depth']],
])('with %o waiting jobs a limit of 1000 gives %o', (depth, names) => {
  expect(beyond({ ledger: { ...ledger, depth } })).toEqual(names);
});

test.each([
  [600, []],
  [601, ['max_job_age']],
])('with a ready job that has waited %d s a limit of 600 gives %o', (oldest_s, names) => {
  expect(beyond({ ledger: { ...ledger, queues: [{ queue: 'foreground', ...none, oldest_s }] } })).toEqual(names);
});

test.each([
  [7, 3, []],
  [6, 4, ['min_worker_efficiency']],
  [0, 4, []],
  [0, 5, ['min_worker_efficiency']],
])('with %d completed and %d failed jobs a share of 0.7 gives %o', (completed, failed, names) => {
  expect(beyond({ ledger: { ...ledger, completed_last_minute: completed, failed_last_minute: failed } })).toEqual(names);
});

test.each([
  [30, 5, []],
  [31, 5, ['max_fetch_latency']],
  [31, 4, []],
])('with a percentile of %d s over %d answers a limit of 30 gives %o', (p95, answers, names) => {
  expect(
    beyond({
      latencies: [
        { source: 'cached', p95: 0.1, answers: 50 },
        { source: 'yahoo_finance', p95, answers },
      ],
    }),
  ).toEqual(names);
});

test('a mesh without workers is a fault of its own', () => {
  expect(beyond({ workers: { online: 0, slots: 0, busy: 0 } })).toEqual(['no_worker']);
});

test('a capability that jobs need and no worker has is the same fault, by name', () => {
  expect(beyond({ missing: ['region:eu', 'region:us'] })).toEqual(['no_worker']);
  const [said] = checkLimits({ ...quiet, ledger: { ...ledger, depth: { 1: 4 } }, missing: ['region:eu'] }, fresh, configOf()).filter(
    ({ name }) => name === 'no_worker',
  );
  expect(said).toMatchObject({
    subjects: 'region:eu',
    text: '1 workers are online, 4 jobs wait, some of them for what no worker has (worker.capabilities): region:eu',
  });
});

test('stale data names the symbols, and how many more there are', () => {
  const symbols = Array.from({ length: 12 }, (_, i) => `S${i}`);
  expect(beyond({}, { ...fresh, symbols, oldestHours: 5 })).toEqual(['stale_data']);
  const [said] = checkLimits(quiet, { ...fresh, symbols, oldestHours: 5 }, configOf()).filter(({ name }) => name === 'stale_data');
  expect(said).toMatchObject({ value: 5, threshold: 2 });
  expect(said!.text).toBe(
    '12 held symbols have price data older than 2 h (portfolio.stale_alert_hours): S0, S1, S2, S3, S4, S5, S6, S7, S8, S9 and 2 more',
  );
});

test.each([
  [0, 0, []],
  [2, 20, []],
  [3, 20, ['outdated_data']],
  [5, 5, ['outdated_data']],
])('with %d outdated symbols of %d a share of 0.1 gives %o', (count, withBars, names) => {
  const outdated = Array.from({ length: count }, (_, i) => `S${i}`);
  expect(beyond({}, { ...fresh, outdated, withBars })).toEqual(names);
});

test('outdated data names the symbols and the limit', () => {
  const outdated = ['GONE', 'QUIET'];
  const [said] = checkLimits(quiet, { ...fresh, outdated, withBars: 4 }, configOf()).filter(({ name }) => name === 'outdated_data');
  expect(said).toMatchObject({ beyond: true, value: 0.5, threshold: 0.1 });
  expect(said!.text).toBe(
    'the sources have nothing newer than bars of two sessions ago or more for 2 of 4 held symbols; more than 10 % (portfolio.outdated_alert_share) means that a source has fallen silent: GONE, QUIET',
  );
});

const clock = (instance: string, offset_s: number) => ({ service: 'worker', instance, offset_s });

test.each([
  [2, []],
  [-2, []],
  [2.1, ['clock_offset']],
  [-2.1, ['clock_offset']],
])('with a clock %d s ahead of the database’s a limit of 2 s gives %o', (offset, names) => {
  expect(beyond({ clocks: [clock('w1', 0), clock('w2', offset)] })).toEqual(names);
});

const clockCheck = (clocks: MeshMetrics['clocks']) =>
  checkLimits({ ...quiet, clocks }, fresh, configOf()).find(({ name }) => name === 'clock_offset');

test('wrong clocks are named with their offsets, the worst first', () => {
  expect(clockCheck([clock('w1', 0.01), clock('w2', 3), clock('w3', -600)])).toMatchObject({
    value: 600,
    text: "2 of 3 instances have a clock more than 2 s from the database's (monitoring.thresholds.max_clock_offset); set the clocks of their machines right (NTP): w3 -600.0 s, w2 +3.0 s",
  });
});

test('where all clocks are wrong by the same, the database’s is the wrong one', () => {
  expect(clockCheck([clock('w1', -60), clock('w2', -60.2)])?.text).toContain("set the database's own clock right");
  expect(clockCheck([clock('w1', -60), clock('w2', 60)])?.text).toContain('set the clocks of their machines right');
  expect(clockCheck([clock('w1', -60)])?.text).toContain('set the clocks of their machines right');
});

test('every text names the key that sets the limit', () => {
  const texts = checkLimits(quiet, fresh, configOf()).filter(({ name }) => name !== 'no_worker');
  for (const { text } of texts) expect(text).toMatch(/\((monitoring\.thresholds|portfolio)\.\w+\)/);
});

test('each text says the value and the limit: of a mesh that is in trouble', () => {
  const checks = checkLimits(
    {
      ...quiet,
      ledger: {
        ...ledger,
        depth: { 1: 1200, 8: 34 },
        queues: [
          { queue: 'foreground', ...none, oldest_s: 700.6 },
          { queue: 'background_fetch', ...none, oldest_s: null },
        ],
        completed_last_minute: 6,
        failed_last_minute: 4,
      },
      workers: { online: 0, slots: 0, busy: 0 },
      latencies: [
        { source: 'slow', p95: 40.04, answers: 5 },
        { source: 'slower', p95: 90, answers: 4 },
        { source: 'less slow', p95: 35, answers: 50 },
      ],
    },
    fresh,
    configOf(),
  );
  expect(Object.fromEntries(checks.map(({ name, value, threshold, text }) => [name, [value, threshold, text]]))).toMatchObject({
    max_queue_depth: [1234, 1000, '1234 jobs wait; the limit is 1000 (monitoring.thresholds.max_queue_depth)'],
    max_job_age: [700.6, 600, 'the oldest ready job has waited 701 s; the limit is 600 (monitoring.thresholds.max_job_age)'],
    min_worker_efficiency: [
      0.6,
      0.7,
      '4 of 10 jobs that finished within a minute failed; at least 70 % must complete (monitoring.thresholds.min_worker_efficiency)',
    ],
    max_fetch_latency: [40.04, 30, "95 % of slow's answers came within 40.0 s; the limit is 30 (monitoring.thresholds.max_fetch_latency)"],
    no_worker: [0, 1, '0 workers are online, 1234 jobs wait'],
  });
});

test('each text of a quiet mesh says that there is nothing', () => {
  const checks = checkLimits({ ...quiet, clocks: [clock('w1', 0.5)] }, { ...fresh, withBars: 0 }, configOf());
  expect(Object.fromEntries(checks.map(({ name, value, text }) => [name, [value, text.split(' (')[0]]]))).toEqual({
    max_queue_depth: [0, '0 jobs wait; the limit is 1000'],
    max_job_age: [0, 'the oldest ready job has waited 0 s; the limit is 600'],
    min_worker_efficiency: [1, '0 of 0 jobs that finished within a minute failed; at least 70 % must complete'],
    max_fetch_latency: [0, 'too few fetches to judge; the limit is 30'],
    stale_data: [0, '0 held symbols have price data older than 2 h'],
    clock_offset: [0.5, "0 of 1 instances have a clock more than 2 s from the database's"],
    outdated_data: [0, 'the sources have nothing newer than bars of two sessions ago or more for 0 of 0 held symbols; more than 10 %'],
    no_worker: [1, '1 workers are online'],
  });
});

test('ten names are shown, and of eleven one is not', () => {
  const textWith = (count: number) =>
    checkLimits(quiet, { ...fresh, symbols: Array.from({ length: count }, (_, i) => `S${i}`) }, configOf()).find(
      ({ name }) => name === 'stale_data',
    )!.text;
  expect(textWith(10)).toMatch(/S9$/);
  expect(textWith(11)).toMatch(/S9 and 1 more$/);
});

test('clocks that differ by no more than the limit are wrong alike, and whom an alert names does not depend on which is worst', () => {
  expect(clockCheck([clock('w1', -60), clock('w2', -62)])?.text).toContain("set the database's own clock right");
  expect(clockCheck([clock('w1', -60), clock('w2', -62.1)])?.text).toContain('set the clocks of their machines right');
  expect(clockCheck([clock('w1', -60), clock('w2', -60), clock('w3', 0)])?.text).toContain('set the clocks of their machines right');
  const subjects = (...clocks: MeshMetrics['clocks']) => (clockCheck(clocks) as { subjects?: string }).subjects;
  expect(subjects(clock('w2', 60), clock('w1', 50))).toBe('w1 w2');
  expect(subjects(clock('w2', 50), clock('w1', 60))).toBe('w1 w2');
});

const judged = (symbol: string, state: 'fresh' | 'stale' | 'outdated', ageMinutes: number | null, sessionsBehind: number | null) =>
  ({ symbol, price: { state, ageMinutes, sessionsBehind } }) as HeldFreshness['judged'][number];

test('stale data is older than the limit, outdated data at least two sessions behind, the worst first', () => {
  const all = [
    judged('EDGE', 'stale', 120, 0),
    judged('LATE', 'stale', 121, 0),
    judged('LATER', 'stale', 600, 0),
    judged('AGELESS', 'stale', null, 0),
    judged('FRESH', 'fresh', 1_000, 9),
    judged('ONE', 'outdated', 9_000, 1),
    judged('TWO', 'outdated', 9_000, 2),
    judged('MANY', 'outdated', 9_000, 700),
    judged('UNCOUNTED', 'outdated', 9_000, null),
  ];
  expect(staleData({ judged: all }, { stale_alert_hours: 2 })).toEqual({
    symbols: ['LATER', 'LATE'],
    oldestHours: 10,
    outdated: ['MANY', 'TWO'],
    withBars: 9,
  });
});
