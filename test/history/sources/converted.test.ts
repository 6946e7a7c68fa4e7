/** What the sources write, through the real converter: its checks of order, duplicates, ranges and sessions hold for all of them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Dataset } from '../../../services/history/dataset.ts';
import type { Converter } from '../../../services/history/parquet/convert.ts';
import { createConverter } from '../../../services/history/parquet/converter.ts';
import { daysOf } from '../../../services/history/plan.ts';
import { leanHistory } from '../../../services/history/sources/lean/lean.ts';
import { simulatedHistory } from '../../../services/history/sources/simulated/simulated.ts';
import type { HistorySource } from '../../../services/history/sources/source.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { silent } from '../../broker/peers.ts';
import { describeWithData, sharedData } from '../../support/shared-data.ts';
import { dataset, fetched, objectsOf } from './objects.ts';

let folder: string;
let converter: Converter;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'stockmesh-converted-'));
  converter = createConverter({ memory: '250MB', threads: 1, tempFolder: join(folder, 'temp'), log: silent });
});
afterAll(async () => {
  await converter.close();
  await rm(folder, { recursive: true });
});

async function converted(source: HistorySource, data: Dataset, root: string, day: string) {
  const object = objectsOf(data, root, day)[0]!;
  const { files } = await fetched(source, object);
  return converter.convert(
    { ...data, root, files, days: daysOf(object), out: join(folder, `${Math.random()}.parquet`) },
    new AbortController().signal,
  );
}

describe('the simulated market', () => {
  const clock = new ManualClock('2026-11-20T22:00:00Z');
  const source = simulatedHistory({ seed: 1, clock, contracts: 60, rate: 0.04, dividendYield: 0 });

  test.each([
    ['option', 'quote'],
    ['option', 'ohlc'],
    ['option', 'eod'],
    ['stock', 'quote'],
    ['stock', 'ohlc'],
    ['stock', 'eod'],
  ] as const)('%s %s', async (asset, schema) => {
    const { rows, days, quality } = await converted(source, dataset(asset, schema), 'AAPL', '2025-11-28');
    expect(rows).toBeGreaterThan(100);
    expect(Object.keys(days)).toContain('2025-11-28');
    expect(quality).toMatchObject({ crossed: 0, outsideSession: 0 });
  });

  test('quotes of index options up to 16:15 are within their session', async () => {
    const { quality } = await converted(source, dataset('option', 'quote', '15m'), '^SPX', '2026-11-11');
    expect(quality).toMatchObject({ crossed: 0, outsideSession: 0 });
  });
});

describeWithData('lean', 'a real Lean folder', () => {
  test('options of June 2014: both days that it has', async () => {
    const { rows, days } = await converted(leanHistory({ path: sharedData('lean') }), dataset('option', 'eod'), 'AAPL', '2014-06-06');
    expect(Object.values(days).reduce((all, count) => all + count, 0)).toBe(rows);
    expect(Object.keys(days)).toEqual(expect.arrayContaining(['2014-06-06', '2014-06-09']));
  });
});
