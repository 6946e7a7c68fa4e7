/** One instrument has one name from the portfolio file to the topics, whatever spelling comes in; every kind of ticker can be held. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readSymbols } from '../../services/market/bars/read.ts';
import { storeRefresh } from '../../services/market/bars/store.ts';
import { readHoldings } from '../../services/market/portfolios/holdings.ts';
import { importPortfolioCsv } from '../../services/market/portfolios/import.ts';
import { yahooSource } from '../../services/market/sources/yahoo.ts';
import { SymbolSchema, spellingsOf } from '../../services/market/symbol.ts';
import { ManualClock } from '../../services/platform/clock.ts';
import { encodeMessage, parseMessage } from '../../services/platform/messages.ts';
import { databaseOfFile } from '../support/database.ts';

const { db } = await databaseOfFile();
const folder = mkdtempSync(join(tmpdir(), 'instruments-'));
afterAll(() => rmSync(folder, { recursive: true }));

const now = new Date('2026-03-02T10:00:00Z');
const TICKERS = ['0P000071W8.TO', 'BRK.B', 'BT-A.L', 'BTC-USD', 'EURUSD=X', 'GC=F', 'M&M.NS', '^GSPC'];

function importing(...lines: string[]) {
  const path = join(folder, `${crypto.randomUUID()}.csv`);
  writeFileSync(path, ['user,symbol,quantity,cost', ...lines].join('\n'));
  return importPortfolioCsv(db, path, { now, name: 'p.csv' });
}

describe.each(TICKERS)('%s', (symbol) => {
  test('is imported and held as it is', async () => {
    await importing(`priya,${symbol},4,30`);
    expect((await readHoldings(db, ['priya'])).get('priya')).toEqual([{ symbol, quantity: 4, cost: 30 }]);
  });

  test('is accepted over HTTP and in payloads', () => {
    expect(SymbolSchema.parse(symbol.toLowerCase())).toBe(symbol);
  });

  test('is announced and its data published, with the raw value in the payload', () => {
    const at = now.toISOString();
    const job = {
      id: '0190f3',
      type: 'fetch',
      queue: 'foreground',
      priority: 1,
      score: 1,
      why: { text: 'x' },
      triggered_by: 'user_login',
      enqueued_at: at,
    } as const;
    for (const { topic, payload } of [
      encodeMessage('job', { ...job, symbol }),
      encodeMessage('data', { symbol, kind: 'bars', source: 'yahoo_finance', as_of: at, rows: 1 }),
    ]) {
      expect(topic).toMatch(/^[A-Za-z0-9_/-]+$/);
      expect(parseMessage(topic, Buffer.from(payload))).toMatchObject({ body: { symbol } });
    }
  });

  test('is stored and read back', async () => {
    const check = {
      symbol,
      newestBar: null,
      asOf: null,
      checkedAt: now,
      close: null,
      currency: 'USD',
      timeZone: null,
      source: 'yahoo_finance',
    } as const;
    await db.transaction((tx) =>
      storeRefresh(tx, [{ plan: { symbol, simulated: undefined, replaces: false }, bars: [], actions: [], check }]),
    );
    expect((await readSymbols(db, [symbol])).get(symbol)).toMatchObject({ symbol, currency: 'USD' });
  });
});

describe('Yahoo', () => {
  const asked: string[] = [];
  const source = (spellings: Parameters<typeof spellingsOf>[1] = []) =>
    yahooSource({
      clock: new ManualClock('2026-10-28T12:00:00Z'),
      spell: spellingsOf('yahoo_finance', spellings),
      fetch: async (url) => {
        asked.push(decodeURIComponent(new URL(String(url)).pathname.split('/').at(-1) as string));
        // The head of an answer of Yahoo for BRK-B.
        const meta = { currency: 'USD', symbol: 'BRK-B', exchangeTimezoneName: 'America/New_York', gmtoffset: -18000 };
        const prices = { open: [500], high: [510], low: [490], close: [505], volume: [1000] };
        const result = [{ meta, timestamp: [1788359400], indicators: { quote: [prices], adjclose: [{ adjclose: [505] }] } }];
        return Response.json({ chart: { result, error: null } });
      },
    });
  const answer = (symbol: string, of = source()) => of.bars(symbol, { from: '2026-01-01' }, new AbortController().signal);

  test.each(['BRK.B', 'BRK-B', 'BRK/B', 'brk/b'])('%s is asked for as BRK-B, and its bars are those of BRK.B', async (text) => {
    asked.length = 0;
    expect(await answer(text)).toMatchObject({ symbol: 'BRK.B', bars: [{ close: 505 }] });
    expect(asked).toEqual(['BRK-B']);
  });

  test.each(TICKERS.filter((symbol) => symbol !== 'BRK.B'))('%s is asked for as it is', async (symbol) => {
    asked.length = 0;
    await answer(symbol);
    expect(asked).toEqual([symbol]);
  });

  test('the table of the configuration has the last word', async () => {
    asked.length = 0;
    expect(await answer('BAC.K', source([{ source: 'yahoo_finance', symbol: 'BAC.K', spelling: 'BAC-PK' }]))).toMatchObject({
      symbol: 'BAC.K',
    });
    expect(asked).toEqual(['BAC-PK']);
  });

  test('an unknown symbol is named as it is held, with the spelling that was asked for', async () => {
    const refusing = yahooSource({
      clock: new ManualClock('2026-10-28T12:00:00Z'),
      fetch: async () =>
        Response.json({ chart: { result: null, error: { code: 'Not Found', description: 'No data found' } } }, { status: 404 }),
    });
    await expect(answer('ZZZ/B', refusing)).rejects.toThrow('unknown symbol ZZZ.B, asked for as ZZZ-B');
  });
});

describe('two spellings of one instrument', () => {
  test('in one portfolio are two lines of the same symbol', async () => {
    await expect(importing('priya,BRK-B,1,1', 'priya,BRK/B,2,2')).rejects.toThrow(
      'p.csv:3: BRK.B of user "priya" is in line 2 already; merge the two lines',
    );
  });

  test('of two users are held under one name', async () => {
    await importing('priya,BRK-B,1,1', 'marla,BRK/B,2,2', 'olaf,RDS/A,1,1');
    expect([...(await readHoldings(db, ['priya', 'marla', 'olaf']))].map(([, [holding]]) => holding?.symbol).sort()).toEqual([
      'BRK.B',
      'BRK.B',
      'RDS.A',
    ]);
  });
});

test('what is no ticker is refused with its line, and nothing is imported', async () => {
  const lines = ['ines,M&M.NS,4,3000', 'ines,NIFTY 50,1,1', 'ines,RDS/A,1,1', 'ines,BRK/B,1,1', 'ines,ES=F,1,1'];
  await expect(importing(...lines)).rejects.toThrow('p.csv:3: symbol "NIFTY 50" contains a space');
  expect((await readHoldings(db, ['ines'])).size).toBe(0);
});
