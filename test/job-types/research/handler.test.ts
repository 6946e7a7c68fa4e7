import { expect, test } from 'vitest';
import type { JobContext } from '../../../services/job-types/handler.ts';
import { researchHandler } from '../../../services/job-types/research/handler.ts';
import type { Research } from '../../../services/market/research/configured.ts';
import { simulatedResearch } from '../../../services/market/research/simulated.ts';
import { readFundamentals, readNews } from '../../../services/market/research/store.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { PermanentError, TransientError } from '../../../services/platform/errors.ts';
import { databaseOfFile } from '../../support/database.ts';

const { db } = await databaseOfFile();
const START = '2026-03-03T16:00:00Z';

function world() {
  const clock = new ManualClock(START);
  const asked: string[] = [];
  const simulated = simulatedResearch({ seed: 1, clock });
  const fail: Partial<Record<'fundamentals' | 'news', Error>> = {};
  const research: Research = {
    async fundamentals(symbol, signal) {
      asked.push('fundamentals');
      if (fail.fundamentals !== undefined) throw fail.fundamentals;
      return simulated.fundamentals(symbol, signal);
    },
    async news(symbol, signal) {
      asked.push('news');
      if (fail.news !== undefined) throw fail.news;
      return simulated.news(symbol, signal);
    },
  };
  const { run, store } = researchHandler({ sql: db, research });
  async function runOnce(symbol: string, { attempt = 1, ...how }: { attempt?: number; force?: boolean; news?: boolean } = {}) {
    const context = { clock, signal: new AbortController().signal, job: { attempt, maxAttempts: 4 } } as unknown as JobContext<never>;
    const output = await run({ symbol, ...how }, context);
    await db.transaction((tx) => store(tx, output.rows));
    return output;
  }
  return { clock, asked, fail, runOnce };
}

test('fundamentals and news are stored with their source and the time at which they were fetched', async () => {
  const { runOnce } = world();
  const { result } = await runOnce('AAPL');
  const stored = (await readFundamentals(db, ['AAPL'])).get('AAPL');
  const news = await readNews(db, 'AAPL', 10);
  expect([stored?.source, stored?.fetchedAt.toString(), stored?.currency]).toEqual(['simulated', START, 'USD']);
  expect(stored?.values.marketCap).toBeGreaterThan(1e9);
  expect(news.items.length).toBe(result.headlines);
  expect([news.source, result.simulated]).toEqual(['simulated', true]);
});

test('what is fresh is not fetched again: news after an hour, fundamentals after a day', async () => {
  const { clock, asked, runOnce } = world();
  await runOnce('MSFT');
  await runOnce('MSFT');
  expect(asked).toEqual(['fundamentals', 'news']);
  clock.advance({ minutes: 61 });
  await runOnce('MSFT');
  expect(asked).toEqual(['fundamentals', 'news', 'news']);
  clock.advance({ hours: 24 });
  await runOnce('MSFT');
  expect(asked.length).toBe(5);
});

test('of a member of a universe that nobody asked for the fundamentals alone are fetched, and its news are as unknown as before', async () => {
  const { asked, runOnce } = world();
  const { result } = await runOnce('ORCL', { news: false });
  expect([asked, result.headlines]).toEqual([['fundamentals'], null]);
  expect((await readNews(db, 'ORCL', 1)).checkedAt).toBeNull();
});

test('with force all is fetched', async () => {
  const { asked, runOnce } = world();
  await runOnce('IBM');
  await runOnce('IBM', { force: true });
  expect(asked.length).toBe(4);
});

test('news that no source gives are tried again, and at the last attempt cost the fundamentals nothing', async () => {
  const { fail, runOnce } = world();
  fail.news = new TransientError('source.timeout', 'no answer within 10 s');
  await expect(runOnce('GOOG')).rejects.toThrow('no answer within 10 s');
  const { withErrors } = await runOnce('GOOG', { attempt: 4 });
  expect(withErrors).toBe('no answer within 10 s');
  expect((await readFundamentals(db, ['GOOG'])).size).toBe(1);
});

test('a symbol that no source knows fails the job at once', async () => {
  const { fail, runOnce } = world();
  fail.news = new PermanentError('source.unknown_symbol', 'unknown symbol NOPE');
  fail.fundamentals = fail.news;
  await expect(runOnce('NOPE')).rejects.toMatchObject({ code: 'source.unknown_symbol' });
});

test('the newest fundamentals at or before a moment are read', async () => {
  const { clock, runOnce } = world();
  await runOnce('QQQ');
  clock.advance({ hours: 48 });
  await runOnce('QQQ');
  const at = async (moment: string) =>
    (await readFundamentals(db, ['QQQ'], Temporal.Instant.from(moment))).get('QQQ')?.fetchedAt.toString();
  expect([await at('2026-03-04T00:00:00Z'), await at('2026-03-06T00:00:00Z'), await at('2026-03-01T00:00:00Z')]).toEqual([
    START,
    '2026-03-05T16:00:00Z',
    undefined,
  ]);
});
