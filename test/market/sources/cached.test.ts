import { expect, test } from 'vitest';
import { cachedSource, type StoredBars } from '../../../services/market/sources/cached.ts';

const signal = new AbortController().signal;
const stored: StoredBars = {
  asOf: Temporal.Instant.from('2024-05-01T20:00:00Z'),
  bars: [{ date: '2024-05-01', open: 1, high: 2, low: 1, close: 2, adjustedClose: 2, volume: 5 }],
  actions: [],
  currency: 'USD',
};

test('what is stored is answered as it is, marked stale and as of its fetch', async () => {
  const asked: unknown[] = [];
  const source = cachedSource({
    read: async (...question) => {
      asked.push(question);
      return stored;
    },
  });
  const range = { from: '2024-04-01' };
  expect(await source.bars('AAPL', range, signal)).toEqual({ ...stored, symbol: 'AAPL', source: 'cached', stale: true });
  expect(asked).toEqual([['AAPL', range]]);
});

test('nothing stored is a transient source.cache_empty that names the symbol', async () => {
  const source = cachedSource({ read: async () => undefined });
  await expect(source.bars('AAPL', { from: '2024-04-01' }, signal)).rejects.toMatchObject({
    name: 'TransientError',
    code: 'source.cache_empty',
    message: expect.stringContaining('AAPL'),
  });
});

test('an abort is heard before the store is asked', async () => {
  const source = cachedSource({ read: () => Promise.reject(new Error('asked')) });
  await expect(source.bars('AAPL', { from: '2024-04-01' }, AbortSignal.abort(new Error('cancelled')))).rejects.toThrow('cancelled');
});
