/** The answer of `?dry_run=true`. */
import { z } from 'zod';
import type { Download } from '../../history/dataset.ts';
import { EXPECTED, type Expected, type PreviewedSource, previewJson, previewOf } from '../../history/preview.ts';
import type { Parts } from '../http/app.ts';
import { dayState } from './shapes.ts';

export const previewSchema = z
  .object({
    dry_run: z.literal(true),
    total_items: z.int().describe('Objects of the download'),
    counts: z.partialRecord(dayState, z.int()).describe('Objects by the worst state of their days'),
    to_download: z.int(),
    expected: z
      .object(Object.fromEntries(EXPECTED.map((kind) => [kind, z.int()])) as Record<Expected, z.ZodInt>)
      .describe('Objects by what the job would make of them. skipped, no_data, not_yet: it ends with that, and asks no source'),
    source: z.string().nullable().describe('null: no source of history.sources can give it; `warnings` say why'),
    calls: z.int().nullable().describe('Requests to the source'),
    estimated_rows: z.int().nullable().describe('By like objects that are stored; null where there are none'),
    estimated_bytes: z.int().nullable(),
    estimated_seconds: z.int().nullable().describe('By the pace of the newest like objects; null where nothing was measured'),
    warnings: z.array(z.string()),
    objects: z.array(
      z.object({
        key: z.string(),
        days: z.int().describe('Trading days of the range'),
        state: dayState,
        expected: z.enum(EXPECTED),
        download: z.boolean(),
        from: z.string().nullable().describe('Of one that is not there yet, or that is asked for once more: not before'),
      }),
    ),
  })
  .meta({ id: 'DownloadPreview' });

/** The source that would be asked for a download, and what a person should know before. */
export type HistorySources = (download: Download) => { source: PreviewedSource | undefined; warnings: string[] };

/** Errors: `InputError('history.no_trading_day')`. */
export async function preview(parts: Parts, download: Download, force: boolean): Promise<z.output<typeof previewSchema>> {
  const { source, warnings } = parts.historySources(download);
  return previewJson(await previewOf(parts.db, download, { source, now: parts.clock.now(), force }), warnings);
}
