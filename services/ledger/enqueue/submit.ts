/** The way of every request into the ledger, whoever asks: it is committed, joined to live work, or refused by a full queue. Accepted ones get an estimate. */
import { type Estimate, type Estimator, jobToEstimate } from '../read/estimate.ts';
import type { EnqueueAnswer, Enqueued, JobRequest } from './enqueue.ts';

export interface Accepted {
  request: JobRequest;
  /** Position of the request among those that were submitted. */
  index: number;
  answer: Enqueued;
  /** `joined`: the same work was asked for before; `answer` is its job. */
  outcome: 'queued' | 'joined';
}

export interface Refusal {
  request: JobRequest;
  index: number;
  code: string;
  reason: string;
}

/**
 * Commits requests with `commit` and sorts the answers, both parts in the order of the requests. `commit` checks the capacity of the queues (`enqueue`,
 * `Enqueuer.enqueueTogether`). Errors: those of `commit`.
 */
export async function submit(
  requests: readonly JobRequest[],
  commit: (requests: readonly JobRequest[]) => Promise<readonly EnqueueAnswer[]>,
): Promise<{ accepted: Accepted[]; refused: Refusal[] }> {
  const answers = await commit(requests);
  const accepted: Accepted[] = [];
  const refused: Refusal[] = [];
  for (const [index, request] of requests.entries()) {
    const answer = answers[index] as EnqueueAnswer;
    if (answer.outcome === 'refused') refused.push({ request, index, code: answer.code, reason: answer.reason });
    else {
      // Several requests for the same work share one answer; one of them has made the job.
      const isNew = answer.outcome === 'queued' && answer.request === request;
      accepted.push({ request, index, answer, outcome: isNew ? 'queued' : 'joined' });
    }
  }
  return { accepted, refused };
}

/** When each accepted request will be done, in their order. */
export function estimateAll(estimator: Estimator, accepted: readonly Accepted[]): Promise<Estimate[]> {
  return estimator.estimate(accepted.map(({ answer }) => jobToEstimate(answer)));
}

/** What is said about an accepted request, over HTTP and on the command line. */
export function acceptedJson({ answer, outcome }: Accepted) {
  const { id, type, symbol, state, queue, level, score } = answer;
  return { id, type, symbol, state, queue, priority: level, score: Number(score.toFixed(4)), outcome };
}

export function refusalJson({ request: { type, symbol }, code, reason }: Refusal) {
  return { type, symbol: symbol ?? null, code, reason };
}
