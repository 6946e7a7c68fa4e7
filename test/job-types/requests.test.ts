import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { analysisRequest } from '../../services/job-types/analysis/request.ts';
import { BackfillPayload } from '../../services/job-types/backfill/definition.ts';
import { backfillRequest } from '../../services/job-types/backfill/request.ts';
import { BatchFetchPayload } from '../../services/job-types/batch-fetch/definition.ts';
import { portfolioBatches } from '../../services/job-types/batch-fetch/request.ts';
import { fetchRequest } from '../../services/job-types/fetch/request.ts';
import { RankPayload } from '../../services/job-types/rank/definition.ts';
import { rankRequests } from '../../services/job-types/rank/request.ts';
import type { Origin } from '../../services/job-types/request.ts';
import { loadConfig } from '../../services/platform/config/load.ts';

// priority.md: user_request 3, scheduled_update 5, background_analysis 8.
const rules = loadConfig({ env: {} }).config.jobs.priority_rules;
const byHand: Origin = { cause: 'user_request', rules, user: 'alice' };
const bySchedule: Origin = { cause: 'scheduled_update', rules, by: 'portfolios before the session' };

test('a fetch by hand has the level of its cause and is refused by a full queue', () => {
  expect(fetchRequest('AAPL', byHand)).toMatchObject({
    type: 'fetch',
    payload: { symbol: 'AAPL' },
    level: 3,
    dedupeKey: 'fetch:AAPL:bars',
    user: 'alice',
    triggeredBy: 'user_request',
    whenFull: 'refuse',
    why: { text: 'user_request: priority 3' },
  });
});

test('the analysis that follows a scheduled fetch is background work and says so', () => {
  expect(analysisRequest('AAPL', bySchedule)).toMatchObject({
    level: 8,
    after: ['fetch:AAPL:bars'],
    triggeredBy: 'scheduled_update',
    why: { text: 'scheduled_update (portfolios before the session): priority 8, that of background_analysis' },
  });
});

test('an analysis by hand is as urgent as its fetch', () => {
  expect(analysisRequest('AAPL', byHand).level).toBe(3);
});

describe('a portfolio in batches', () => {
  const symbols = ['IBM', 'AAPL', 'SPY', 'AAPL', 'QQQ', 'BAC'];

  test('has each symbol once, in batches of at most the size', () => {
    const batches = portfolioBatches(symbols, 2, bySchedule).filter(({ type }) => type === 'batch_fetch');
    expect(batches.map(({ payload }) => payload.symbols)).toEqual([['AAPL', 'BAC'], ['IBM', 'QQQ'], ['SPY']]);
    for (const { payload } of batches) BatchFetchPayload.parse(payload);
  });

  test('is the same work whatever the order of its symbols', () => {
    const keys = (list: string[]) => portfolioBatches(list, 2, bySchedule).map(({ dedupeKey }) => dedupeKey);
    expect(keys(symbols.toReversed())).toEqual(keys(symbols));
    expect(keys(symbols)[0]).toBe(`batch_fetch:${createHash('sha256').update('AAPL BAC').digest('hex')}`);
  });

  test('analyses each symbol after its own batch, with all fetches before all analyses', () => {
    const requests = portfolioBatches(symbols, 2, bySchedule);
    expect(requests.map(({ type }) => type)).toEqual([...Array(3).fill('batch_fetch'), ...Array(5).fill('analysis')]);
    expect(requests.find(({ symbol }) => symbol === 'QQQ')?.after).toEqual([requests[1]?.dedupeKey, 'fetch:QQQ:bars']);
  });
});

describe('a backfill', () => {
  test('is background work with a range of its own', () => {
    const request = backfillRequest('AAPL', { from: '2020-01-01', to: '2020-12-31' }, byHand, 6);
    expect(request).toMatchObject({
      level: 6,
      type: 'backfill',
      dedupeKey: 'backfill:AAPL:2020-01-01:2020-12-31',
      why: { text: 'user_request: priority 6, that of jobs.default_priority' },
    });
    expect(BackfillPayload.parse(request.payload)).toEqual({ symbol: 'AAPL', from: '2020-01-01', to: '2020-12-31' });
  });

  test('of a day that does not exist is refused', () => {
    expect(() => backfillRequest('AAPL', { from: '2020-02-30', to: '2020-12-31' }, byHand, 6)).toThrow(
      expect.objectContaining({ code: 'backfill.bad_day', message: '"2020-02-30" is not a day; write it like 2026-01-31' }),
    );
  });

  test('that ends before it begins is refused', () => {
    expect(() => backfillRequest('AAPL', { from: '2020-02-01', to: '2020-01-01' }, byHand, 6)).toThrow(
      expect.objectContaining({ code: 'backfill.bad_range' }),
    );
  });
});

describe('a ranking', () => {
  const rank = (origin: Origin, stale: string[] = []) =>
    rankRequests(['AAPL', 'SPY', 'AAPL'], ['entry', 'exit', 'entry'], origin, { windowSeconds: 300, stale: new Set(stale) });

  test('is a job for each symbol and mode, that stands for later requests of the same', () => {
    const keys = ['rank:AAPL:entry', 'rank:AAPL:exit', 'rank:SPY:entry', 'rank:SPY:exit'];
    expect(rank(byHand).map(({ dedupeKey }) => dedupeKey)).toEqual(keys);
    expect(rank(byHand)[0]).toMatchObject({ type: 'rank', payload: { symbol: 'AAPL', mode: 'entry' }, level: 3, dedupeWindowSeconds: 300 });
    for (const { payload } of rank(byHand)) RankPayload.parse(payload);
  });

  test('of stale prices comes after their fetch', () => {
    const requests = rank(byHand, ['SPY']);
    expect(requests.map(({ type, symbol }) => `${type} ${symbol}`)).toEqual([
      'rank AAPL',
      'rank AAPL',
      'fetch SPY',
      'rank SPY',
      'rank SPY',
    ]);
    expect(requests.at(-1)?.after).toEqual(['fetch:SPY:bars']);
  });

  test('by schedule is background work, its fetch is not', () => {
    expect(rank(bySchedule, ['SPY']).map(({ level }) => level)).toEqual([8, 8, 5, 8, 8]);
  });
});

test('an exit ranking depends on the positions: its key is another with others, those of the other modes are not', () => {
  const held = new Map([['AAPL', 'aaaa']]);
  const requests = rankRequests(['AAPL', 'SPY'], ['monitor', 'exit'], byHand, { windowSeconds: 300, stale: new Set(), held });
  expect(requests.map(({ dedupeKey }) => dedupeKey)).toEqual([
    'rank:AAPL:monitor',
    'rank:AAPL:exit:aaaa',
    'rank:SPY:monitor',
    'rank:SPY:exit',
  ]);
});
