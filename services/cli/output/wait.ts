/** The end of every command with `--wait`: follows the jobs, prints their results, and reports failures with their reasons. */

import { countStates, countsText } from '../../market/freshness/freshness.ts';
import { COMMAND } from '../../platform/command-name.ts';
import { reachable, type Session } from '../session.ts';
import { type FollowedJob, type Follower, followJobs } from './follow.ts';
import { plural } from './numbers.ts';
import { type PriceState, readPrices } from './prices.ts';
import { print, printJson } from './print.ts';
import { type Progress, showProgress } from './progress.ts';
import { failures, isOfPrices, type JobResult, readResults, resultsTable, symbolsOf, unfinished } from './results.ts';
import { plain } from './table.ts';

export interface WaitOptions {
  /** Seconds after which waiting ends. The jobs continue. */
  timeout: number;
  json?: boolean | undefined;
}

export interface Watch {
  follower: Follower;
  progress: Progress;
  /** Aborts when the time is up. */
  signal: AbortSignal;
  /** `performance.now()` at the beginning. */
  startedAt: number;
}

/** Subscribes before `work` runs, so that no message is missed, and removes the progress from the terminal in the end. */
export async function withWatch<T>(session: Session, { timeout, json }: WaitOptions, work: (watch: Watch) => Promise<T>): Promise<T> {
  const bus = await session.bus();
  const follower = followJobs(session.db, bus);
  const progress = showProgress({ quiet: json === true });
  try {
    progress.waiting('connecting to the broker');
    await reachable(bus);
    const startedAt = performance.now();
    return await work({ follower, progress, signal: AbortSignal.timeout(timeout * 1000), startedAt });
  } finally {
    progress.end();
    await follower.close();
  }
}

/** Follows jobs to their end and reads their results. */
export async function untilEnded(
  session: Session,
  { follower, progress, signal, startedAt }: Watch,
  ids: readonly string[],
): Promise<JobResult[]> {
  const jobs: FollowedJob[] = await follower.until(ids, progress, signal);
  progress.end();
  return readResults(session.db, jobs, startedAt);
}

export interface CommandResult {
  jobs: readonly JobResult[];
  /** Symbols that needed no job. */
  skipped?: readonly { symbol: string; reason: string }[];
  refused?: readonly { symbol: string | null; reason: string }[];
  /** Milliseconds from the start to the end of the last job. */
  elapsedMs: number;
}

/** Prints the results, with the freshness that the prices have now: a source that has nothing newer completes its jobs and makes nothing fresh. The exit code: 1 when a job failed, was refused or did not end in time. */
export async function conclude(
  session: Session,
  { jobs, skipped = [], refused = [], elapsedMs }: CommandResult,
  { timeout, json }: WaitOptions,
  head: Record<string, unknown>,
): Promise<number> {
  const prices = await readPrices(session, [...jobs.filter(isOfPrices).flatMap(symbolsOf), ...skipped.map(({ symbol }) => symbol)]);
  const failed = failures(jobs);
  const late = unfinished(jobs);
  const ok = failed.length === 0 && late.length === 0 && refused.length === 0;
  if (json) printJson({ ...head, ok, elapsed_ms: elapsedMs, jobs, skipped, refused, prices });
  else {
    if (jobs.length + skipped.length > 0) print(resultsTable(jobs, skipped, prices));
    if (ok) print(`\n${markOf(prices)}${endOf(prices, jobs.length, elapsedMs)}`);
  }
  for (const { symbol, reason } of refused) printError(`${symbol === null ? '' : `${symbol}: `}refused: ${reason}`);
  for (const job of failed)
    printError(
      `${job.symbol ?? job.type}: ${job.type} ${job.state.replaceAll('_', ' ')}: ${job.reason ?? 'no reason given'} ("${COMMAND} job ${job.id}" shows all, "${COMMAND} retry ${job.id}" tries again)`,
    );
  if (late.length > 0)
    printError(
      `${plural(late.length, 'job has', 'jobs have')} not ended after ${timeout} s and ${late.length === 1 ? 'continues' : 'continue'}: ${late.map(({ id, state, reason }) => `${id} (${state}${reason === null ? '' : `: ${reason}`})`).join(', ')}; "${COMMAND} job <id>" shows them`,
    );
  return ok ? 0 : 1;
}

function endOf(prices: readonly PriceState[], jobs: number, elapsedMs: number): string {
  const counts = countStates(prices);
  const allFresh = counts.fresh === prices.length;
  const end = prices.length === 0 ? 'done' : allFresh ? 'all fresh' : countsText(counts);
  if (jobs > 0) return `${end} after ${elapsedMs} ms (${plural(jobs, 'job')})`;
  if (allFresh) return 'nothing to do: all is fresh already';
  const unknown = prices.filter((one) => one.unknown).length;
  const found = unknown === 0 ? 'nothing newer' : `no usable answer for ${unknown === prices.length ? 'them' : plural(unknown, 'symbol')}`;
  return `nothing to do: ${countsText(counts)}; the sources were asked lately and have ${found}`;
}

/** The mark of prices that are made up: a line of its own, empty when all are real. */
function markOf(prices: readonly PriceState[]): string {
  const simulated = prices.filter((one) => one.simulated).length;
  return simulated === 0 ? '' : `${simulated === prices.length ? 'all' : `${simulated} of ${prices.length}`} prices are made up\n`;
}

function printError(text: string): void {
  process.stderr.write(`stockmesh: ${plain(text)}\n`);
}
