/** The definition of a job type. Each folder here holds one: `definition.ts`, `handler.ts`, and `request.ts` where other types ask for it too. `index.ts` lists them. */
import { z } from 'zod';
import type { JobRequest } from '../ledger/enqueue/enqueue.ts';
import type { Clock } from '../platform/clock.ts';
import type { Config } from '../platform/config/load.ts';
import type { Database, Sql } from '../platform/database/database.ts';
import type { Component } from '../platform/log/log-levels.ts';
import type { EventName } from '../platform/outbox.ts';
import { userId as anyUserId } from '../platform/user-id.ts';
import type { Origin } from './request.ts';

export interface JobType {
  /**
   * Lower-case letters, digits and `_`, at most 24. The topic of its jobs follows from it: `stock/{name}/{symbol}`, or of a job without a symbol `stock/{name}/{user}`.
   * A type for many symbols is called `batch_{type}` and has the topic `stock/{type}/batch`.
   */
  name: string;
  /** Names that `worker.supported_job_types` of earlier deployments uses for it. */
  earlierNames?: readonly string[];
  /** One line for people: in the documents of HTTP and MQTT. */
  about: string;
  /** The payloads that its handler accepts. */
  payload: z.ZodType;
  /** The kinds of data that it stores: the last level of `data/{symbol}/{kind}`. */
  dataKinds: readonly string[];
  /** `sources`: as often as a market source is tried (`stock_jobs.data_fetch`). `general`: `jobs.max_retries` and `jobs.retry_delay`. Or its own: at most so many, after these seconds. */
  retries: 'sources' | 'general' | { most: number; delaysSeconds: readonly number[] };
  /** Seconds that a job may take; `worker.max_execution_time` holds for every type. */
  timeLimit?: (config: Config) => number;
  /** Seconds that its jobs may wait in their queue, in place of the `ttl` of the queue. */
  waitsSeconds?: number;
  /** The capability that the worker of a job must have (`worker.capabilities`); undefined: any worker may run it. */
  capability?: (config: Config, payload: Record<string, unknown>) => string | undefined;
  /** Most of its jobs that one worker runs at once, so that long ones leave places to others. */
  mostPerWorker?: (config: Config) => number;
  /** Set where its jobs run for so long that they must not take the slots of a user's other jobs. */
  takesNoSlot?: true;
  /** Whether failed parts leave the job `completed_with_errors` instead of `failed`. */
  mayCompleteWithErrors: boolean;
  /** Set where a job also runs when one that it waited for failed: it can do without. */
  needsMayFail?: true;
  /** The component of `logging.component_logs` under which its jobs are logged. */
  logComponent: Component;
  /** Set where the `source` and `ms` of a result are the time in which a market source answered. These jobs give the latency of each source. */
  measuresSource?: true;
  /** The fields of a result that the command line shows. */
  shownResult: readonly ResultField[];
  /**
   * What of a result every user may see who asked for the same work, since it says nothing of other users. Without it a user sees the result of a job only if nobody
   * else waits for it.
   */
  sharedResult?: (result: Record<string, unknown>) => Record<string, unknown>;
  /** Set where a job has items (`job_items`), one for each of its parts. */
  hasItems?: true;
  /** The event that its end is, however it ends, for `notify.routes`. */
  endEvent?: EventName;
  /** The form of `POST /v1/jobs` for it. */
  http?: HttpForm;
  /** The command that requests it. */
  cli?: CliForm;
}

/** The fields of results that the command line knows. Each has its meaning in `JobResult`. */
export type ResultField =
  | ('source' | 'bars' | 'written' | 'through' | 'stale' | 'simulated' | 'warnings' | 'ms')
  | ('signal' | 'confidence')
  | ('mode' | 'eligible' | 'kept');

export interface RequestContext {
  config: Config;
  clock: Clock;
  db: Sql;
  origin: Origin;
}

type Requests = JobRequest[] | Promise<JobRequest[]>;

export interface HttpForm {
  /** Fields beside `type`, `priority`, `user` and `callback_url`, which every type takes. */
  fields: z.ZodRawShape;
  /** The user whose holdings a body names: the caller needs the right to ask for this user. */
  holder?: (body: never) => string | undefined;
  /** Errors: `InputError` for fields that do not go together. */
  requests: (body: never, context: RequestContext) => Requests;
}

/** A form whose functions know the types of its fields. */
export function httpForm<Fields extends z.ZodRawShape>(form: {
  fields: Fields;
  holder?: (body: z.output<z.ZodObject<Fields>>) => string | undefined;
  requests: (body: z.output<z.ZodObject<Fields>>, context: RequestContext) => Requests;
}): HttpForm {
  return form;
}

export interface CliForm {
  verb: string;
  /** As in the help: `<symbol>`, `[symbols...]`. */
  argument: string;
  about: string;
  options: readonly CliOption[];
  /** Checks the command line, before anything is connected. Errors: `InputError`. The result makes the requests. */
  requests: (args: readonly string[], options: never) => CliRequest;
}

export interface CliRequest {
  /** Who waits for the jobs. */
  user?: string | undefined;
  /** Stores what the jobs need, before they are requested. The lines tell what was done. */
  prepare?: ((parts: { config: Config; db: Database; signal: AbortSignal }) => Promise<string[]>) | undefined;
  make: (context: RequestContext) => Requests;
}

export interface CliOption {
  /** As in the help: `--portfolio <user>`. */
  flags: string;
  about: string;
  required?: true;
  /** Checks and converts the value; its first issue is the error. */
  schema?: z.ZodType;
  /** May be given several times, each time one of these. */
  anyOf?: readonly string[];
  /** The value when `anyOf` is not given. */
  standard?: readonly string[];
}

/** A result that is about the market alone. */
export const marketResult = (result: Record<string, unknown>): Record<string, unknown> => result;

/** Fields that several types take over HTTP. */
export const day = z.iso.date('not a day; write it like 2026-01-31');
/** The same as the value of an option. */
export const dayOption = z.iso.date('Write a day as YYYY-MM-DD.');
/** Blanks at the ends do not count: the database pads with them. */
export const userId = anyUserId.transform((user) => user.trim());
export const analyseField = z.boolean().default(true).optional().describe('false: bars only, no analysis of them');

/** Today in UTC, `YYYY-MM-DD`. */
export function today(clock: Clock): string {
  return clock.now().toZonedDateTimeISO('UTC').toPlainDate().toString();
}
