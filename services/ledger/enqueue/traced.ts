/** Traces of jobs that no login asked for. Each cause begins a trace of its own, when it is sampled, and its jobs are traced from the transaction that makes them. */
import { type OpenSpan, spanOf, startSpan, startTrace } from '../../platform/monitoring/traces.ts';
import type { EnqueueAnswer, JobRequest } from './enqueue.ts';

/** The root span: a run of a schedule, a request over HTTP, a command, or what is fetched ahead of usual logins. */
export type TracedCause = 'schedule' | 'request' | 'command' | 'prediction';

interface CauseOptions {
  /** The context that came with a request. */
  parent?: string | undefined;
  /** Never a user's name and nothing of a payload. */
  attributes?: Record<string, string | number>;
}

type Answers = readonly EnqueueAnswer[] | undefined;

/** Runs the transaction that makes the jobs of these requests, and marks each with its span. */
export type TracedCommit = <A extends Answers>(requests: readonly JobRequest[], commit: () => Promise<A>) => Promise<A>;

/** Does the work of a cause within its trace. `work` gets the function that runs its transaction. Errors: those of `work`. */
export function inTrace<T>(
  cause: TracedCause,
  { parent, attributes }: CauseOptions,
  work: (commitTraced: TracedCommit) => Promise<T>,
): Promise<T> {
  const root = startTrace(cause, parent, {
    kind: cause === 'request' ? 'SERVER' : 'INTERNAL',
    ...(attributes === undefined ? {} : { attributes }),
  });
  if (root === undefined) return work((_, commit) => commit());
  return spanOf(
    root,
    work((requests, commit) => commitIn(root, requests, commit)),
  );
}

async function commitIn<A extends Answers>(root: OpenSpan, requests: readonly JobRequest[], commit: () => Promise<A>): Promise<A> {
  const span = startSpan('job.enqueue', root.traceparent, { attributes: { 'batch.jobs': requests.length } });
  if (span === undefined) return commit();
  for (const request of requests) request.trace = span.traceparent;
  const committing = commit().then((answers) => {
    for (const answer of answers ?? []) tell(span, answer);
    return answers;
  });
  return spanOf(span, committing);
}

/** A job has one trace: the request that joins it tells its id. */
function tell(span: OpenSpan, answer: EnqueueAnswer): void {
  if (answer.outcome === 'joined') span.event('job.joined', { 'job.id': answer.id, 'job.type': answer.type });
  if (answer.outcome === 'refused') span.event('job.refused', { 'error.type': answer.code });
}
