import { expect, test } from 'vitest';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { load, refusal } from './config-files.ts';

const worker = (list: string): string => `job_processor:\n  worker:\n    capabilities: ${list}\n`;
const source = (name: string, value: string): string =>
  `job_processor:\n  stock_jobs:\n    data_fetch:\n      capabilities:\n        ${name}: ${value}\n`;

test('the variable STOCKMESH_WORKER_CAPABILITIES gives those of a worker, a list with commas; none without it', () => {
  expect(loadConfig({ env: {} }).config.worker.capabilities).toEqual([]);
  const env = { STOCKMESH_WORKER_CAPABILITIES: 'region:eu, disk:fast,desk' };
  expect(loadConfig({ env }).config.worker.capabilities).toEqual(['region:eu', 'disk:fast', 'desk']);
});

test('a tag without a colon is for people, and is what a name may be', () => {
  expect(load(worker('["Desk 7", equities]')).config.worker.capabilities).toEqual(['Desk 7', 'equities']);
});

test.each(['Region:eu', 'region:', ':eu', 'region:eu:1', 'region: eu', `region:${'e'.repeat(40)}`])(
  'the capability %j of a worker is refused with the way out',
  (value) => {
    const { code, lines } = refusal(worker(`[region:us, ${JSON.stringify(value)}]`));
    expect(code).toBe('config.bad_capability');
    expect(lines).toEqual([
      expect.stringMatching(/^1\.yaml:3: worker\.capabilities\.1: must be a kind and a value of small letters.* such as region:eu/),
    ]);
    expect(lines[0]).toContain(value.slice(0, 20));
  },
);

test('the longest one fits', () => {
  const longest = `${'k'.repeat(24)}:${'v'.repeat(39)}`;
  expect(load(worker(`[${longest}]`)).config.worker.capabilities).toEqual([longest]);
});

test('a worker has 8 at most', () => {
  const some = (count: number): string => worker(`[${Array.from({ length: count }, (_, index) => `region:r${index}`).join(', ')}, desk]`);
  expect(load(some(8)).config.worker.capabilities).toHaveLength(9);
  expect(refusal(some(9)).lines).toEqual([
    expect.stringContaining('worker.capabilities: names 9 capabilities; a worker has 8 at most, so start another worker for the others'),
  ]);
});

test('the capability of a source is one, and none by default', () => {
  expect(load(source('theta', 'region:eu')).config.stock_jobs.data_fetch.capabilities).toMatchObject({
    theta: 'region:eu',
    yahoo_finance: null,
  });
  expect(refusal(source('theta', 'europe'))).toEqual({
    code: 'config.bad_capability',
    lines: [expect.stringMatching(/^1\.yaml:5: stock_jobs\.data_fetch\.capabilities\.theta: .*region:eu.*"europe"/)],
  });
});

test('a store of history in another region than all of its sources is refused', () => {
  const history = (sources: string): string =>
    `${source('theta', 'region:us')}        yahoo_finance: region:asia\n  history:\n    sources: [${sources}]\n    store:\n      capability: region:eu\n`;
  expect(refusal(history('theta, yahoo'))).toEqual({
    code: 'config.conflicting_keys',
    lines: [
      expect.stringContaining(
        'history.store.capability: no source of history.sources can be asked where the store is: they need region:us, region:asia (stock_jobs.data_fetch.capabilities); give one of them the capability of the store, or none',
      ),
    ],
  });
  expect(load(history('theta, simulated')).config.history.store.capability).toBe('region:eu');
});
