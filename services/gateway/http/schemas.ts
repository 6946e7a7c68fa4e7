/** The shapes of requests and answers. They validate requests and answers, give both their types, and make the OpenAPI document. */
import { z } from 'zod';
import { day, userId } from '../../job-types/job-type.ts';
import { QUEUES, STATES } from '../../ledger/job.ts';
import { ITEM_STATES } from '../../ledger/run/items.ts';
import { decimalText } from '../../platform/text/decimal.ts';
import { PROBLEM_TYPE, problemSchema } from './problems.ts';

/** ISO 8601 in UTC outside, a `Date` inside. */
export const instant = z.codec(z.iso.datetime(), z.date(), { decode: (text) => new Date(text), encode: (date) => date.toISOString() });

const JOB_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;
export const jobId = z
  .string()
  .regex(JOB_ID, 'not a job id; one looks like 01932c07-5f2a-7000-8a3b-0123456789ab')
  .transform((id) => id.toLowerCase());

export { day, userId };
export const queue = z.enum(QUEUES);
export const state = z.enum(STATES);
export const itemState = z.enum(ITEM_STATES);
export const limit = (standard: number, most: number) => decimalText(z.number().int().min(1).max(most).default(standard));
/** `true` or `false` in a query. */
export const flag = z.stringbool({ truthy: ['true', '1'], falsy: ['false', '0'], error: 'write true or false' });

/** Every answer that is not 2xx. */
const problem = { description: 'A problem', content: { [PROBLEM_TYPE]: { schema: problemSchema } } };
export const problems = { '4xx': problem, '5xx': problem } as const;

/** In the query of an event stream. */
export const streamToken = z
  .string()
  .max(100)
  .optional()
  .describe('Of POST /v1/events/token, in place of a key: for an EventSource, which sends no header');

export const jobSummary = z
  .object({
    id: z.string(),
    type: z.string(),
    symbol: z.string().nullable(),
    capability: z.string().nullable().describe('What its worker must have, such as region:eu; null: any worker may run it'),
    state,
    queue,
    priority: z.int().describe('1 (most urgent) to 10'),
    score: z
      .number()
      .nullable()
      .describe('0-1, orders jobs of one priority; null for a key of a user where another user is the reason of the priority'),
    attempt: z.int(),
    max_attempts: z.int(),
    user: z.string().nullable().describe('Who asked first; a key of a user sees that user'),
    worker: z.string().nullable(),
    blocked_on: z.enum(['slot', 'dependency']).nullable(),
    run_at: instant.nullable().describe('Of a scheduled job: when it starts'),
    enqueued_at: instant,
    started_at: instant.nullable(),
    ended_at: instant.nullable(),
    reason: z.string().nullable().describe('Why it ended other than completed, or waits for its next attempt or for some workers alone'),
    code: z.string().nullable().describe('Why it ended other than completed, for programs'),
  })
  .meta({ id: 'JobSummary' });

export const itemCounts = z
  .object({
    pending: z.int(),
    done: z.int(),
    skipped: z.int(),
    no_data: z.int(),
    failed: z.int(),
    not_entitled: z.int().describe('The account of the source may not read them'),
    not_yet: z.int().describe('Their data is not there yet'),
    total: z.int(),
  })
  .meta({ id: 'ItemCounts' });

/** The same job in the terms of earlier clients. */
export const jobStatus = z
  .object({
    job_id: z.string(),
    status: state,
    progress: z.object({
      completed: z.int(),
      skipped: z.int(),
      no_data: z.int(),
      failed: z.int(),
      not_entitled: z.int(),
      not_yet: z.int(),
      total: z.int(),
      percentage: z.number().describe('0-100'),
    }),
    eta_seconds: z.number().nullable().describe('Until it is done, by what was measured; null when nothing was'),
    created_at: instant,
    updated_at: instant,
    error_message: z.string().nullable(),
  })
  .meta({ id: 'JobStatus' });

const jobLink = z
  .object({
    id: z.string(),
    type: z.string(),
    symbol: z.string().nullable(),
    state,
    is_part: z.boolean().describe('One is a part of the other, whose items are counted there'),
  })
  .meta({ id: 'JobLink' });

export const jobDetail = jobSummary
  .extend({
    payload: z.unknown(),
    why: z
      .record(z.string(), z.unknown())
      .nullable()
      .describe(
        'How it came to its priority: `text`, the `user` whose request gave it, and if it was scored its factors. null: as for `score`',
      ),
    triggered_by: z.string().nullable().describe('null: as for `score`'),
    result: z.unknown().describe('A key of a user sees what says nothing of other users'),
    attempts: z
      .array(
        z.object({
          attempt: z.int(),
          worker: z.string().nullable(),
          started_at: instant.nullable(),
          ended_at: instant,
          outcome: z.string(),
          code: z.string().nullable(),
          reason: z.string().nullable(),
        }),
      )
      .describe('All that have ended; the one that completed is the last'),
    subscribers: z.array(z.string()),
    needs: z.array(jobLink).describe('Jobs that it waits for, or waited for'),
    dependents: z.array(jobLink).describe('Jobs that wait for it, or waited for it'),
    items: itemCounts,
    position: z.int().nullable().describe('Jobs that are claimed before it'),
    ...jobStatus.shape,
  })
  .meta({ id: 'JobDetail' });

export const change = z
  .object({
    id: z.string(),
    type: z.string(),
    symbol: z.string().nullable(),
    state,
    attempt: z.int(),
    worker: z.string().nullable(),
    reason: z.string().nullable(),
  })
  .meta({ id: 'JobChange' });
