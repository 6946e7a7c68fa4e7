/** A narrow terminal shows the columns that matter most: which of each table go first, and which stay to the end. */
import { stripVTControlCharacters } from 'node:util';
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { storeRuns } from '../../../services/market/options/store/runs.ts';
import { inventRun } from '../../market/options/ranking/invented-run.ts';
import { deleteJobs } from '../../support/job-rows.ts';
import { addJob, ago, overDatabase } from '../over-database.ts';

type Table = typeof import('../../../services/cli/output/table.ts').table;
const tables: Parameters<Table>[] = vi.hoisted(() => []);
vi.mock('../../../services/cli/output/table.ts', async (original) => {
  const real = await original<typeof import('../../../services/cli/output/table.ts')>();
  const table: Table = (...given) => {
    tables.push(given as never);
    return real.table(...given);
  };
  return { ...real, table };
});
const { table } = await vi.importActual<typeof import('../../../services/cli/output/table.ts')>('../../../services/cli/output/table.ts');
const { db, run } = await overDatabase();

/** The columns of a command's table in the order in which they are left out as the terminal becomes narrower, and those that stay. */
async function leavingOut(args: string[]): Promise<{ gone: string[]; stay: string[] }> {
  tables.length = 0;
  await run(...args);
  const [[rows, columns] = []] = tables;
  const at = (width: number): string[] =>
    stripVTControlCharacters(table(rows!, columns!, width).split('\n')[0]!)
      .trim()
      .split(/ {2,}/);
  let stay = at(400);
  const gone: string[] = [];
  for (let width = 400; width > 0; width--) {
    const next = at(width);
    gone.push(...stay.filter((title) => !next.includes(title)));
    stay = next;
  }
  return { gone, stay };
}

test('of jobs the worker, the queue and the user go before what a job is and why it waits', async () => {
  onTestFinished(async () => {
    await deleteJobs(db);
  });
  await addJob(db, {
    ...{ state: 'failed', user: 'alice', worker: 'w1', started: ago(9), ended: ago(5) },
    result: { reason: 'no source answers this' },
  });
  expect(await leavingOut(['jobs'])).toEqual({
    gone: ['WORKER', 'QUEUE', 'USER', 'TOOK', 'TRY', 'PRI', 'AGE', 'REASON'],
    stay: ['ID', 'STATE', 'TYPE', 'SYMBOL'],
  });
});

describe('of rankings the contract and its rank stay', () => {
  beforeAll(async () => {
    await db.transaction((tx) => storeRuns(tx, [inventRun('monitor'), inventRun('exit')]));
  });

  test('and its signals and scores longest', async () => {
    expect(await leavingOut(['ranks', 'ACME', '--limit', '5'])).toEqual({
      gone: ['#', 'MEASURED', 'OPEN', 'VOLUME', 'DELTA', 'IV', 'BID', 'ASK', 'DAYS', 'MOMENTUM', 'VALUE', 'GREEKS', 'SIGNALS'],
      stay: ['CONTRACT', 'RANK'],
    });
  });

  test('and for positions the profit and whose they are', async () => {
    const { gone, stay } = await leavingOut(['ranks', 'ACME', '--mode', 'exit']);
    expect(gone.slice(-2)).toEqual(['USER', 'P/L']);
    expect(stay).toEqual(['CONTRACT', 'RANK']);
  });
});

test('of a portfolio the symbol, its close, its state and what is wrong with it stay', async () => {
  const failed = "'bars', 'simulated', '2026-01-05 10:00:00', NOW(), NOW(), 1, 'source.all_failed', 'r'";
  await db.run("INSERT INTO holdings (user_id, symbol, quantity, cost, imported_at) VALUES ('alice', 'SAP.DE', 2, 3, NOW())");
  await db.run(
    "INSERT INTO symbols (symbol, newest_bar, as_of, close, currency, source, analysed_at, analysed_bar) VALUES ('SAP.DE', '2021-03-31', '2021-03-31', 10, 'EUR', 'lean', NOW(), '2021-03-31'), ('EURUSD=X', '2021-03-31', '2021-03-31', 1.5, 'USD', 'lean', NULL, NULL)",
  );
  await db.run(
    "INSERT INTO analyses (symbol, date, computed_at, bars_used, indicators, `signal`, confidence, reasons) VALUES ('SAP.DE', '2021-03-31', NOW(), 1, '{}', 'buy', 0.5, '[]')",
  );
  await db.run(
    `INSERT INTO symbol_failures (symbol, what, sources, since, asked_at, again_at, times, code, reason) VALUES ('SAP.DE', ${failed})`,
  );
  expect(await leavingOut(['portfolio', 'show', 'alice'])).toEqual({
    gone: ['FRESHNESS', 'IN BASE', 'WEIGHT', 'CURRENCY', 'COST', 'P/L %', 'P/L', 'ANALYSIS', 'QUANTITY', 'VALUE', 'SIGNAL'],
    stay: ['SYMBOL', 'CLOSE', 'PRICE', 'NOTE'],
  });
});

test('of positions the owner, the contract and its price stay', async () => {
  await db.run(
    "INSERT INTO option_positions (user_id, contract, underlying, quantity, entry_price, entry_iv, entry_spot, target, stop, opened_at) VALUES ('alice', 'AAPL270115C00250000', 'AAPL', 1, 2, 0.3, 100, 120, 0.5, NOW())",
  );
  expect(await leavingOut(['position', 'list'])).toEqual({
    gone: ['OPENED', 'ENTRY IV', 'STOP', 'ENTRY SPOT', 'TARGET'],
    stay: ['ID', 'USER', 'CONTRACT', 'QUANTITY', 'PRICE'],
  });
});

test('of keys what they may do and whether they are in force stay', async () => {
  await run('key', 'create', '--name', 'one', '--scope', 'read');
  expect(await leavingOut(['key', 'list'])).toEqual({ gone: ['EXPIRES', 'CREATED', 'USED'], stay: ['ID', 'NAME', 'SCOPES', 'STATE'] });
});
