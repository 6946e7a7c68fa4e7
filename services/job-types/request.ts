/** Makes requests for the ledger: the job, the user, the cause and the priority. The requests of a login also have a score and are made in `logins/`. */
import type { JobRequest } from '../ledger/enqueue/enqueue.ts';
import type { Cause } from '../platform/job-causes.ts';

/** Causes of the requests made here. A login is a cause too, with a score of its own. */
export type RequestCause = Exclude<Cause, 'user_login'>;

export interface Origin {
  cause: RequestCause;
  /** Priority by cause: `jobs.priority_rules` of the configuration. */
  rules: Readonly<Record<RequestCause, number>>;
  /** What asked, when that says more than the cause: the name of a schedule. */
  by?: string | undefined;
  /** The user who waits for the job: the job counts against this user's slots. */
  user?: string | undefined;
}

/** The job itself, without user and cause. */
export type Work = Pick<JobRequest, 'type' | 'symbol' | 'payload' | 'dedupeKey' | 'dedupeWindowSeconds' | 'after' | 'parts' | 'items'>;

/** A priority, and the name of the configuration key that gives it. */
interface Rule {
  level: number;
  of: string;
}

/** The middle of a level, since these requests have no score of their own. */
const SCORE = 0.5;
const LONGEST_NAME = 100;

/** A request with the priority of its cause, or of `rule`. A full queue refuses it. */
export function requestFor(origin: Origin, work: Work, rule: Rule = ruleOf(origin, origin.cause)): JobRequest {
  const { cause, by, user } = origin;
  const { level, of } = rule;
  const asker = by === undefined ? cause : `${cause} (${by.slice(0, LONGEST_NAME)})`;
  const text = of === cause ? `${asker}: priority ${level}` : `${asker}: priority ${level}, that of ${of}`;
  return { ...work, level, score: SCORE, why: { text, cause, base: level, priority: level }, triggeredBy: cause, user, whenFull: 'refuse' };
}

/** The same for work that is computed from prices. A scheduled update must have its prices in time; the computation is background work. */
export function computationFor(origin: Origin, work: Work): JobRequest {
  return requestFor(origin, work, ruleOf(origin, origin.cause === 'scheduled_update' ? 'background_analysis' : origin.cause));
}

/** The same request with a priority that the caller chose. */
export function withPriority(request: JobRequest, priority: number): JobRequest {
  return { ...request, level: priority, why: { ...request.why, text: `user_request: asked for with priority ${priority}`, priority } };
}

function ruleOf({ rules }: Origin, cause: RequestCause): Rule {
  return { level: rules[cause], of: cause };
}
