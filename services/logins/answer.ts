/** The answer to a login, and what is kept of it: each symbol with the jobs it caused or joined, or why it caused none. */

import type { EnqueueAnswer } from '../ledger/enqueue/enqueue.ts';
import { queueOfLevel } from '../ledger/job.ts';
import { countsText } from '../market/freshness/freshness.ts';
import { COMMAND } from '../platform/command-name.ts';
import type { Draft } from '../platform/messages.ts';
import type { Asked, SymbolDecision } from './decision.ts';

export type PortfolioAnswer = Draft<'portfolio'>;
type PortfolioJob = PortfolioAnswer['jobs'][number];

/** What `user_portfolio_priority.decisions` keeps of a job. */
interface KeptJob {
  id: string;
  priority: number;
  score: number;
  /** Weight × value of each factor, in the order of `FACTORS`. */
  points: number[];
  coalesced: boolean;
}

/** What `user_portfolio_priority.decisions` keeps of a symbol. A type and not an interface: it travels as JSON. */
export type KeptDecision = {
  symbol: string;
  /** Not a holding, and not counted: a rate that the value of one needs. */
  rate?: true;
  fetch?: KeptJob;
  analysis?: KeptJob;
  /** Why nothing was queued: all is fresh; the sources were asked and have nothing newer; or they have nothing at all. */
  fresh?: string;
  outdated?: string;
  missing?: string;
  /** The answer of the sources was a failure, and the pause after it lasts. */
  unknown?: string;
  refused?: string;
};

/** The same for every login of a user in one batch. Counts are symbols. */
export interface LoginOutcome {
  answer: Omit<PortfolioAnswer, 'user_id' | 'at'>;
  kept: KeptDecision[];
}

const SENTENCE = 500;

/**
 * Puts the ledger's answers to the decisions that asked for them; called for each user of a batch in turn. A job that several users of the batch want is new for the first and
 * coalesced for the others.
 */
export function outcomesOf(answers: readonly EnqueueAnswer[]): (user: string, decisions: readonly SymbolDecision[]) => LoginOutcome {
  const told: Told = { answers, seen: new Set() };
  return (user, decisions) => outcomeOf(user, decisions, told);
}

interface Told {
  /** By request. */
  answers: readonly EnqueueAnswer[];
  /** Jobs that stand in an answer already. */
  seen: Set<string>;
}

function outcomeOf(user: string, decisions: readonly SymbolDecision[], { answers, seen }: Told): LoginOutcome {
  const jobs: PortfolioJob[] = [];
  const skipped: PortfolioAnswer['skipped'] = [];
  const kept: KeptDecision[] = [];
  const skippedIn = { fresh: 0, outdated: 0, missing: 0, unknown: 0 };
  let queued = 0;
  let joined = 0;
  const lower = new Map<string, number>();
  let refusal: string | undefined;
  for (const { symbol, rate, state, fetch, analysis, finding } of decisions) {
    if (fetch === undefined && analysis === undefined) {
      // A stale price is always due.
      const name = state as keyof typeof skippedIn;
      skippedIn[name]++;
      skipped.push({ symbol, reason: finding.slice(0, SENTENCE) });
      kept.push({ symbol, [name]: finding });
      continue;
    }
    const decision: KeptDecision = rate ? { symbol, rate } : { symbol };
    let own = false;
    let any = false;
    for (const type of ['fetch', 'analysis'] as const) {
      const asked = type === 'fetch' ? fetch : analysis;
      if (asked === undefined) continue;
      const answer = answers[asked.at]!;
      if (answer.outcome === 'refused') {
        const { reason } = answer;
        refusal ??= reason;
        decision.refused = reason;
        skipped.push({ symbol, reason: `${type} refused: ${reason}`.slice(0, SENTENCE) });
        continue;
      }
      const job = jobOf(symbol, type, asked, answer, answer.outcome === 'joined' || seen.has(answer.id));
      seen.add(job.id);
      any = true;
      own ||= !job.coalesced;
      jobs.push(job);
      decision[type] = {
        id: job.id,
        priority: job.priority,
        score: job.score,
        points: asked.points.map(rounded),
        coalesced: job.coalesced,
      };
      if (type === 'fetch' && job.queue !== queueOfLevel(asked.level)) lower.set(job.queue, (lower.get(job.queue) ?? 0) + 1);
    }
    if (any && !rate) queued++;
    if (any && !own && !rate) joined++;
    kept.push(decision);
  }
  const total = decisions.filter(({ rate }) => !rate).length;
  const { fresh, outdated, missing, unknown } = skippedIn;
  const refused = total - queued - fresh - outdated - missing - unknown;
  return {
    answer: {
      total,
      queued,
      fresh,
      outdated,
      missing,
      unknown,
      joined,
      ...(refused > 0 ? { refused } : {}),
      text: textOf(user, { total, queued, fresh, outdated, missing, unknown, joined, refused }, lower, refusal),
      jobs,
      skipped,
    },
    kept,
  };
}

function jobOf(
  symbol: string,
  type: PortfolioJob['type'],
  asked: Asked,
  { id, queue, level, demoted }: Exclude<EnqueueAnswer, { outcome: 'refused' }>,
  coalesced: boolean,
): PortfolioJob {
  const elsewhere = demoted
    ? `; ${queueOfLevel(asked.level)} is full: it waits in ${queue} at priority ${level}`
    : level < asked.level
      ? `; shared with a request of priority ${level}`
      : '';
  return { id, symbol, type, priority: level, queue, score: rounded(asked.score), why: { text: `${asked.text}${elsewhere}` }, coalesced };
}

/** A row of `user_portfolio_priority`. */
export interface AnswerRow {
  user_id: string;
  at: Date;
  total: number;
  queued: number;
  fresh: number;
  decisions: readonly KeptDecision[];
}

const GONE = 'its job is not kept any more';

/** The answer to a login again, from its row; `textOfJob` gives the reasons of a job. The queue of a job is that of the priority which the login was told. */
export function answerOfRow(
  { user_id, at, total, queued, fresh, decisions }: AnswerRow,
  textOfJob: (id: string) => string | undefined,
): PortfolioAnswer {
  const jobs: PortfolioJob[] = [];
  const skipped: PortfolioAnswer['skipped'] = [];
  for (const decision of decisions) {
    const { symbol } = decision;
    for (const type of ['fetch', 'analysis'] as const) {
      const job = decision[type];
      if (job === undefined) continue;
      const { id, priority, score, coalesced } = job;
      jobs.push({ id, symbol, type, priority, queue: queueOfLevel(priority), score, why: { text: textOfJob(id) ?? GONE }, coalesced });
    }
    const reason =
      decision.fresh ?? decision.outdated ?? decision.missing ?? decision.unknown ?? (decision.refused && `refused: ${decision.refused}`);
    if (reason !== undefined) skipped.push({ symbol, reason: reason.slice(0, SENTENCE) });
  }
  const { outdated, missing, unknown } = countSkipped(decisions);
  const joined = decisions.filter(
    ({ rate, fetch, analysis }) => !rate && (fetch ?? analysis) !== undefined && [fetch, analysis].every((job) => job?.coalesced !== false),
  ).length;
  const refused = total - queued - fresh - outdated - missing - unknown;
  const refusal = decisions.find((one) => one.refused !== undefined)?.refused;
  return {
    ...{ user_id, at: at.toISOString(), total, queued, fresh, outdated, missing, unknown, joined },
    ...(refused > 0 ? { refused } : {}),
    text: textOf(user_id, { total, queued, fresh, outdated, missing, unknown, joined, refused }, new Map(), refusal),
    jobs,
    skipped,
  };
}

/** The symbols without a job that are not fresh. */
export function countSkipped(decisions: readonly KeptDecision[]): Record<'outdated' | 'missing' | 'unknown', number> {
  const count = (state: 'outdated' | 'missing' | 'unknown'): number => decisions.filter((one) => one[state] !== undefined).length;
  return { outdated: count('outdated'), missing: count('missing'), unknown: count('unknown') };
}

type Counts = Record<'total' | 'queued' | 'fresh' | 'outdated' | 'missing' | 'unknown' | 'joined' | 'refused', number>;

function textOf(
  user: string,
  { total, queued, joined, refused, ...skipped }: Counts,
  lower: ReadonlyMap<string, number>,
  refusal: string | undefined,
): string {
  if (total === 0) return `no holdings, so nothing to refresh; "${COMMAND} portfolio import FILE.csv --user ${user}" adds some`;
  const parts = [`${queued} of ${total} symbols queued, ${countsText(skipped)}`];
  if (joined > 0) parts.push(`${joined} share jobs that were requested before`);
  for (const [queue, count] of lower) parts.push(`the queue above is full: ${count} wait in ${queue}`);
  if (refused > 0) parts.push(`${refused} refused`);
  if (refusal !== undefined) parts.push(refusal);
  return parts.join('; ').slice(0, SENTENCE);
}

/** Four decimals: enough to see, and a quarter of the bytes. */
function rounded(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
