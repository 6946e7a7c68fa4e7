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

/** The answer of `POST /v1/history/gaps?dry_run=true`. */
export const gapsPreviewSchema = previewSchema
  .pick({ dry_run: true, total_items: true, to_download: true, expected: true, source: true, calls: true, estimated_bytes: true })
  .extend({
    days: z.int().describe('Days that would be asked for'),
    downloads: z.array(z.object({ from: z.string(), to: z.string() })).describe('The ranges of such days: a job each'),
    estimated_seconds: previewSchema.shape.estimated_seconds,
    warnings: previewSchema.shape.warnings,
  })
  .meta({ id: 'GapsPreview' });

/** What several downloads of one dataset would do together. `download`: of the whole range, for its source where there is nothing to do. */
export async function gapsPreview(
  parts: Parts,
  download: Download,
  downloads: readonly Download[],
): Promise<Omit<z.output<typeof gapsPreviewSchema>, 'days'>> {
  const previews = await Promise.all(downloads.map((one) => preview(parts, one, false)));
  const { source, warnings } = parts.historySources(download);
  const sum = (of: (one: (typeof previews)[number]) => number): number => previews.reduce((total, one) => total + of(one), 0);
  /** Unknown of one, unknown of all. */
  const sumKnown = (of: (one: (typeof previews)[number]) => number | null): number | null =>
    previews.some((one) => of(one) === null) ? null : sum((one) => of(one) ?? 0);
  return {
    dry_run: true,
    downloads: downloads.map(({ from, to }) => ({ from, to })),
    total_items: sum(({ total_items }) => total_items),
    to_download: sum(({ to_download }) => to_download),
    expected: Object.fromEntries(EXPECTED.map((kind) => [kind, sum(({ expected }) => expected[kind])])) as Record<Expected, number>,
    source: source?.name ?? null,
    calls: sumKnown(({ calls }) => calls),
    estimated_bytes: sumKnown(({ estimated_bytes }) => estimated_bytes),
    estimated_seconds: sumKnown(({ estimated_seconds }) => estimated_seconds),
    warnings: [...new Set([...warnings, ...previews.flatMap((one) => one.warnings)])],
  };
}
