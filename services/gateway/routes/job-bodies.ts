/** The bodies of `POST /v1/jobs`, derived from the job types: `type` with the fields of that type, and the fields that every type takes. */
import { z } from 'zod';
import { JOB_TYPES } from '../../job-types/index.ts';
import type { HttpForm, JobType, RequestContext } from '../../job-types/job-type.ts';
import { withPriority } from '../../job-types/request.ts';
import type { JobRequest } from '../../ledger/enqueue/enqueue.ts';
import { userId } from '../http/schemas.ts';
import { callbackUrl } from '../webhooks/callback-address.ts';

/** Fields that every type takes. */
export const common = {
  priority: z.int().min(1).max(10).optional().describe('1 (most urgent) to 10, in place of that of jobs.priority_rules'),
  user: userId.optional().describe('The user who waits for it: it counts against the slots of this user, who is notified'),
  callback_url: callbackUrl.optional().describe('Called with a signed POST when the job has ended'),
};

/** Any of the bodies; the fields of its type are checked by then. */
export interface JobBody {
  type: string;
  priority?: number | undefined;
  user?: string | undefined;
  callback_url?: string | undefined;
}

export interface JobBodies {
  schema: z.ZodType<JobBody>;
  /** The user whose holdings the body names. */
  holderOf(body: JobBody): string | undefined;
  /** The requests that a body means. Errors: `InputError` of its type, such as `backfill.bad_range`, `batch_fetch.nothing`, `user.unknown`. */
  requestsOf(body: JobBody, context: Omit<RequestContext, 'origin'>): Promise<JobRequest[]>;
}

export function jobBodies(types: readonly JobType[] = JOB_TYPES): JobBodies {
  const forms = types.flatMap(({ name, about, http }) => (http === undefined ? [] : [{ name, about, http }]));
  const schemas = forms.map(({ name, about, http }) =>
    z.strictObject({ type: z.literal(name), ...http.fields, ...common }).describe(about),
  );
  const formOf = ({ type }: JobBody): HttpForm => forms.find(({ name }) => name === type)?.http as HttpForm;
  const error = `not a job type; choose one of ${forms.map(({ name }) => name).join(', ')}`;
  const holderOf = (body: JobBody) => formOf(body).holder?.(body as never);
  return {
    schema: z.discriminatedUnion('type', schemas as [(typeof schemas)[number]], { error }) as unknown as z.ZodType<JobBody>,
    holderOf,
    async requestsOf(body, context) {
      const origin = { cause: 'user_request', rules: context.config.jobs.priority_rules, user: body.user ?? holderOf(body) } as const;
      const requests = await formOf(body).requests(body as never, { ...context, origin });
      const { priority } = body;
      return priority === undefined ? requests : requests.map((request) => withPriority(request, priority));
    },
  };
}
