import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { analysisType } from '../../services/job-types/analysis/definition.ts';
import { analysisHandler } from '../../services/job-types/analysis/handler.ts';
import { fetchHandler } from '../../services/job-types/fetch/handler.ts';
import { handler as handlerOf, type JobOutput } from '../../services/job-types/handler.ts';
import { cancel } from '../../services/ledger/control.ts';
import { idToBytes } from '../../services/ledger/id.ts';
import type { Transaction } from '../../services/platform/database/database.ts';
import { PermanentError, TransientError } from '../../services/platform/errors.ts';
import { setJobs } from '../support/job-rows.ts';
import { fetching, held, nothing, storeNothing, workshopOfFile } from './workshop.ts';

const shop = await workshopOfFile();

/** Writes a symbol's row, as an effect that can be counted; one with the name BAD cannot be written. */
async function writeNames(tx: Transaction, names: readonly string[]): Promise<void> {
  writes++;
  if (names.includes('BAD')) await tx.run('INSERT INTO symbols (symbol, newest_bar) VALUES (?, ?)', ['BAD', 'not a date']);
  await tx.run('INSERT INTO symbols (symbol) VALUES ?', [names.map((name) => [name])]);
}
let writes = 0;
const naming = fetching(async ({ symbol }) => ({ ...nothing, result: { symbol }, rows: [symbol] }), writeNames);
const names = async () =>
  (await shop.db.rows<{ symbol: string }>('SELECT symbol FROM symbols ORDER BY symbol')).map(({ symbol }) => symbol);

describe('what a handler leaves behind', () => {
  test('is committed together with its completion, and its result is kept', async () => {
    const [id] = await shop.enqueue({ symbol: 'AAA' });
    shop.worker([naming]);
    expect(await shop.reaches(id!, 'completed')).toMatchObject({ result: { symbol: 'AAA' }, attempt: 1 });
    expect(await names()).toEqual(['AAA']);
  });

  test('rows of many jobs for one table are written in one call', async () => {
    const ids = await shop.enqueue({ symbol: 'AAA' }, { symbol: 'BBB' }, { symbol: 'CCC' });
    writes = 0;
    shop.worker([naming], { overrides: { 'worker.batch.wait': 50 } });
    for (const id of ids) await shop.reaches(id, 'completed');
    expect(await names()).toEqual(['AAA', 'BBB', 'CCC']);
    expect(writes).toBe(1);
  });

  test('that cannot be written fails its own job and no other of the batch', async () => {
    const ids = await shop.enqueue({ symbol: 'AAA' }, { symbol: 'BAD' }, { symbol: 'CCC' }, { symbol: 'DDD' }, { symbol: 'EEE' });
    shop.worker([naming], { overrides: { 'worker.batch.wait': 50 } });
    const [a, bad, ...rest] = ids;
    for (const id of [a!, ...rest]) await shop.reaches(id, 'completed');
    await shop.reaches(bad!, 'scheduled');
    expect(await names()).toEqual(['AAA', 'CCC', 'DDD', 'EEE']);
    const [attempt] = await shop.db.rows('SELECT outcome, code FROM job_attempts');
    expect(attempt).toEqual({ outcome: 'retried', code: 'ER_TRUNCATED_WRONG_VALUE' });
  });
});

describe('a handler that fails', () => {
  test('permanently fails the job at once', async () => {
    const [id] = await shop.enqueue({});
    shop.worker([fetching(() => Promise.reject(new PermanentError('source.unknown_symbol', 'no source knows NOPE')))]);
    expect(await shop.reaches(id!, 'failed')).toMatchObject({ attempt: 1, code: 'source.unknown_symbol', reason: 'no source knows NOPE' });
  });

  test('for now is tried again after the back-off of its type', async () => {
    const [id] = await shop.enqueue({});
    shop.worker([fetching(() => Promise.reject(new TransientError('source.network', 'fetch failed')))]);
    await shop.reaches(id!, 'scheduled');
    const [row] = await shop.db.rows<{ wait: number }>(
      'SELECT TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), due_at) / 1e6 AS wait FROM job_states',
    );
    // 30 s with 20 % jitter (stock_jobs.data_fetch.retry_backoff).
    expect(Number(row!.wait)).toBeGreaterThan(20);
    expect(Number(row!.wait)).toBeLessThan(37);
  });

  test('for now on its last attempt fails the job, with the reason and the number of attempts', async () => {
    const [id] = await shop.enqueue({});
    await setJobs(shop.db, { max_attempts: 1 }, 'id = ?', [idToBytes(id!)]);
    shop.worker([fetching(() => Promise.reject(new Error('what is this')))]);
    expect(await shop.reaches(id!, 'failed')).toMatchObject({ code: 'internal', reason: 'what is this (attempt 1 of 1)' });
  });

  test('by throwing at once instead of rejecting fails its job and not the worker', async () => {
    const [first, second] = await shop.enqueue({ symbol: 'AAA' }, { symbol: 'BBB' });
    const throwing = fetching(({ symbol }) => {
      if (symbol === 'AAA') throw new PermanentError('test.now', 'at once');
      return Promise.resolve(nothing);
    });
    shop.worker([throwing]);
    expect(await shop.reaches(first!, 'failed')).toMatchObject({ code: 'test.now' });
    await shop.reaches(second!, 'completed');
  });

  test.each([
    ['fetch', { symbol: 'AB/CD' }, /symbol: symbol "AB\/CD" contains "\/"/],
    ['fetch', { symbol: 'AAPL', range: { from: '2020-13-45' } }, /2020-13-45.*range\.from/],
    ['fetch', { symbol: 'AAPL', speed: 9 }, /"speed":9.*speed/],
    ['analysis', { symbol: 7 }, /\{"symbol":7\}.*symbol/],
  ])('a payload that is not one fails the job at once and names the value: %s %j', async (type, payload, reason) => {
    const [id] = await shop.enqueue({ type, symbol: 'X', payload });
    shop.worker([fetchHandler, analysisHandler]);
    const row = await shop.reaches(id!, 'failed');
    expect(row).toMatchObject({ attempt: 1, code: 'job.invalid_payload' });
    expect(row.reason).toMatch(reason);
  });

  test('failed items leave a job failed where its type does not allow errors', async () => {
    const [id] = await shop.enqueue({ type: 'analysis' });
    shop.worker([
      handlerOf({ ...analysisType, payload: z.unknown() }, async () => ({ ...nothing, withErrors: '1 of 2 failed' }), storeNothing),
    ]);
    expect(await shop.reaches(id!, 'failed')).toMatchObject({ code: 'job.items_failed', reason: '1 of 2 failed' });
  });
});

describe('a handler that is stopped', () => {
  test('by its time limit is told so through its signal, and the job is tried again', async () => {
    const [id] = await shop.enqueue({});
    const { handler, started } = held();
    shop.worker([handler], { overrides: { 'jobs.timeouts.stock_fetch': 0.05 } });
    await shop.reaches(id!, 'scheduled');
    expect((await started).reason).toMatchObject({ code: 'job.timeout', message: 'took longer than 0.05 s (jobs.timeouts)' });
    expect(await shop.db.rows('SELECT outcome, code FROM job_attempts')).toEqual([{ outcome: 'retried', code: 'job.timeout' }]);
  });

  test('has no time limit that a timer cannot hold: years do not end at once', async () => {
    const [id] = await shop.enqueue({});
    const { handler, started, end } = held();
    const years = { 'jobs.timeouts.stock_fetch': 1e9, 'worker.max_execution_time': 1e9 };
    shop.worker([handler], { overrides: years });
    const signal = await started;
    await delay(20);
    expect(signal.aborted).toBe(false);
    end.resolve(nothing);
    await shop.reaches(id!, 'completed');
  });

  test('by a cancel hears of it, and what it still makes is refused', async () => {
    const [id] = await shop.enqueue({ symbol: 'LATE' });
    const { handler, started, end } = held(writeNames);
    const said: string[] = [];
    const log = pino({ level: 'info' }, { write: (line: string) => void said.push(JSON.parse(line).msg) });
    const worker = shop.worker([handler], { log: log as never });
    const signal = await started;
    await cancel(shop.ledger, id!, 'not wanted any more');
    worker.abort(id!, 'cancelled by hand');
    expect(signal.reason).toMatchObject({ code: 'job.cancelled' });
    end.resolve({ ...nothing, rows: ['LATE'] });
    await worker.drain(1000);
    expect(said).toContain('stopped: cancelled by hand');
    expect(await shop.job(id!)).toMatchObject({ state: 'cancelled', result: null });
    expect(await names()).toEqual([]);
  });

  test('by a cancel that no message told of is stopped at the next heartbeat', async () => {
    const [id] = await shop.enqueue({});
    const { handler, started } = held();
    // A lease is two intervals, and a beat comes each sixth of it.
    const worker = shop.worker([handler], { overrides: { 'worker.heartbeat_interval': 3 } });
    const signal = await started;
    await cancel(shop.ledger, id!, 'not wanted any more');
    await expect.poll(() => signal.aborted).toBe(true);
    await expect.poll(() => worker.running()).toEqual([]);
  });

  test('because another worker has its job is stopped at the next heartbeat, and the other keeps it', async () => {
    const [id] = await shop.enqueue({});
    const { handler, started } = held();
    const worker = shop.worker([handler], { overrides: { 'worker.heartbeat_interval': 0.3 } });
    const signal = await started;
    await setJobs(shop.db, ({ attempt }) => ({ worker_id: 'other', attempt: attempt + 1 }), 'id = ?', [idToBytes(id!)]);
    await expect.poll(() => signal.aborted).toBe(true);
    expect(signal.reason).toMatchObject({ code: 'job.lease_lost' });
    await expect.poll(() => worker.running()).toEqual([]);
    expect(await shop.job(id!)).toMatchObject({ state: 'running', worker: 'other', attempt: 2 });
  });

  test('and ends too late has its rows refused, not only its completion', async () => {
    const [id] = await shop.enqueue({ symbol: 'LATE' });
    const { handler, started, end } = held(writeNames);
    const worker = shop.worker([handler]);
    await started;
    await setJobs(shop.db, ({ attempt }) => ({ worker_id: 'other', attempt: attempt + 1 }), 'id = ?', [idToBytes(id!)]);
    end.resolve({ ...nothing, rows: ['LATE'] });
    await worker.drain(1000);
    expect(await shop.job(id!)).toMatchObject({ state: 'running', worker: 'other', result: null });
    expect(await names()).toEqual([]);
  });

  test('and does not listen does not hold its slot', async () => {
    const [first, second] = await shop.enqueue({ symbol: 'AAA' }, { symbol: 'BBB' });
    const deafToOne = fetching(({ symbol }) => (symbol === 'AAA' ? new Promise<typeof nothing>(() => {}) : Promise.resolve(nothing)));
    shop.worker([deafToOne], { overrides: { 'worker.max_concurrent_jobs': 1, 'jobs.timeouts.stock_fetch': 0.05 } });
    await shop.reaches(first!, 'scheduled');
    await shop.reaches(second!, 'completed');
  });

  test('whose job comes back to the same worker is not taken for the new attempt', async () => {
    const [id] = await shop.enqueue({});
    const signals: AbortSignal[] = [];
    const ends: ((output: JobOutput<never>) => void)[] = [];
    const attempts = fetching((_, { signal }) => {
      signals.push(signal);
      return new Promise<JobOutput<never>>((end) => ends.push(end));
    });
    const worker = shop.worker([attempts]);
    await expect.poll(() => ends.length).toBe(1);
    // As the reaper leaves it.
    await setJobs(shop.db, { state: 'ready', worker_id: null }, 'id = ?', [idToBytes(id!)]);
    await expect.poll(() => ends.length).toBe(2);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
    await expect.poll(() => worker.running().map(({ attempt }) => attempt)).toEqual([2]);
    ends[0]!({ ...nothing, result: { of: 'the first' } });
    ends[1]!({ ...nothing, result: { of: 'the second' } });
    expect(await shop.reaches(id!, 'completed')).toMatchObject({ attempt: 2, result: { of: 'the second' } });
  });
});
