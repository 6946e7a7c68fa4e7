/** How the gateway submits requests: with the webhooks that were asked for, in one transaction, and with an estimate of each accepted one. */
import type { JobRequest } from '../../ledger/enqueue/enqueue.ts';
import { type Accepted, estimateAll, type Refusal, submit } from '../../ledger/enqueue/submit.ts';
import { nowOf } from '../../ledger/job.ts';
import type { Estimate } from '../../ledger/read/estimate.ts';
import { TransientError } from '../../platform/errors.ts';
import type { Caller } from '../auth/access.ts';
import type { Parts } from '../http/app.ts';
import { refusePrivate } from '../webhooks/callback-address.ts';
import { insertCallbacks } from '../webhooks/callbacks.ts';

/** A full queue has room again soon. */
const FULL_RETRY_MS = 10_000;

export type Estimated = Accepted & { estimate: Estimate };

/**
 * `callbackOf`: the webhook of a request. `isMain`: the requests that the caller named; others only prepare them. Errors: `TransientError('queue.full')` when every main
 * request is refused, those of `Enqueuer.enqueueTogether`.
 */
export async function submitFor(
  { enqueuer, estimator, ledger }: Pick<Parts, 'enqueuer' | 'estimator' | 'ledger'>,
  caller: Caller,
  requests: readonly JobRequest[],
  callbackOf: (request: JobRequest, index: number) => string | undefined,
  isMain: (request: JobRequest) => boolean = () => true,
): Promise<{ accepted: Estimated[]; refused: Refusal[] }> {
  const urls = requests.map(callbackOf);
  const { accepted, refused } = await submit(requests, (all) =>
    enqueuer.enqueueTogether(all, async (tx, answers) => {
      const wanted = answers.flatMap((answer, index) => {
        const url = urls[index];
        return url === undefined ? [] : [{ answer, url, user: requests[index]?.user }];
      });
      await insertCallbacks(tx, wanted, caller.id, nowOf(ledger));
    }),
  );
  const refusedMain = refused.filter(({ request }) => isMain(request));
  const [first] = refusedMain;
  if (first !== undefined && refusedMain.length === requests.filter(isMain).length)
    throw new TransientError(first.code, first.reason, { retryAfterMs: FULL_RETRY_MS });
  const estimates = await estimateAll(estimator, accepted);
  return { accepted: accepted.map((one, index) => ({ ...one, estimate: estimates[index] as Estimate })), refused };
}

/** Errors: `PermanentError('callback.private_address')` for an address inside a private network, unless the configuration allows it. */
export function checkCallback({ config }: Pick<Parts, 'config'>, url: string | undefined): void {
  if (url !== undefined && !config.gateway.callbacks.allow_private) refusePrivate(new URL(url));
}
