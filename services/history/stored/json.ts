/** A stored object as it is given to callers, over HTTP and on the command line. */
import type { ManifestRow } from '../manifest.ts';

export function objectJson({ object, ...row }: ManifestRow) {
  const { key, root, asset, schema, interval, filter, period } = object;
  return {
    key,
    root,
    dataset: asset,
    schema,
    interval,
    max_dte: filter?.maxDte ?? null,
    base_pct: filter?.basePct ?? null,
    from: period.from,
    to: period.to,
    rows: row.rows,
    bytes: row.bytes,
    sha256: row.sha256,
    is_partial: row.isPartial,
    degraded: row.degraded,
    source: row.source,
    as_of: row.asOf,
    stored_at: row.storedAt,
  };
}

/** The same with all that the manifest knows. */
export function manifestJson(row: ManifestRow, jobId: string) {
  const { crossed, zeroBids, outsideSession, oddBids } = row.quality;
  return {
    ...objectJson(row),
    schema_version: row.schemaVersion,
    modified_at: row.modified,
    days: { ...row.days },
    quality: { crossed, zero_bids: zeroBids, outside_session: outsideSession, odd_bids: oddBids },
    requests: row.provenance.requests.map(({ url, status, bytes }) => ({ url, status, bytes })),
    source_version: row.provenance.source,
    writer: row.provenance.writer,
    job_id: jobId,
  };
}
