/** Rows of the manifest as a download writes them. */
import type { Dataset, ObjectSpec } from '../../services/history/dataset.ts';
import type { Absence, ManifestRow } from '../../services/history/manifest.ts';
import { planOf } from '../../services/history/plan.ts';

export const JOB = Buffer.alloc(16, 7);

/** The object of a dataset that has a day. */
export function objectOf(dataset: Dataset & Pick<ObjectSpec, 'root' | 'filter'>, day: string): ObjectSpec {
  return planOf({ ...dataset, from: day, to: day })[0]!.object;
}

/** A stored object with ten rows of each day. */
export function storedRow(object: ObjectSpec, days: readonly string[], changes: Partial<ManifestRow> = {}): ManifestRow {
  return {
    object,
    rows: 10 * days.length,
    bytes: 1_000 * days.length,
    sha256: 'ab'.repeat(32),
    etag: 'etag',
    schemaVersion: 1,
    source: 'simulated',
    asOf: new Date('2024-06-03T12:00:00Z'),
    modified: null,
    isPartial: false,
    days: Object.fromEntries(days.map((day) => [day, 10])),
    quality: { crossed: 0, zeroBids: 0, outsideSession: 0, oddBids: 0 },
    degraded: null,
    provenance: { requests: [], source: 'simulated', writer: 'DuckDB' },
    jobId: JOB,
    storedAt: new Date('2024-06-03T12:00:00Z'),
    ...changes,
  };
}

export function absence(key: string, changes: Partial<Absence> = {}): Absence {
  return {
    ...{ key, state: 'empty', reason: 'no data', source: 'simulated', askedAt: new Date('2024-06-03T12:00:00Z'), until: null, jobId: JOB },
    ...changes,
  };
}
