import { expect, test } from 'vitest';
import { configuredSources } from '../../../services/market/sources/configured.ts';
import { systemClock } from '../../../services/platform/clock.ts';
import { silent } from '../../broker/peers.ts';
import { databaseOfFile } from '../../support/database.ts';
import { configWith, type Overrides } from '../../worker/workshop.ts';

const { db } = await databaseOfFile();

const simulated = { 'stock_jobs.data_fetch.simulated.enabled': true };
const signal = new AbortController().signal;
const range = { from: '2026-01-01' };

async function chains(sources: string, overrides: Overrides = {}) {
  const config = configWith({ 'stock_jobs.data_fetch.sources': sources, ...overrides });
  return configuredSources({ config, clock: systemClock, db, log: silent });
}

test('made-up data comes from the one chain and never from the other', async () => {
  const { all, real } = await chains('cached,simulated', simulated);
  expect((await all.bars('AAA', range, signal)).source).toBe('simulated');
  await expect(real.bars('AAA', range, signal)).rejects.toMatchObject({ code: 'source.all_failed' });
});

test('bars made up earlier and stored do not stand in the way of newer ones', async () => {
  await db.run(
    "INSERT INTO symbols (symbol, newest_bar, as_of, checked_at, source) VALUES ('OLD', '2026-01-05', UTC_TIMESTAMP(), UTC_TIMESTAMP(), 'simulated')",
  );
  const { all } = await chains('cached,simulated', simulated);
  const { source, stale } = await all.bars('OLD', range, signal);
  expect({ source, stale }).toEqual({ source: 'simulated', stale: undefined });
});

test('a source without its key is left out', async () => {
  const { all } = await chains('alpha_vantage,simulated', simulated);
  expect((await all.bars('AAA', range, signal)).attempts.map(({ source }) => source)).toEqual(['simulated']);
});

test('a Lean folder that is not there is refused at the start and named', async () => {
  await expect(chains('lean', { 'stock_jobs.data_fetch.lean.path': '/no/such/folder' })).rejects.toMatchObject({
    name: 'ConfigError',
    code: 'source.lean_path',
    message: expect.stringContaining('"/no/such/folder"'),
  });
});

test('a source that needs a capability is asked by workers that have it alone', async () => {
  const tied = { ...simulated, 'stock_jobs.data_fetch.capabilities.simulated': 'region:eu' };
  const here = await chains('simulated', { ...tied, 'worker.capabilities': ['desk', 'region:eu'] });
  expect((await here.all.bars('AAA', range, signal)).source).toBe('simulated');
  const elsewhere = await chains('simulated', { ...tied, 'worker.capabilities': ['region:us'] });
  await expect(elsewhere.all.bars('AAA', range, signal)).rejects.toMatchObject({
    name: 'TransientError',
    message: 'no source has bars of AAA: no source is configured that this worker may ask',
  });
});

test('a Lean folder of another region need not be there', async () => {
  await chains('lean', { 'stock_jobs.data_fetch.lean.path': '/no/such/folder', 'stock_jobs.data_fetch.capabilities.lean': 'region:eu' });
});
