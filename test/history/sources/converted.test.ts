/** What the sources write, through the real converter: its checks of order, duplicates, ranges and sessions hold for all of them. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Dataset } from '../../../services/history/dataset.ts';
import type { Converter } from '../../../services/history/parquet/convert.ts';
import { createConverter } from '../../../services/history/parquet/converter.ts';
import { daysOf } from '../../../services/history/plan.ts';
import { leanHistory } from '../../../services/history/sources/lean/lean.ts';
import { simulatedLayout } from '../../../services/history/sources/simulated/layouts.ts';
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

  test('earnings: one row in the month of a report, on a day of it', async () => {
    const months = objectsOf(dataset('stock', 'earnings', '1d'), 'AAPL', '2025-01-02', '2025-03-31');
    const found = [];
    for (const object of months) {
      const { files } = await fetched(source, object);
      if (files.length > 0)
        found.push(
          await converter.convert(
            { ...object, filter: undefined, files, days: daysOf(object), out: join(folder, 'earnings.parquet') },
            new AbortController().signal,
          ),
        );
    }
    expect(found).toMatchObject([{ rows: 1, quality: { crossed: 0, zeroBids: 0, outsideSession: 0, oddBids: 0 } }]);
  });

  test('earnings on a weekend belong to the trading day before, a loss is a number, another month is refused', async () => {
    const [object] = objectsOf(dataset('stock', 'earnings', '1d'), 'BRK.B', '2024-02-01');
    const write = async (line: string) => {
      const path = join(folder, 'reports.csv');
      await writeFile(path, line);
      const layout = simulatedLayout(object!, 'BRK.B');
      return converter.convert(
        { ...object!, filter: undefined, files: [{ path, layout }], days: daysOf(object!), out: join(folder, 'weekend.parquet') },
        new AbortController().signal,
      );
    };
    // Berkshire reported on Saturday 2024-02-24.
    expect((await write('2024-02-24,unknown,3,-1.5,yahoo\n')).days).toEqual({ '2024-02-23': 1 });
    await expect(write('2024-03-02,unknown,3,1,yahoo\n')).rejects.toMatchObject({ code: 'history.bad_rows' });
    await expect(write('2024-02-24,noon,3,1,yahoo\n')).rejects.toThrow(/session is neither before nor after nor unknown/);
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
