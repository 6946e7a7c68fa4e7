/** What the listed job types are, in the configuration as shipped, and what their definitions do with a command line. */
import { describe, expect, test } from 'vitest';
import { analysisHandler } from '../../services/job-types/analysis/handler.ts';
import { backfillType } from '../../services/job-types/backfill/definition.ts';
import { batchFetchType } from '../../services/job-types/batch-fetch/definition.ts';
import { fetchHandler } from '../../services/job-types/fetch/handler.ts';
import { handler } from '../../services/job-types/handler.ts';
import { JOB_TYPES, listedNames, namesOf } from '../../services/job-types/index.ts';
import { today } from '../../services/job-types/job-type.ts';
import { ledgerOf } from '../../services/job-types/ledger.ts';
import { RankPayload, rankType } from '../../services/job-types/rank/definition.ts';
import { type Origin, requestFor, withPriority } from '../../services/job-types/request.ts';
import { ManualClock, systemClock } from '../../services/platform/clock.ts';
import { PermanentError } from '../../services/platform/errors.ts';
import { configOf } from '../scheduler/configuration.ts';

const clock = new ManualClock('2026-03-10T23:30:00Z');
const origin: Origin = { cause: 'user_request', rules: configOf().jobs.priority_rules };
const contextOf = (config = configOf()) => ({ config, clock, db: undefined as never, origin });

// config/default.yaml: 3 retries of sources after 30, 120, 300 s, 3 of others after 60 s; five minutes at most for any job.
test('the types have the attempts, pauses and time limits of the configuration', () => {
  const config = configOf({
    'stock_jobs.data_fetch.max_retries': 2,
    'stock_jobs.data_fetch.retry_backoff': '5,50',
    'jobs.max_retries': 4,
    'jobs.retry_delay': 7,
    'jobs.timeouts.stock_fetch': 11,
    'jobs.timeouts.stock_analysis': 12,
    'jobs.timeouts.portfolio_fetch': 9_000,
    'worker.max_execution_time': 500,
    'ranking.timeout': 13,
    'jobs.timeouts.batch_analysis': 14,
  });
  // Which capability: capabilities.test.ts.
  const sources = { maxAttempts: 3, backoffSeconds: [5, 50], capabilityOf: expect.any(Function) };
  expect(ledgerOf({} as never, systemClock, config).types).toEqual({
    fetch: { ...sources, timeoutSeconds: 11, mayCompleteWithErrors: false, measuresSource: true },
    backfill: { ...sources, timeoutSeconds: 11, mayCompleteWithErrors: false },
    batch_fetch: { ...sources, timeoutSeconds: 500, mayCompleteWithErrors: true },
    analysis: { maxAttempts: 5, backoffSeconds: [7], timeoutSeconds: 12, mayCompleteWithErrors: false },
    rank: { ...sources, timeoutSeconds: 13, mayCompleteWithErrors: true, needsMayFail: true },
    research: { ...sources, timeoutSeconds: 11, mayCompleteWithErrors: true },
    llm_analysis: { maxAttempts: 5, backoffSeconds: [7], timeoutSeconds: 14, mayCompleteWithErrors: false, needsMayFail: true },
    // Three attempts, 2, 4 and 8 minutes apart; two calls of the model of 120 s each with time around them; worth having three days later.
    picks: {
      ...{ maxAttempts: 3, backoffSeconds: [120, 240, 480], timeoutSeconds: 360, ttlSeconds: 3 * 86_400 },
      ...{ takesNoSlot: true, needsMayFail: true, mayCompleteWithErrors: false },
    },
    picks_universe: {
      ...{ maxAttempts: 5, backoffSeconds: [7], timeoutSeconds: 500, ttlSeconds: 86_400, needsMayFail: true, mayCompleteWithErrors: false },
    },
    history: { ...sources, timeoutSeconds: 500, ttlSeconds: 30 * 86_400, mostPerWorker: 2, takesNoSlot: true, mayCompleteWithErrors: true },
  });
});

test('a type is found by its earlier names too, and the documents list each kind of data once', () => {
  expect(namesOf()).toMatchObject({
    ...{ fetch: 'fetch', stock_fetch: 'fetch', portfolio_priority: 'fetch', batch_fetch: 'batch_fetch', stock_batch_fetch: 'batch_fetch' },
    ...{ portfolio_fetch: 'batch_fetch', analysis: 'analysis', stock_analysis: 'analysis', batch_analysis: 'analysis', rank: 'rank' },
  });
  expect(listedNames()).toEqual({
    jobTypes: ['fetch', 'batch_fetch', 'backfill', 'analysis', 'rank', 'research', 'llm_analysis', 'picks', 'picks_universe', 'history'],
    dataKinds: ['bars', 'indicators', 'ranks', 'research', 'llm_analysis', 'history'],
  });
  for (const { name, about } of JOB_TYPES) expect([name.length <= 24, about]).toEqual([true, expect.stringMatching(/^[A-Z]/)]);
});

test('today is the day in UTC', () => {
  expect(today(clock)).toBe('2026-03-10');
  expect(today(new ManualClock('2026-03-11T00:00:00Z'))).toBe('2026-03-11');
});

describe('a handler', () => {
  const echo = handler(
    { name: 'echo', payload: RankPayload, logComponent: 'analyzer' },
    async ({ symbol }) => ({ rows: [symbol], result: {}, dataMessages: [] }),
    async () => {},
    ({ symbol }) => [symbol],
  );
  const run = (payload: unknown) => Promise.resolve().then(() => echo.run(payload, {} as never));

  test('refuses a payload that is not of its type, with each field that is wrong', async () => {
    const refusal = (payload: unknown) => run(payload).catch((error: unknown) => error);
    expect(await refusal({ symbol: 'AAPL', mode: 'buy' })).toBeInstanceOf(PermanentError);
    expect(await refusal({ symbol: 'AAPL', mode: 'buy' })).toMatchObject({
      code: 'job.invalid_payload',
      message: expect.stringMatching(/^echo job with payload \{"symbol":"AAPL","mode":"buy"\}: mode: /),
    });
    expect(await refusal(7)).toMatchObject({ message: expect.stringMatching(/^echo job with payload 7: payload: /) });
    const { message } = (await refusal({ symbol: 'x'.repeat(300) })) as Error;
    expect(message.split(': symbol: ')[0]).toBe(`echo job with payload {"symbol":"${'x'.repeat(189)}`);
    expect(await run({ symbol: 'aapl', mode: 'entry' })).toMatchObject({ rows: ['AAPL'] });
  });

  test('leaves rows of a failure for a payload of its type alone, and none where its type has none', () => {
    const around = { config: configOf(), clock } as never;
    const unknown = new PermanentError('source.unknown_symbol', 'no source knows FB');
    expect(echo.rowsOfFailure!({ symbol: 'AAPL', mode: 'entry' }, unknown, around)).toEqual(['AAPL']);
    expect(echo.rowsOfFailure!({ symbol: 'AAPL' }, unknown, around)).toEqual([]);
    expect(fetchHandler.rowsOfFailure!({ symbol: 'FB' }, unknown, around)).toMatchObject([{ symbol: 'FB' }]);
    expect(analysisHandler.rowsOfFailure!({ symbol: 'FB' }, unknown, around)).toEqual([]);
  });
});

describe('a request', () => {
  test('keeps who asked in its reason, cut to a hundred characters', () => {
    const { why } = requestFor({ ...origin, by: 'x'.repeat(101) }, { type: 'fetch', payload: {} });
    expect(why).toEqual({ text: `user_request (${'x'.repeat(100)}): priority 3`, cause: 'user_request', base: 3, priority: 3 });
  });

  test('with a priority of its own says so, beside that of its cause', () => {
    const request = withPriority(requestFor(origin, { type: 'fetch', payload: {} }), 9);
    expect(request).toMatchObject({ level: 9, score: 0.5, why: { text: 'user_request: asked for with priority 9', base: 3, priority: 9 } });
  });
});

describe('a command line', () => {
  test('backfill goes to its last day or to today, and refuses a range before it is connected', async () => {
    const { requests } = backfillType.cli;
    const made = async (options: { from: string; to?: string }) => (await requests(['aapl'], options).make(contextOf()))[0]?.payload;
    expect(await made({ from: '2026-01-02', to: '2026-01-31' })).toEqual({ symbol: 'AAPL', from: '2026-01-02', to: '2026-01-31' });
    expect(await made({ from: '2026-01-02' })).toEqual({ symbol: 'AAPL', from: '2026-01-02', to: '2026-03-10' });
    expect(await made({ from: '2026-03-10' })).toEqual({ symbol: 'AAPL', from: '2026-03-10', to: '2026-03-10' });
    expect(() => requests(['AAPL'], { from: '2026-02-01', to: '2026-01-01' })).toThrow(
      expect.objectContaining({ code: 'backfill.bad_range', message: expect.stringContaining('exchange the two days') }),
    );
  });

  test('fetch takes symbols or a portfolio, each symbol once, and leaves the analyses out where they are not wanted', async () => {
    const { requests } = batchFetchType.cli;
    const made = async (args: string[], analysis: boolean) => {
      const all = await requests(args, { analysis }).make(contextOf());
      return all.map(({ type, symbol }) => `${type} ${symbol}`);
    };
    expect(await made(['aapl', 'MSFT', 'AAPL'], true)).toEqual(['fetch AAPL', 'analysis AAPL', 'fetch MSFT', 'analysis MSFT']);
    expect(await made(['aapl', 'MSFT'], false)).toEqual(['fetch AAPL', 'fetch MSFT']);
    for (const [args, portfolio] of [
      [[], undefined],
      [['AAPL'], 'alice'],
    ] as const)
      expect(() => requests([...args], { analysis: true, ...(portfolio === undefined ? {} : { portfolio }) })).toThrow(
        expect.objectContaining({ code: 'fetch.nothing' }),
      );
    expect(requests([], { analysis: true, portfolio: 'alice' }).user).toBe('alice');
  });

  test('rank stores a past only from a folder', () => {
    const { requests } = rankType.cli;
    expect(requests(['aapl'], { mode: ['entry'] }).prepare).toBeUndefined();
    expect(requests(['aapl'], { mode: ['entry'], backfill: '/past' }).prepare).toBeTypeOf('function');
  });
});
