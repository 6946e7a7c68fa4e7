import { expect, test } from 'vitest';
import { sourcesFor } from '../../../services/history/configured.ts';
import { configuredHistorySources, historySourcesOf } from '../../../services/history/sources/configured.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { silent } from '../../broker/peers.ts';
import { databaseOfFile } from '../../support/database.ts';
import { hasSharedData, sharedData } from '../../support/shared-data.ts';
import { configWith } from '../../worker/workshop.ts';
import { dataset, fetched, objectsOf } from './objects.ts';

const clock = new ManualClock('2026-03-10T22:00:00Z');
const { db } = await databaseOfFile();
const sources = (overrides: Record<string, unknown>) =>
  configuredHistorySources({ config: configWith(overrides), db, clock, log: silent, holder: 'worker-1' });
const picked = (overrides: Record<string, unknown>, data = dataset('stock', 'eod')) => sourcesFor(sources(overrides), data)[0]?.name;
const SIMULATED = { 'stock_jobs.data_fetch.simulated.enabled': true };

test('they are in the order of the configuration, and the first that can give a dataset is picked', () => {
  const overrides = { ...SIMULATED, 'history.sources': ['yahoo', 'simulated'] };
  expect(sources(overrides).map(({ name }) => name)).toEqual(['yahoo', 'simulated']);
  expect(picked(overrides)).toBe('yahoo');
  expect(picked(overrides, dataset('stock', 'ohlc'))).toBe('simulated');
  expect(picked({ ...SIMULATED, 'history.sources': ['simulated', 'yahoo'] })).toBe('simulated');
});

test('a Theta Terminal is one of them', () => {
  expect(picked({ 'history.sources': ['theta'], 'history.theta.tier': 'value' }, dataset('option', 'quote', '15m'))).toBe('theta');
});

test('a source that lacks its setting is passed over', () => {
  expect(picked({ 'history.sources': ['lean', 'simulated', 'yahoo'] })).toBe('yahoo');
});

test('where none can, the error names the reason of each and the way out', () => {
  const none = () => picked({ 'history.sources': ['lean', 'yahoo', 'simulated'] }, dataset('option', 'quote', '15m'));
  expect(none).toThrow(
    expect.objectContaining({
      code: 'history.no_source',
      message:
        'no source can give option quote of 15m (lean: stock_jobs.data_fetch.lean.path names no folder; yahoo: it has stocks only; simulated: stock_jobs.data_fetch.simulated.enabled is off); add one to history.sources',
    }),
  );
});

test('the simulated market is that of the configuration', async () => {
  const overrides = { ...SIMULATED, 'history.sources': ['simulated'], 'stock_jobs.data_fetch.simulated.seed': 7 };
  const data = dataset('stock', 'eod');
  const [object] = objectsOf(data, 'AAPL', '2026-03-02');
  expect((await fetched(sourcesFor(sources(overrides), data)[0]!, object!, { days: ['2026-03-02'] })).version).toBe('simulated, seed 7');
});

test.skipIf(!hasSharedData('lean'))('the Lean folder is that of the configuration (needs ../shared/data/lean)', async () => {
  const overrides = { 'history.sources': ['lean'], 'stock_jobs.data_fetch.lean.path': sharedData('lean') };
  expect(picked(overrides, dataset('option', 'eod'))).toBe('lean');
  expect(() => picked(overrides, dataset('option', 'quote'))).toThrow(/lean: there is no folder .*option\/usa\/minute/);
});

test('a worker without the capability of a source passes it over, and the error names what it lacks', () => {
  const config = configWith({ 'history.sources': ['theta', 'yahoo'], 'stock_jobs.data_fetch.capabilities.theta': 'region:eu' });
  const ofWorker = (capabilities: string[]) =>
    historySourcesOf({ config: { ...config, worker: { ...config.worker, capabilities } }, db, clock, log: silent, holder: 'worker-1' });
  expect(sourcesFor(ofWorker([]), dataset('stock', 'eod'))[0]?.name).toBe('yahoo');
  expect(sourcesFor(ofWorker(['region:eu']), dataset('option', 'quote'))[0]?.name).toBe('theta');
  expect(() => sourcesFor(ofWorker([]), dataset('option', 'quote'))).toThrow(
    'theta: it needs region:eu, which this worker does not have (worker.capabilities)',
  );
});
