/** The results of ended jobs: read from the ledger, and the table of them, a line a symbol. */
import { describe, expect, test } from 'vitest';
import type { FollowedJob } from '../../../services/cli/output/follow.ts';
import type { PriceState } from '../../../services/cli/output/prices.ts';
import { failures, type JobResult, readResults, resultsTable, symbolsOf, unfinished } from '../../../services/cli/output/results.ts';
import { idToBytes } from '../../../services/ledger/id.ts';
import { databaseOfFile } from '../../support/database.ts';

const { db } = await databaseOfFile();

const result = (changes: Partial<JobResult> = {}): JobResult => ({
  ...{ id: '1', type: 'fetch', symbol: 'AAA', state: 'completed', attempt: 1, source: null, bars: null, written: null, through: null },
  ...{ stale: false, simulated: false, warnings: [], signal: null, confidence: null, mode: null, eligible: null, kept: null, ms: null },
  ...{ fresh_after_ms: null, reason: null, items: null, ...changes },
});
const price = (symbol: string, changes: Partial<PriceState> = {}): PriceState => ({
  ...{ symbol, state: 'fresh', sessions_behind: 0, reason: 'bar of today', unknown: false, simulated: false, ...changes },
});
type Row = Record<string, string>;
function rowsOf(...given: Parameters<typeof resultsTable>): Row[] {
  const [head, ...lines] = resultsTable(...given)
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ {2,}/));
  return lines.map((line) => Object.fromEntries(line.map((cell, index) => [head![index], cell])));
}

describe('the table', () => {
  test('has a line for a symbol, of its fetch, its analysis and its rankings', () => {
    const jobs = [
      result({ ...{ source: 'lean', bars: 9, written: 7, through: '2026-03-10', ms: 12, fresh_after_ms: 30 } }),
      result({
        ...{ id: '2', type: 'analysis', signal: 'buy', confidence: 0.346, fresh_after_ms: 50, source: 'other', through: '2020-01-01' },
      }),
      result({ ...{ id: '3', type: 'rank', mode: 'entry', eligible: 90, kept: 50, fresh_after_ms: 45 } }),
      result({ ...{ id: '4', type: 'rank', mode: 'exit', eligible: 2, kept: 1 } }),
      result({ ...{ id: '5', type: 'rank', mode: 'monitor', kept: null } }),
    ];
    expect(rowsOf(jobs, [], [price('AAA')])).toEqual([
      {
        ...{ SYMBOL: 'AAA', SOURCE: 'lean', 'NEW BARS': '7', THROUGH: '2026-03-10', 'FETCH MS': '12', SIGNAL: 'buy 35 %' },
        ...{ RANKED: 'entry 50 of 90, exit 1 of 2', 'FRESH AFTER MS': '50' },
      },
    ]);
  });

  test('has the items of a batch, with their source, bars and warnings, or why they have none', () => {
    const items = [
      { symbol: 'AAA', state: 'done', rows: 5, reason: 'lean: through 2026-03-10' },
      { symbol: 'BBB', state: 'done', rows: 0, reason: 'lean: through 2026-03-10; 1 bar left out; a split' },
      { symbol: 'CCC', state: 'no_data', rows: null, reason: 'no source has it' },
      { symbol: 'DDD', state: 'failed', rows: null, reason: null },
      { symbol: 'EEE', state: 'done', rows: 1, reason: null },
    ];
    const rows = rowsOf([result({ type: 'batch_fetch', symbol: null, items, fresh_after_ms: 40 })], [], []);
    expect(rows).toEqual([
      { SYMBOL: 'AAA', SOURCE: 'lean', 'NEW BARS': '5', 'FRESH AFTER MS': '40', NOTE: '–' },
      { SYMBOL: 'BBB', SOURCE: 'lean', 'NEW BARS': '0', 'FRESH AFTER MS': '40', NOTE: '1 bar left out; a split' },
      { SYMBOL: 'CCC', SOURCE: '–', 'NEW BARS': '–', 'FRESH AFTER MS': '40', NOTE: 'no data: no source has it' },
      { SYMBOL: 'DDD', SOURCE: '–', 'NEW BARS': '–', 'FRESH AFTER MS': '40', NOTE: 'failed' },
      { SYMBOL: 'EEE', SOURCE: '–', 'NEW BARS': '1', 'FRESH AFTER MS': '40', NOTE: '–' },
    ]);
  });

  test.each<[string, Partial<JobResult>, string]>([
    ['still runs', { state: 'running' }, 'fetch is still running'],
    ['waits', { state: 'scheduled', reason: 'HTTP 503' }, 'fetch is still scheduled: HTTP 503'],
    ['failed', { state: 'failed', reason: 'no\nsource' }, 'fetch failed: no source'],
    ['has errors', { state: 'completed_with_errors' }, 'fetch completed with errors'],
    ['gave stored data again', { stale: true, simulated: true }, 'no source had newer data: the stored data is given again'],
    ['has made-up prices', { simulated: true }, 'made-up prices'],
    ['has made-up prices and warnings', { simulated: true, warnings: ['a', 'b'] }, 'made-up prices; a; b'],
  ])('notes a job that %s', (_, changes, note) => {
    expect(rowsOf([result(changes)], [], [])[0]).toMatchObject({ NOTE: note });
  });

  test.each<[string, Partial<PriceState>, Partial<JobResult>, string | undefined]>([
    ['stale, with nothing else to say', { state: 'stale' }, {}, 'stale: bar of today'],
    ['stale, where the job has a note', { state: 'stale' }, { warnings: ['a'] }, 'a'],
    ['outdated, beside the note', { state: 'outdated' }, { warnings: ['a'] }, 'a; outdated: bar of today'],
    ['fresh', {}, { source: 'lean' }, undefined],
    ['made up', { simulated: true }, {}, 'made-up prices'],
    ['made up, as the job said', { simulated: true }, { simulated: true }, 'made-up prices'],
    ['made up, beside the note', { simulated: true, state: 'outdated' }, {}, 'made-up prices; outdated: bar of today'],
  ])('notes a price that is %s', (_, state, job, note) => {
    expect(rowsOf([result(job)], [], [price('AAA', state), price('OTHER', { state: 'stale', simulated: true })])[0]?.NOTE).toBe(note);
    expect(rowsOf([result(job)], [], [price('AAA', state), price('OTHER')])).toHaveLength(1);
  });

  test('notes why a symbol needed no job, after the notes of its jobs', () => {
    const rows = rowsOf(
      [result({ warnings: ['a'] })],
      [
        { symbol: 'AAA', reason: 'fresh' },
        { symbol: 'BBB', reason: 'bar is final' },
      ],
      [],
    );
    expect(rows).toEqual([
      { SYMBOL: 'AAA', NOTE: 'a' },
      { SYMBOL: 'BBB', NOTE: 'bar is final' },
    ]);
  });
});

test('failed are those that ended otherwise than completed, unfinished those that have not ended', () => {
  const jobs = (['ready', 'running', 'completed', 'completed_with_errors', 'failed', 'cancelled', 'expired', 'scheduled'] as const).map(
    (state) => result({ state }),
  );
  expect(failures(jobs).map(({ state }) => state)).toEqual(['completed_with_errors', 'failed', 'cancelled', 'expired']);
  expect(unfinished(jobs).map(({ state }) => state)).toEqual(['ready', 'running', 'scheduled']);
});

test('the symbols of a job are its own, or those of its items', () => {
  expect(symbolsOf(result())).toEqual(['AAA']);
  expect(symbolsOf(result({ symbol: null, items: [{ symbol: 'B', state: 'done', rows: 1, reason: null }] }))).toEqual(['B']);
  expect(symbolsOf(result({ symbol: null }))).toEqual([]);
});

describe('read from the ledger', () => {
  const ID = ['01932c07-5f2a-7000-8a3b-000000000001', '01932c07-5f2a-7000-8a3b-000000000002'] as const;
  const followed = (changes: Partial<FollowedJob> = {}): FollowedJob => ({
    ...{ id: ID[0], type: 'fetch', symbol: 'AAA', state: 'completed', attempt: 2, worker: 'w', reason: 'of the message', items: null },
    ...{ endedAt: 1_050.4, ...changes },
  });
  const store = (id: string, stored: unknown, reason: string | null = null) =>
    db.run("REPLACE INTO ended (job_id, state, attempt, ended_at, result, reason) VALUES (?, 'completed', 1, NOW(3), ?, ?)", [
      idToBytes(id),
      stored === null ? null : JSON.stringify(stored),
      reason,
    ]);

  test('they have what their type shows, and null for the rest', async () => {
    await store(
      ID[0],
      {
        source: 'lean',
        bars: 9,
        written: 7,
        through: '2026-03-10',
        stale: true,
        simulated: true,
        warnings: ['w'],
        ms: 12,
        signal: 'buy',
        kept: 4,
      },
      'of the ledger',
    );
    await store(ID[1], { signal: 'sell', confidence: 0.5, bars: 3, source: 'lean' });
    const analysis = followed({ id: ID[1], type: 'analysis', endedAt: null, reason: null });
    expect(await readResults(db, [followed(), analysis], 1_000)).toEqual([
      {
        ...{
          id: ID[0],
          type: 'fetch',
          symbol: 'AAA',
          state: 'completed',
          attempt: 2,
          source: 'lean',
          bars: 9,
          written: 7,
          through: '2026-03-10',
        },
        ...{
          stale: true,
          simulated: true,
          warnings: ['w'],
          signal: null,
          confidence: null,
          mode: null,
          eligible: null,
          kept: null,
          ms: 12,
        },
        ...{ fresh_after_ms: 50, reason: 'of the ledger', items: null },
      },
      expect.objectContaining({
        id: ID[1],
        signal: 'sell',
        confidence: 0.5,
        source: null,
        stale: false,
        fresh_after_ms: null,
        reason: null,
      }),
    ]);
  });

  test('a job without a stored result has its own reason', async () => {
    await db.run('DELETE FROM ended');
    expect(await readResults(db, [followed()], 1_000)).toEqual([
      result({ id: ID[0], attempt: 2, fresh_after_ms: 50, reason: 'of the message' }),
    ]);
    expect(await readResults(db, [], 1_000)).toEqual([]);
  });

  test('a batch has its items', async () => {
    await db.run(
      "INSERT INTO job_items (job_id, item_key, state, row_count, reason, updated_at) VALUES (?, 'BBB', 'done', 3, 'lean: x', NOW()), (?, 'CCC', 'failed', NULL, NULL, NOW())",
      [idToBytes(ID[0]), idToBytes(ID[0])],
    );
    const [batch] = await readResults(db, [followed({ type: 'batch_fetch', symbol: null })], 1_000);
    expect(batch?.items).toEqual([
      { symbol: 'BBB', state: 'done', rows: 3, reason: 'lean: x' },
      { symbol: 'CCC', state: 'failed', rows: null, reason: null },
    ]);
  });
});
