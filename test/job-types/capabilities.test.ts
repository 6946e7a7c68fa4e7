/** Which jobs need a capability of their worker, by the configuration of the sources and of the store. */
import { expect, test } from 'vitest';
import { ledgerRules } from '../../services/job-types/ledger.ts';
import { configWith, type Overrides } from '../worker/workshop.ts';

const EU = 'region:eu';
const US = 'region:us';
const of = (source: string): string => `stock_jobs.data_fetch.capabilities.${source}`;

function needed(type: string, overrides: Overrides, payload: Record<string, unknown> = { symbol: 'AAPL' }): string | undefined {
  return ledgerRules(configWith(overrides)).types[type]?.capabilityOf?.(payload);
}

test.each(['fetch', 'batch_fetch', 'backfill', 'research'])(
  '%s needs that of its only source; without a key there is no second one, and stored data are none',
  (type) => {
    expect(needed(type, {})).toBeUndefined();
    expect(needed(type, { [of('yahoo_finance')]: EU })).toBe(EU);
  },
);

test('one source that every worker may ask is enough for every worker to run the job', () => {
  const both = { 'stock_jobs.data_fetch.alpha_vantage.api_key': 'k', [of('yahoo_finance')]: EU };
  expect(needed('fetch', both)).toBeUndefined();
  expect(needed('fetch', { ...both, [of('alpha_vantage')]: US })).toBe(EU);
});

test('a ranking needs that of the sources of chains', () => {
  expect(needed('rank', { [of('yahoo_finance')]: EU })).toBe(EU);
  const fromFile = { 'ranking.chains.sources': ['file'], 'ranking.chains.file.path': '/tmp', [of('file')]: US };
  expect(needed('rank', { ...fromFile, [of('yahoo_finance')]: EU })).toBe(US);
});

test.each(['analysis', 'llm_analysis', 'picks', 'picks_universe'])('%s, which asks no market source, needs none', (type) => {
  expect(needed(type, { [of('yahoo_finance')]: EU, 'history.store.capability': EU })).toBeUndefined();
});

const QUOTES = { root: 'AAPL', asset: 'option', schema: 'quote' };
const DAYS = { root: 'AAPL', asset: 'stock', schema: 'eod' };

test('a download needs that of the sources that have its dataset', () => {
  const theta = { [of('theta')]: EU };
  // Yahoo has no options; the sources that lack their setting are passed over.
  expect(needed('history', theta, QUOTES)).toBe(EU);
  expect(needed('history', theta, DAYS)).toBeUndefined();
  expect(needed('history', { ...theta, [of('yahoo_finance')]: US }, DAYS)).toBe(EU);
  expect(needed('history', { ...theta, [of('yahoo_finance')]: US }, { ...DAYS, source: 'yahoo' })).toBe(US);
  expect(needed('history', { ...theta, 'stock_jobs.data_fetch.simulated.enabled': true }, QUOTES)).toBeUndefined();
});

test('a download needs that of the store before all else; the job that sums up its parts needs none', () => {
  const store = { 'history.store.capability': US, [of('theta')]: EU };
  expect(needed('history', store, QUOTES)).toBe(US);
  expect(needed('history', store, { ...QUOTES, parts: 3 })).toBeUndefined();
});
