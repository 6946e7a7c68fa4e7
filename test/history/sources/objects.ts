/** Objects, and folders to download them into. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Dataset, Interval, ObjectSpec } from '../../../services/history/dataset.ts';
import { daysOf, planOf } from '../../../services/history/plan.ts';
import type { Fetched, HistorySource } from '../../../services/history/sources/source.ts';

const never = new AbortController().signal;

export const dataset = (
  asset: Dataset['asset'],
  schema: Dataset['schema'],
  interval: Interval = schema === 'eod' ? '1d' : '1m',
): Dataset => ({
  asset,
  schema,
  interval,
});

/** The objects of a root whose periods have days between two days. */
export const objectsOf = (data: Dataset, root: string, from: string, to = from): ObjectSpec[] =>
  planOf({ ...data, root, from, to }).map(({ object }) => object);

/** Downloads an object, with all days of its period or some, into a folder that is deleted after the test. */
export async function fetched(
  source: HistorySource,
  object: ObjectSpec,
  { signal = never, days = daysOf(object) }: { signal?: AbortSignal; days?: readonly string[] } = {},
): Promise<Fetched> {
  const folder = await mkdtemp(join(tmpdir(), 'stockmesh-history-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return source.fetch(object, days, folder, signal);
}
