/** The results of ended jobs, read from the ledger once, a row a symbol. */
import { JOB_TYPES } from '../../job-types/index.ts';
import type { ResultField } from '../../job-types/job-type.ts';
import { idFromBytes, idToBytes } from '../../ledger/id.ts';
import type { State } from '../../ledger/job.ts';
import { listItems } from '../../ledger/run/items.ts';
import { fromJson, type Sql } from '../../platform/database/database.ts';
import { paint, paintSignal } from './colour.ts';
import { type FollowedJob, hasEnded } from './follow.ts';
import type { PriceState } from './prices.ts';
import { type Column, plain, table } from './table.ts';

/** One job as `--json` prints it. Times in milliseconds; fields that its type does not have are null. */
export interface JobResult {
  id: string;
  type: string;
  symbol: string | null;
  state: State;
  attempt: number;
  source: string | null;
  /** Bars of the answer, and how many of them were new or changed. */
  bars: number | null;
  written: number | null;
  through: string | null;
  /** The stored data is given again, because no source had newer data. */
  stale: boolean;
  simulated: boolean;
  /** What a person should know of the data, such as bars that were left out. */
  warnings: string[];
  signal: string | null;
  confidence: number | null;
  /** Of a ranking: its mode, the contracts that could be ranked, and how many of them were kept. */
  mode: string | null;
  eligible: number | null;
  kept: number | null;
  /** From the request to the source to its answer. */
  ms: number | null;
  /** From the start of the command to the end of the job. */
  fresh_after_ms: number | null;
  reason: string | null;
  /** Of a batch. */
  items: { symbol: string; state: string; rows: number | null; reason: string | null }[] | null;
}

type ShownResult = Partial<Pick<JobResult, ResultField>>;

/** More symbols than a batch can have. */
const MOST_ITEMS = 1_000;

/** `startedAt`: `performance.now()` at the moment from which freshness counts. */
export async function readResults(sql: Sql, jobs: readonly FollowedJob[], startedAt: number): Promise<JobResult[]> {
  if (jobs.length === 0) return [];
  const rows = await sql.rows<{ job_id: Buffer; result: unknown; reason: string | null }>(
    'SELECT job_id, result, reason FROM ended WHERE job_id IN (?)',
    [jobs.map(({ id }) => idToBytes(id))],
  );
  const results = new Map(
    rows.map(({ job_id, result, reason }) => [idFromBytes(job_id), { result: (fromJson(result) ?? {}) as ShownResult, reason }]),
  );
  return Promise.all(
    jobs.map(async (job) => {
      const { result, reason } = results.get(job.id) ?? { result: {}, reason: null };
      const type = JOB_TYPES.find(({ name }) => name === job.type);
      const {
        source = null,
        bars = null,
        written = null,
        through = null,
        signal = null,
        confidence = null,
        mode = null,
        eligible = null,
        kept = null,
        ms = null,
        stale = false,
        simulated = false,
        warnings = [],
      } = shownOf(result, type?.shownResult ?? []);
      const items = type?.hasItems ? await listItems(sql, job.id, { limit: MOST_ITEMS }) : null;
      return {
        id: job.id,
        type: job.type,
        symbol: job.symbol,
        state: job.state,
        attempt: job.attempt,
        source,
        bars,
        written,
        through,
        stale,
        simulated,
        warnings,
        signal,
        confidence,
        mode,
        eligible,
        kept,
        ms,
        fresh_after_ms: job.endedAt === null ? null : Math.round(job.endedAt - startedAt),
        reason: reason ?? job.reason,
        items: items?.map(({ key, state, rows: count, reason: why }) => ({ symbol: key, state, rows: count, reason: why })) ?? null,
      };
    }),
  );
}

function shownOf(result: ShownResult, fields: readonly ResultField[]): ShownResult {
  return Object.fromEntries(Object.entries(result).filter(([field]) => fields.includes(field as ResultField)));
}

/** Jobs that ended in another state than completed. */
export const failures = (jobs: readonly JobResult[]): JobResult[] => jobs.filter(({ state }) => hasEnded(state) && state !== 'completed');
export const unfinished = (jobs: readonly JobResult[]): JobResult[] => jobs.filter(({ state }) => !hasEnded(state));

interface SymbolRow {
  symbol: string;
  source: string | null;
  bars: number | string | null;
  through: string | null;
  ms: number | null;
  signal: string | null;
  ranked: string | null;
  fresh: number | null;
  note: string | null;
}

/** The symbols of a job: its own, or those of a batch. */
export const symbolsOf = ({ symbol, items }: JobResult): string[] => [
  ...(symbol === null ? [] : [symbol]),
  ...(items ?? []).map((item) => item.symbol),
];

/** Whether a job makes prices fresh, or what is computed of them. */
export function isOfPrices({ type }: Pick<JobResult, 'type'>): boolean {
  const kinds = JOB_TYPES.find(({ name }) => name === type)?.dataKinds ?? [];
  return kinds.some((kind) => ['bars', 'indicators', 'ranks'].includes(kind));
}

/** The table of results, a line a symbol; `skipped` are the symbols that needed no job, `prices` the states after it. */
export function resultsTable(
  jobs: readonly JobResult[],
  skipped: readonly { symbol: string; reason: string }[],
  prices: readonly PriceState[],
): string {
  const rows = new Map<string, SymbolRow>();
  const rowOf = (symbol: string): SymbolRow => {
    const row = rows.get(symbol) ?? {
      symbol,
      source: null,
      bars: null,
      through: null,
      ms: null,
      signal: null,
      ranked: null,
      fresh: null,
      note: null,
    };
    rows.set(symbol, row);
    return row;
  };
  for (const job of jobs) {
    for (const item of job.items ?? []) {
      const row = rowOf(item.symbol);
      Object.assign(row, { source: item.reason?.split(':')[0] ?? null, bars: item.rows, fresh: job.fresh_after_ms });
      const warnings = item.reason?.split('; ').slice(1) ?? [];
      if (item.state === 'done' && warnings.length > 0) row.note = warnings.join('; ');
      if (item.state !== 'done')
        Object.assign(row, { source: null, note: `${item.state.replaceAll('_', ' ')}${item.reason === null ? '' : `: ${item.reason}`}` });
    }
    if (job.symbol === null) continue;
    const row = rowOf(job.symbol);
    row.source ??= job.source;
    row.bars ??= job.written;
    row.through ??= job.through;
    row.ms ??= job.ms;
    row.signal ??= job.signal === null ? null : `${job.signal} ${Math.round((job.confidence ?? 0) * 100)} %`;
    if (job.mode !== null && job.kept !== null)
      row.ranked = [...(row.ranked === null ? [] : [row.ranked]), `${job.mode} ${job.kept} of ${job.eligible}`].join(', ');
    row.fresh = Math.max(row.fresh ?? 0, job.fresh_after_ms ?? 0) || null;
    row.note ??= noteOf(job);
  }
  // The reason of a skipped symbol names the state of its price.
  for (const { symbol, state, reason } of prices) {
    const row = rows.get(symbol);
    // Whatever else there is to say of it, old prices are called so.
    if (row !== undefined && (state === 'outdated' || (state !== 'fresh' && row.note === null)))
      row.note = [row.note, `${state}: ${reason}`].filter((note) => note !== null).join('; ');
  }
  for (const { symbol, reason } of skipped) rowOf(symbol).note ??= reason;
  for (const { symbol, simulated } of prices) {
    const row = rows.get(symbol);
    if (simulated && row !== undefined && row.note !== MADE_UP) row.note = row.note === null ? MADE_UP : `${MADE_UP}; ${row.note}`;
  }
  return table([...rows.values()], COLUMNS);
}

const COLUMNS: Column<SymbolRow>[] = [
  { title: 'SYMBOL', value: ({ symbol }) => symbol },
  { title: 'SOURCE', value: ({ source }) => source, optional: 2, paint: (text) => (text === 'simulated' ? paint('yellow', text) : text) },
  { title: 'NEW BARS', value: ({ bars }) => bars, align: 'right', optional: 4 },
  { title: 'THROUGH', value: ({ through }) => through, optional: 5 },
  { title: 'FETCH MS', value: ({ ms }) => ms, align: 'right', optional: 3 },
  { title: 'SIGNAL', value: ({ signal }) => signal, optional: 6, paint: (text) => paintSignal(text, text.split(' ')[0] as string) },
  { title: 'RANKED', value: ({ ranked }) => ranked, optional: 1 },
  { title: 'FRESH AFTER MS', value: ({ fresh }) => fresh, align: 'right', optional: 1 },
  { title: 'NOTE', value: ({ note }) => note, optional: 0, flexible: 16 },
];

function noteOf(job: JobResult): string | null {
  const reason = job.reason === null ? '' : `: ${plain(job.reason)}`;
  if (!hasEnded(job.state)) return `${job.type} is still ${job.state}${reason}`;
  if (job.state !== 'completed') return `${job.type} ${job.state.replaceAll('_', ' ')}${reason}`;
  if (job.stale) return 'no source had newer data: the stored data is given again';
  const notes = [...(job.simulated ? [MADE_UP] : []), ...job.warnings];
  return notes.length === 0 ? null : plain(notes.join('; '));
}

const MADE_UP = 'made-up prices';
