/** The spans `login.commit` of a batch. A batch is one transaction of many logins, of which each that is traced has a span of its own. */
import { type OpenSpan, startSpan } from '../platform/monitoring/traces.ts';
import type { Login } from './activity.ts';
import type { CommittedBatch } from './commit.ts';
import type { ScoredRequest } from './decision.ts';

/** By user; of several logins of one user the first one that is traced. Empty unless one is. */
export type CommitSpans = ReadonlyMap<string, OpenSpan>;

export function startCommitSpans(logins: readonly Login[]): CommitSpans {
  const spans = new Map<string, OpenSpan>();
  for (const { user, trace } of logins) {
    const span = spans.has(user) ? undefined : startSpan('login.commit', trace, { attributes: { 'batch.logins': logins.length } });
    if (span !== undefined) spans.set(user, span);
  }
  return spans;
}

const viewersOf = ({ user, alsoFor }: ScoredRequest): string[] => (user === undefined ? alsoFor : [user, ...alsoFor]);

/** The requests with the trace of their most urgent viewer that has one. */
export function tracedBy(spans: CommitSpans, requests: ScoredRequest[]): ScoredRequest[] {
  if (spans.size === 0) return requests;
  return requests.map((request) => {
    const viewer = viewersOf(request).find((user) => spans.has(user));
    return viewer === undefined ? request : { ...request, trace: spans.get(viewer)?.traceparent };
  });
}

/** A job has one trace. The others whose work it does tell its id, as those do that joined a job of an earlier transaction. */
export function endCommitSpans(spans: CommitSpans, { requests, enqueued }: Pick<CommittedBatch, 'requests' | 'enqueued'>): void {
  if (spans.size === 0) return;
  for (const [index, request] of requests.entries()) {
    const answer = enqueued[index];
    for (const viewer of viewersOf(request)) {
      const span = spans.get(viewer);
      if (span === undefined || answer === undefined) continue;
      if (answer.outcome === 'refused') span.event('job.refused', { 'job.type': request.type, 'error.type': answer.code });
      else if (answer.outcome === 'joined' || request.trace !== span.traceparent)
        span.event('job.joined', { 'job.id': answer.id, 'job.type': answer.type });
    }
  }
  for (const span of spans.values()) span.end();
}
