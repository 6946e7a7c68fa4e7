/** Why a symbol has no ranking, or no newer one: the state of the newest job for it. */
import { isDone, isLive } from '../../ledger/job.ts';
import { type JobSummary, readNewestOf } from '../../ledger/read/jobs.ts';
import type { Mode } from '../../market/options/scoring/parts.ts';
import type { Sql } from '../../platform/database/database.ts';
import { rankKey } from './request.ts';

export interface RankState {
  /** `pending`: a job will make one. `done`: the newest job has made one. `never`: none was asked for, or its job was deleted since. */
  state: 'pending' | 'done' | 'failed' | 'never';
  job: JobSummary | null;
  /** One line for people. */
  text: string;
}

export async function readRankState(sql: Sql, symbol: string, mode: Mode): Promise<RankState> {
  const job = await readNewestOf(sql, symbol, rankKey(symbol, mode));
  const what = `the ${mode} ranking of ${symbol}`;
  if (job === undefined) return { state: 'never', job: null, text: `${what} was never asked for` };
  const because = job.reason === null ? '' : `: ${job.reason}`;
  if (isLive(job.state)) return { state: 'pending', job, text: `${what} is being made: job ${job.id} is ${job.state}${because}` };
  if (isDone(job.state)) return { state: 'done', job, text: `${what} was made by job ${job.id}${because}` };
  return { state: 'failed', job, text: `${what} could not be made: job ${job.id} ended as ${job.state}${because}` };
}
