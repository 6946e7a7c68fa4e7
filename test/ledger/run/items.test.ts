import { describe, expect, test } from 'vitest';
import { retry } from '../../../services/ledger/control.ts';
import { reap } from '../../../services/ledger/maintain/rescue.ts';
import { readJob } from '../../../services/ledger/read/jobs.ts';
import { commitPart, complete } from '../../../services/ledger/run/complete.ts';
import { countItems, type ItemResult, listItems, openItems, recordItems } from '../../../services/ledger/run/items.ts';
import { ledgerFixture } from '../fixture.ts';

const on = ledgerFixture();
const symbols = ['AAPL', 'MSFT', 'SPY', 'XQZW'];
const batch = { type: 'batch_fetch', payload: { symbols } };
const record = (jobId: string, ...outcomes: ItemResult[]): Promise<void> =>
  on.db.transaction((tx) => recordItems(tx, on.ledger(), jobId, outcomes));

test('opening the items of a job makes them pending and returns them all', async () => {
  const job = await on.running(batch);
  expect(await openItems(on.ledger(), job.id, symbols)).toEqual(symbols);
  expect(await countItems(on.db, job.id)).toEqual({
    pending: 4,
    done: 0,
    skipped: 0,
    no_data: 0,
    failed: 0,
    not_entitled: 0,
    not_yet: 0,
    total: 4,
  });
});

test('the counts follow what became of the items: a failed one is not done', async () => {
  const job = await on.running(batch);
  await openItems(on.ledger(), job.id, symbols);
  await record(
    job.id,
    { key: 'AAPL', state: 'done', rows: 250, bytes: 9000 },
    { key: 'MSFT', state: 'no_data' },
    { key: 'XQZW', state: 'failed', reason: 'unknown' },
  );
  expect(await countItems(on.db, job.id)).toEqual({
    pending: 1,
    done: 1,
    skipped: 0,
    no_data: 1,
    failed: 1,
    not_entitled: 0,
    not_yet: 0,
    total: 4,
  });
});

test('a second attempt resumes with what is still pending', async () => {
  const job = await on.running(batch);
  await openItems(on.ledger(), job.id, symbols);
  await commitPart(on.ledger(), 'worker-1', job, (tx) => recordItems(tx, on.ledger(), job.id, [{ key: 'AAPL', state: 'done' }]));
  on.clock.advance({ seconds: 61 });
  await reap(on.ledger());
  const [again] = await on.take('worker-2');
  expect(await openItems(on.ledger(), again!.id, symbols)).toEqual(['MSFT', 'SPY', 'XQZW']);
});

test('an item that is done is never written again', async () => {
  const job = await on.running(batch);
  await record(job.id, { key: 'AAPL', state: 'done', rows: 250, bytes: 9000, reason: 'yahoo' });
  await record(job.id, { key: 'AAPL', state: 'failed', rows: 0, reason: 'late' });
  expect(await listItems(on.db, job.id, { limit: 10 })).toEqual([
    { key: 'AAPL', state: 'done', attempts: 1, rows: 250, bytes: 9000, reason: 'yahoo' },
  ]);
});

test('each try of an item is counted', async () => {
  const job = await on.running(batch);
  await openItems(on.ledger(), job.id, ['AAPL']);
  await record(job.id, { key: 'AAPL', state: 'failed', reason: 'one' });
  await record(job.id, { key: 'AAPL', state: 'done', rows: 3 });
  expect(await listItems(on.db, job.id, { limit: 10 })).toEqual([
    { key: 'AAPL', state: 'done', attempts: 2, rows: 3, bytes: null, reason: null },
  ]);
});

test('"retry" makes the failed items pending and leaves those that are done', async () => {
  const job = await on.running(batch);
  await record(
    job.id,
    { key: 'AAPL', state: 'done' },
    { key: 'XQZW', state: 'failed', reason: 'unknown' },
    { key: 'SPY', state: 'no_data' },
  );
  await complete(on.ledger(), 'worker-1', [{ job, withErrors: '1 of 3 failed' }]);
  await retry(on.ledger(), job.id);
  const [again] = await on.take();
  expect(await openItems(on.ledger(), again!.id, ['AAPL', 'SPY', 'XQZW'])).toEqual(['XQZW']);
});

test('the job shows its counts', async () => {
  const job = await on.running(batch);
  await record(job.id, { key: 'AAPL', state: 'done' });
  expect((await readJob(on.db, job.id))?.items).toMatchObject({ done: 1, total: 1 });
});

test('a part whose lease was lost records nothing', async () => {
  const job = await on.running(batch);
  on.clock.advance({ seconds: 61 });
  await reap(on.ledger());
  expect(
    await commitPart(on.ledger(), 'worker-1', job, (tx) => recordItems(tx, on.ledger(), job.id, [{ key: 'AAPL', state: 'done' }])),
  ).toBe(false);
  expect(await on.count('job_items')).toBe(0);
});

describe('the list of items', () => {
  test('goes on after a key, and shows one state alone when asked', async () => {
    const job = await on.running(batch);
    await record(job.id, ...symbols.map((key, index): ItemResult => ({ key, state: index % 2 === 0 ? 'done' : 'failed' })));
    const keys = async (filter: Parameters<typeof listItems>[2]) => (await listItems(on.db, job.id, filter)).map(({ key }) => key);
    expect(await keys({ limit: 2 })).toEqual(['AAPL', 'MSFT']);
    expect(await keys({ limit: 2, after: 'MSFT' })).toEqual(['SPY', 'XQZW']);
    expect(await keys({ limit: 9, state: 'failed' })).toEqual(['MSFT', 'XQZW']);
  });
});
