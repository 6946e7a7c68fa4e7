/** How the gateway submits requests: with the webhooks that were asked for, in one transaction, and with an estimate of each accepted one. */
import type { JobRequest } from '../../ledger/enqueue/enqueue.ts';
import type { Alongside } from '../../ledger/enqueue/enqueuer.ts';
import { type Accepted, estimateAll, type Refusal, submit } from '../../ledger/enqueue/submit.ts';
import { inTrace } from '../../ledger/enqueue/traced.ts';
import { nowOf } from '../../ledger/job.ts';
import type { Estimate } from '../../ledger/read/estimate.ts';
import { TransientError } from '../../platform/errors.ts';
import type { Caller } from '../auth/access.ts';
import type { Parts } from '../http/app.ts';
import { RefusedError } from '../http/problems.ts';
import { refusePrivate } from '../webhooks/callback-address.ts';
import { insertCallbacks } from '../webhooks/callbacks.ts';

/** A full queue has room again soon. */
const FULL_RETRY_MS = 10_000;

export type Estimated = Accepted & { estimate: Estimate };

export interface SubmitOptions {
  /** The webhook of a request. */
  callbackOf(request: JobRequest, index: number): string | undefined;
  /** Requests of the same unit are within the caller's quotas together, or not at all. */
  unitOf(request: JobRequest, index: number): string;
  /** The requests that the caller named, by default all; others only prepare them. */
  isMain?: (request: JobRequest) => boolean;
  /** The requests that count against the caller's quotas, by default all. */
  isCounted?: (request: JobRequest) => boolean;
  /** The context of the caller's trace (`traceparentOf`). */
  traceparent: string | undefined;
  /** Writes that must be committed with the jobs. `answers`: those of the requests within the quotas. */
  alongside?: Alongside;
}

/**
 * Submits what is within the quotas; the rest is refused as by a full queue. Errors: when every main request is refused `TransientError('queue.full')` or
 * `RefusedError('quota.jobs')`; `RefusedError('quota.callbacks')`, those of `Enqueuer.enqueueTogether`.
 */
export async function submitFor(
  parts: Pick<Parts, 'config' | 'enqueuer' | 'estimator' | 'ledger' | 'quotas'>,
  caller: Caller,
  requests: readonly JobRequest[],
  { callbackOf, unitOf, isMain = () => true, isCounted = () => true, traceparent, alongside }: SubmitOptions,
): Promise<{ accepted: Estimated[]; refused: Refusal[] }> {
  const { enqueuer, estimator, ledger, quotas } = parts;
  const { callbacks_per_job } = parts.config.gateway.quotas;
  const within = await quotas.jobs.admit(
    requests,
    (request) => (isCounted(request) ? quotas.askersOf(caller, request) : []),
    (index) => unitOf(requests[index] as JobRequest, index),
  );
  const here = within.admitted.map((index) => requests[index] as JobRequest);
  const urls = within.admitted.map((index) => callbackOf(requests[index] as JobRequest, index));
  try {
    quotas.countCallbacks(caller, urls.filter((url) => url !== undefined).length);
    const commit = (all: readonly JobRequest[]) =>
      enqueuer.enqueueTogether(all, async (tx, answers) => {
        within.record(tx, answers);
        await alongside?.(tx, answers);
        const wanted = answers.flatMap((answer, index) => {
          const url = urls[index];
          return url === undefined ? [] : [{ answer, url, user: here[index]?.user }];
        });
        await insertCallbacks(tx, wanted, { keyId: caller.id, most: callbacks_per_job }, nowOf(ledger));
      });
    const submitted = await submit(here, (all) =>
      all.length === 0
        ? Promise.resolve([])
        : inTrace('request', { parent: traceparent }, (commitTraced) => commitTraced(all, () => commit(all))),
    );
    const indexOf = <One extends { index: number }>(one: One): One => ({ ...one, index: within.admitted[one.index] as number });
    const refused = [...within.refused, ...submitted.refused.map(indexOf)].sort((a, b) => a.index - b.index);
    refuseAll(
      refused.filter(({ request }) => isMain(request)),
      requests.filter(isMain).length,
    );
    const estimates = await estimateAll(estimator, submitted.accepted);
    return { accepted: submitted.accepted.map((one, index) => ({ ...indexOf(one), estimate: estimates[index] as Estimate })), refused };
  } finally {
    within.done();
  }
}

/** Errors: the first refusal, where all were refused. */
function refuseAll(refused: readonly (Refusal & { quota?: string })[], asked: number): void {
  const [first] = refused;
  if (first === undefined || refused.length < asked) return;
  const { code, reason, quota } = first;
  if (quota === undefined) throw new TransientError(code, reason, { retryAfterMs: FULL_RETRY_MS });
  throw new RefusedError(429, code, reason, { retryAfterSeconds: FULL_RETRY_MS / 1000, quota });
}

/** Errors: `PermanentError('callback.private_address')` for an address inside a private network, unless the configuration allows it. */
export function checkCallback({ config }: Pick<Parts, 'config'>, url: string | undefined): void {
  if (url !== undefined && !config.gateway.callbacks.allow_private) refusePrivate(new URL(url));
}
