/** The driver compiles a parser for each list of column names and keeps up to 15,000 of them: a name that holds a value costs one a statement, and some 13 KB of memory each. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { ledgerFixture } from '../fixture.ts';

const on = ledgerFixture();
const parsers = createRequire(import.meta.url)(join(process.cwd(), 'node_modules/mysql2/lib/parsers/parser_cache.js'));

test('asking for jobs that wait already makes no row parser for each of them', async () => {
  const names = new Set<string>();
  const getParser = vi.spyOn(parsers, 'getParser');
  onTestFinished(() => getParser.mockRestore());
  const joined = async (symbol: string) => {
    await on.add({ symbol, dedupeKey: symbol });
    getParser.mockClear();
    await on.ask({ symbol, dedupeKey: symbol, user: 'alice' });
    const asked = getParser.mock.calls.map(([, fields]) => (fields as { name: string }[]).map(({ name }) => name).join());
    const fresh = asked.filter((name) => !names.has(name));
    for (const name of asked) names.add(name);
    return fresh;
  };
  expect((await joined('AAPL')).length).toBeGreaterThan(0);
  expect(await joined('MSFT')).toEqual([]);
});
