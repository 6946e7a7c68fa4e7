/** Downloads one object: from the source into files of a temporary folder, by the converter into a Parquet file, into the store. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../platform/clock.ts';
import { daysText, isSettled } from './absence.ts';
import { isPartial } from './availability.ts';
import type { ObjectSpec } from './dataset.ts';
import type { ManifestRow } from './manifest.ts';
import type { ObjectStore } from './objects/store.ts';
import { SCHEMA_VERSION } from './parquet/columns.ts';
import type { Conversion, Converter } from './parquet/convert.ts';
import type { Fetched, HistorySource } from './sources/source.ts';

export interface DownloadParts {
  converter: Pick<Converter, 'convert'>;
  store: ObjectStore;
  clock: Clock;
  /** A folder of this process. Each object gets one of its own in it, which is removed at its end. */
  spool: string;
  /** Closing prices of an underlying (`closesOf`). */
  closes: (root: string, days: readonly string[]) => Promise<Readonly<Record<string, number>>>;
  /** Seconds after which a day without rows is asked for once more. */
  askAgainAfter: number;
}

export interface Wanted {
  object: ObjectSpec;
  /** Its trading days that are to be had by now: ascending, at least one. */
  days: readonly string[];
  /** What is stored of it and is replaced. */
  earlier: ManifestRow | undefined;
  jobId: Buffer;
}

export type Downloaded =
  | { kind: 'stored'; row: ManifestRow /** Days without rows, ascending. */; missing: readonly string[]; version: string }
  /** The source has nothing of these days. */
  | { kind: 'empty' }
  /** It has, and the filter leaves nothing of it. */
  | { kind: 'filtered_out' };

/** Requests that the manifest keeps of an object. */
const KEPT_REQUESTS = 200;

/**
 * What is stored of the object stays until the new file is whole. Errors: those of the source, the converter and the store; `PermanentError('history.no_underlying')`; an
 * abort throws the signal's reason.
 */
export async function downloadObject(
  parts: DownloadParts,
  source: HistorySource,
  wanted: Wanted,
  signal: AbortSignal,
): Promise<Downloaded> {
  const { object, days } = wanted;
  signal.throwIfAborted();
  const filter = object.filter && { ...object.filter, underlying: await parts.closes(object.root, days) };
  const asOf = parts.clock.now();
  const folder = await mkdtemp(join(parts.spool, 'object-'));
  try {
    const files = join(folder, 'source');
    await mkdir(files);
    const fetched = await source.fetch(object, days, files, signal);
    signal.throwIfAborted();
    if (fetched.files.length === 0) return { kind: 'empty' };
    const { asset, schema, interval, root } = object;
    const conversion = { asset, schema, interval, root, filter, days, files: fetched.files, out: join(folder, 'data.parquet') };
    return await convertAndStore(parts, source, { ...wanted, fetched, asOf }, conversion, signal);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function convertAndStore(
  { converter, store, clock, askAgainAfter }: DownloadParts,
  { name }: HistorySource,
  { object, days, earlier, jobId, fetched, asOf }: Wanted & { fetched: Fetched; asOf: Temporal.Instant },
  conversion: Conversion,
  signal: AbortSignal,
): Promise<Downloaded> {
  const { rows, bytes, sha256, days: daysWithRows, quality, writer } = await converter.convert(conversion, signal);
  if (rows === 0) return { kind: conversion.filter === undefined ? 'empty' : 'filtered_out' };
  signal.throwIfAborted();
  // Of the object that is there, and not of the manifest: a process that was killed may have put one that the manifest does not know.
  const there = earlier && (await store.head(object.key, signal));
  const { etag } = await store.put(object.key, conversion.out, { sha256, bytes, replaces: there?.etag }, signal);
  // On most days nobody reports.
  const missing = object.schema === 'earnings' ? [] : days.filter((day) => daysWithRows[day] === undefined);
  const settled = isSettled(missing, { now: asOf, earlier }, { askAgainAfter });
  const notes = [fetched.degraded, settled && missing.length > 0 ? `the source has no rows of ${daysText(missing)}` : undefined];
  const row: ManifestRow = {
    ...{ object, rows, bytes, sha256, etag, schemaVersion: SCHEMA_VERSION, source: name, quality, jobId },
    asOf: new Date(asOf.epochMilliseconds),
    modified: fetched.modified === undefined ? null : new Date(fetched.modified.epochMilliseconds),
    isPartial: !settled || isPartial(object, asOf),
    days: daysWithRows,
    degraded:
      notes
        .filter((note) => note !== undefined)
        .join('; ')
        .slice(0, 500) || null,
    provenance: { requests: fetched.requests.slice(0, KEPT_REQUESTS), source: fetched.version, writer },
    storedAt: new Date(clock.now().epochMilliseconds),
  };
  return { kind: 'stored', row, missing, version: fetched.version };
}
