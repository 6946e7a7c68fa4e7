/** The answer of `?dry_run=true`. */
import { z } from 'zod';
import { DAY_STATES } from '../../history/coverage.ts';
import type { Download } from '../../history/dataset.ts';
import { type PreviewedSource, previewOf } from '../../history/preview.ts';
import type { Parts } from '../http/app.ts';

const state = z.enum(DAY_STATES);

export const previewJson = z.object({
  dry_run: z.literal(true),
  total_items: z.int().describe('Objects of the download'),
  counts: z.partialRecord(state, z.int()).describe('Objects by the worst state of their days'),
  to_download: z.int(),
  source: z.string().nullable().describe('null: no source of history.sources can give it; `warnings` say why'),
  calls: z.int().nullable().describe('Requests to the source'),
  estimated_rows: z.int().nullable().describe('By like objects that are stored; null where there are none'),
  estimated_bytes: z.int().nullable(),
  estimated_seconds: z.int().nullable().describe('By the pace of the newest like objects; null where nothing was measured'),
  warnings: z.array(z.string()),
  objects: z.array(z.object({ key: z.string(), days: z.int(), state, download: z.boolean() })),
});

/** The source that would be asked for a download, and what a person should know before. */
export type HistorySources = (download: Download) => { source: PreviewedSource | undefined; warnings: string[] };

export async function preview(parts: Parts, download: Download, force: boolean): Promise<z.output<typeof previewJson>> {
  const { source, warnings } = parts.historySources(download);
  const made = await previewOf(parts.db, download, { source, now: parts.clock.now(), force });
  const { objects, counts, fetched, calls, rows, bytes, seconds } = made;
  return {
    ...{ dry_run: true, total_items: objects.length, counts, to_download: fetched, source: source?.name ?? null, calls },
    ...{ estimated_rows: rows, estimated_bytes: bytes, estimated_seconds: seconds, warnings },
    objects: objects.map(({ fetched: download, ...object }) => ({ ...object, download })),
  };
}
