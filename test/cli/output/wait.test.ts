/** The end of a command that waits: what it prints, what it reports, and its exit code. */
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { JobResult } from '../../../services/cli/output/results.ts';
import { conclude, untilEnded, withWatch } from '../../../services/cli/output/wait.ts';
import type { Session } from '../../../services/cli/session.ts';
import type { Bus } from '../../../services/platform/bus/bus.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { startEmbedded } from '../../broker/brokers.ts';
import { openBus } from '../../platform/bus/brokers.ts';
import { databaseOfFile } from '../../support/database.ts';

const { db } = await databaseOfFile();
const broker = await startEmbedded();
afterAll(() => broker.close());
/** Opened by the tests that need one. */
let bus: Bus;
const session = {
  db,
  loaded: loadConfig({ environment: 'development', env: {} }),
  // Monday 10:30 in New York.
  clock: new ManualClock('2026-11-23T15:30:00Z'),
  bus: async () => bus,
} as unknown as Session;

const written = { stdout: '', stderr: '' };
beforeEach(() => {
  for (const name of ['stdout', 'stderr'] as const) {
    written[name] = '';
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      written[name] += text;
      return true;
    });
  }
});
afterEach(async () => {
  vi.restoreAllMocks();
  await db.run('DELETE FROM symbols');
  await db.run('DELETE FROM symbol_failures');
});

const job = (symbol: string | null, changes: Partial<JobResult> = {}): JobResult => ({
  ...{ id: `id-${symbol}`, type: 'fetch', symbol, state: 'completed', attempt: 1, source: 'lean', bars: 1, written: 1, through: null },
  ...{ stale: false, simulated: false, warnings: [], signal: null, confidence: null, mode: null, eligible: null, kept: null, ms: null },
  ...{ fresh_after_ms: 5, reason: null, items: null, ...changes },
});
const store = (symbol: string, { source = 'lean', bar = '2026-11-23', at = '2026-11-23 15:29:00' } = {}) =>
  db.run('INSERT INTO symbols (symbol, newest_bar, as_of, checked_at, source) VALUES (?)', [[symbol, bar, at, at, source]]);
const old = { bar: '2026-11-19' };
const end = (result: Parameters<typeof conclude>[1], json = false) => conclude(session, result, { timeout: 7, json }, { user: 'alice' });
const lastLines = (count: number): string[] => written.stdout.trimEnd().split('\n').slice(-count);

describe('the last line', () => {
  test('of jobs whose prices are all fresh', async () => {
    await store('AAA');
    await store('BBB');
    expect(await end({ jobs: [job('AAA')], skipped: [{ symbol: 'BBB', reason: 'fresh' }], elapsedMs: 12 })).toBe(0);
    expect(lastLines(2)).toEqual(['', 'all fresh after 12 ms (1 job)']);
    expect(written.stdout).toMatch(/^SYMBOL[^\n]*\nAAA[^\n]*\nBBB[^\n]*fresh\n\n/);
    expect(written.stderr).toBe('');
  });

  test('of jobs after which a price is outdated', async () => {
    await store('AAA');
    await store('OLD', old);
    await end({ jobs: [job('AAA'), job('OLD')], elapsedMs: 12 });
    expect(lastLines(1)).toEqual(['1 fresh, 1 outdated after 12 ms (2 jobs)']);
  });

  test('of a command that found all fresh', async () => {
    await store('AAA');
    await end({ jobs: [], skipped: [{ symbol: 'AAA', reason: 'bar is live' }], elapsedMs: 0 });
    expect(lastLines(1)).toEqual(['nothing to do: all is fresh already']);
  });

  test('of a command that found nothing to ask for, since the sources had nothing', async () => {
    await store('OLD', old);
    await end({ jobs: [], skipped: [{ symbol: 'OLD', reason: 'outdated' }], elapsedMs: 0 });
    expect(lastLines(1)).toEqual(['nothing to do: 0 fresh, 1 outdated; the sources were asked lately and have nothing newer']);
  });

  test.each([
    [['DEAD'], 'nothing to do: 0 fresh, 1 without data; the sources were asked lately and have no usable answer for them'],
    [
      ['DEAD', 'GONE', 'OLD'],
      'nothing to do: 0 fresh, 1 outdated, 2 without data; the sources were asked lately and have no usable answer for 2 symbols',
    ],
  ])('of a command whose symbols %j have no answer', async (symbols, text) => {
    await store('OLD', old);
    for (const symbol of ['DEAD', 'GONE']) {
      await db.run('INSERT INTO symbols (symbol) VALUES (?)', [symbol]);
      await db.run(
        "INSERT INTO symbol_failures (symbol, what, sources, since, asked_at, again_at, times, code, reason) VALUES (?, 'bars', ?, NOW(), NOW(), NOW(), 1, 'source.unknown_symbol', 'no')",
        [symbol, session.loaded.config.stock_jobs.data_fetch.sources.filter((name) => name !== 'alpha_vantage').join(',')],
      );
    }
    await end({ jobs: [], skipped: symbols.map((symbol) => ({ symbol, reason: 'unknown' })), elapsedMs: 0 });
    expect(lastLines(1)).toEqual([text]);
  });

  test.each([
    [['MADE'], 'all prices are made up'],
    [['MADE', 'AAA', 'BBB'], '1 of 3 prices are made up'],
  ])('has one before it where prices of %j are made up', async (symbols, text) => {
    await store('MADE', { source: 'simulated' });
    await store('AAA');
    await store('BBB');
    await end({ jobs: symbols.map((symbol) => job(symbol)), elapsedMs: 1 });
    expect(lastLines(3).slice(0, 2)).toEqual(['', text]);
  });
});

describe('what went wrong', () => {
  test('is named with its job and the way on, and ends with 1', async () => {
    const failed = job('AAA', { id: 'id-1', state: 'completed_with_errors', reason: 'no\nsource' });
    const batch = job(null, { id: 'id-2', type: 'batch_fetch', state: 'expired' });
    expect(await end({ jobs: [failed, batch], elapsedMs: 1 })).toBe(1);
    expect(written.stderr).toBe(
      'stockmesh: AAA: fetch completed with errors: no source ("npx stockmesh job id-1" shows all, "npx stockmesh retry id-1" tries again)\n' +
        'stockmesh: batch_fetch: batch_fetch expired: no reason given ("npx stockmesh job id-2" shows all, "npx stockmesh retry id-2" tries again)\n',
    );
    expect(written.stdout).not.toContain('after 1 ms');
  });

  test.each<[JobResult[], string]>([
    [[job('AAA', { state: 'ready' })], '1 job has not ended after 7 s and continues: id-AAA (ready)'],
    [
      [job('AAA', { state: 'ready' }), job('BBB', { state: 'scheduled', reason: 'HTTP 503' })],
      '2 jobs have not ended after 7 s and continue: id-AAA (ready), id-BBB (scheduled: HTTP 503)',
    ],
  ])('are jobs that did not end in time', async (jobs, text) => {
    expect(await end({ jobs, elapsedMs: 1 })).toBe(1);
    expect(written.stderr).toBe(`stockmesh: ${text}; "npx stockmesh job <id>" shows them\n`);
  });

  test('are refused requests, with their symbol where they have one', async () => {
    const refused = [
      { symbol: 'AAA', reason: 'the queue is full' },
      { symbol: null, reason: 'also full' },
    ];
    expect(await end({ jobs: [], refused, elapsedMs: 1 })).toBe(1);
    expect(written).toEqual({ stdout: '', stderr: 'stockmesh: AAA: refused: the queue is full\nstockmesh: refused: also full\n' });
  });
});

test('the document has all of it, and standard output nothing else', async () => {
  await store('AAA', { source: 'simulated' });
  const jobs = [job('AAA')];
  const skipped = [{ symbol: 'OLD', reason: 'r' }];
  await end({ jobs, skipped, elapsedMs: 12 }, true);
  expect(JSON.parse(written.stdout)).toEqual({
    ...{ user: 'alice', ok: true, elapsed_ms: 12, jobs, skipped, refused: [] },
    prices: [
      { symbol: 'AAA', state: 'fresh', sessions_behind: 0, reason: expect.stringContaining('live bar'), unknown: false, simulated: true },
      { symbol: 'OLD', state: 'missing', sessions_behind: null, reason: 'no bar and never checked', unknown: false, simulated: false },
    ],
  });
  written.stdout = '';
  expect(await end({ jobs: [job('AAA', { state: 'failed' })], elapsedMs: 1 }, true)).toBe(1);
  expect(JSON.parse(written.stdout)).toMatchObject({ ok: false });
});

describe('a watch', () => {
  beforeEach(() => {
    bus = openBus(broker.port);
  });

  test('follows jobs to their end over the broker, and shows each change', async () => {
    await bus.online();
    const id = '01932c07-5f2a-7000-8a3b-000000000001';
    const results = await withWatch(session, { timeout: 60 }, async (watch) => {
      const ended = untilEnded(session, watch, [id]);
      const message = { id, type: 'fetch', symbol: 'AAA', attempt: 1, at: '2026-01-02T00:00:00Z' };
      await bus.publish('status', { ...message, state: 'running' });
      await bus.publish('status', { ...message, state: 'completed' });
      return ended;
    });
    expect(results).toMatchObject([{ id, symbol: 'AAA', state: 'completed', fresh_after_ms: expect.any(Number) }]);
    expect(written.stderr).toBe('AAA fetch running\nAAA fetch completed\n');
  });

  test('is silent with --json, and ends with its time', async () => {
    const id = '01932c07-5f2a-7000-8a3b-000000000002';
    const results = await withWatch(session, { timeout: 0.2, json: true }, (watch) => {
      watch.progress.onNote('a note');
      return untilEnded(session, watch, [id]);
    });
    expect(results).toMatchObject([{ id, state: 'ready', fresh_after_ms: null }]);
    expect(written.stderr).toBe('');
  });
});
