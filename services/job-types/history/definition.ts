import { z } from 'zod';
import { ASSETS, INTERVALS, type Interval, SCHEMAS } from '../../history/dataset.ts';
import { neededForDownload } from '../../history/sources/has.ts';
import { SymbolSchema } from '../../market/symbol.ts';
import { HISTORY_SOURCES } from '../../platform/config/sections/history.ts';
import { type JobType, marketResult } from '../job-type.ts';

/** Every interval, that of `eod` too. */
const ALL_INTERVALS = [...Object.keys(INTERVALS), '1d'] as Interval[];

/** A download, as `historyRequests` has made it. */
export const HistoryPayload = z.strictObject({
  root: SymbolSchema,
  asset: z.enum(ASSETS),
  schema: z.enum(SCHEMAS),
  interval: z.enum(ALL_INTERVALS),
  from: z.iso.date(),
  to: z.iso.date(),
  filter: z.strictObject({ maxDte: z.int().min(1).max(365), basePct: z.number().positive() }).optional(),
  /** Downloads complete objects again too. */
  force: z.boolean().default(false),
  source: z.enum(HISTORY_SOURCES).optional(),
  /** Jobs that do the work; this one sums them up. */
  parts: z.int().min(2).optional(),
  /** A part of another download, which announces the end for all of them. */
  part: z.literal(true).optional(),
});

type Payload = z.output<typeof HistoryPayload>;

/** Days that a download may wait, in seconds: it is asked for once, and an account of a source may have weeks of work. */
const WAITS_SECONDS = 30 * 86_400;

export const historyType = {
  name: 'history',
  about: 'Historical data of an option root or a stock, stored as Parquet files: one item an object',
  payload: HistoryPayload,
  dataKinds: ['history'],
  retries: 'sources',
  timeLimit: ({ history }) => history.job_timeout,
  waitsSeconds: WAITS_SECONDS,
  // The job that sums up the parts of a download asks no source and writes no file.
  capability: (config, payload) =>
    payload.parts === undefined ? neededForDownload(config, payload as Payload, (payload as Payload).source) : undefined,
  // One place is left to other work where there is more than one.
  mostPerWorker: ({ history, worker }) => Math.min(history.jobs_per_worker, Math.max(worker.max_concurrent_jobs - 1, 1)),
  takesNoSlot: true,
  mayCompleteWithErrors: true,
  logComponent: 'fetcher',
  shownResult: [],
  sharedResult: marketResult,
  hasItems: true,
  endEvent: 'history.ended',
} as const satisfies JobType;
