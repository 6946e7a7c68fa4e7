/** Errors as RFC 9457 problem details: a stable `code` for programs, a sentence for people, and for bad input every bad field by name. */
import { STATUS_CODES } from 'node:http';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { codeOf, InputError, messageOf, PermanentError, StockmeshError, TransientError } from '../../platform/errors.ts';
import { type Refusal, refusalText } from '../../platform/refusals.ts';
import type { App } from './app.ts';

export const PROBLEM_TYPE = 'application/problem+json';
/** A portfolio of a thousand positions is a tenth of it. */
export const MOST_BODY_BYTES = 1024 * 1024;

export const problemSchema = z
  .object({
    type: z.string().describe('`urn:stockmesh:problem:` and the code'),
    title: z.string(),
    status: z.int(),
    detail: z.string().describe('What happened, to which value, and the way out'),
    instance: z.string().optional().describe('The path of the request, where the server could read it'),
    code: z.string().describe('Never changes; for programs'),
    quota: z.string().optional().describe('The configuration key of the limit that is used up'),
    errors: z
      .array(z.object({ in: z.enum(['body', 'query', 'path', 'header']), field: z.string(), message: z.string() }))
      .optional()
      .describe('The fields of the request that are not right, of very many the first'),
  })
  .meta({ id: 'Problem' });
type Problem = z.output<typeof problemSchema>;
type FieldError = NonNullable<Problem['errors']>[number];

/** A request that came too often or without the right to be made. */
export class RefusedError extends StockmeshError {
  readonly status: 401 | 403 | 429;
  /** When to come again. */
  readonly retryAfterSeconds: number | undefined;
  /** The configuration key of the limit that is used up. */
  readonly quota: string | undefined;
  constructor(
    status: 401 | 403 | 429,
    code: string,
    message: string,
    { retryAfterSeconds, quota }: { retryAfterSeconds?: number; quota?: string } = {},
  ) {
    super(code, message);
    this.status = status;
    this.retryAfterSeconds = retryAfterSeconds;
    this.quota = quota;
  }
}

/** Valid input that names a thing that does not exist, or that is not in the right state. Every other `InputError` is a 400. */
const CONFLICTS = new Set(['job.ended', 'job.live', 'job.superseded', 'request.idempotency_conflict', 'history.incomplete']);
/** What was looked at before has changed meanwhile. */
const CHANGED = new Set(['portfolio.changed']);
const RETRY_SECONDS = 2;

export function statusOf(error: unknown): number {
  if (error instanceof RefusedError) return error.status;
  if (error instanceof InputError)
    return error.code.endsWith('.unknown') ? 404 : CONFLICTS.has(error.code) ? 409 : CHANGED.has(error.code) ? 412 : 400;
  if (error instanceof TransientError) return 503;
  if (error instanceof PermanentError) return 422;
  const status = (error as Partial<FastifyError> | null)?.statusCode;
  return status !== undefined && status >= 400 && status < 500 ? status : 500;
}

/** Answers with the problem. An unexpected error is logged whole, and the caller does not see its text. */
export function answerProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  if (hasZodFastifySchemaValidationErrors(error)) {
    const errors = fieldErrors(error.validation, error.validationContext, request);
    const shown = errors
      .slice(0, 3)
      .map((one) => `${one.in === 'query' ? 'query parameter' : one.in} ${one.field === '' ? '' : `"${one.field}" `}${one.message}`);
    send(request, reply, { status: 400, code: 'request.invalid', detail: shown.join('; '), errors });
    return;
  }
  const status = statusOf(error);
  if (status === 500) {
    request.log.error(
      { err: error, code: codeOf(error), method: request.method, path: pathOf(request) },
      `not answered: ${messageOf(error)}`,
    );
    send(request, reply, { status, code: 'internal', detail: 'this is a defect of the gateway; its log says more' });
    return;
  }
  if (error instanceof TransientError) {
    request.log.warn({ code: error.code, path: pathOf(request) }, messageOf(error));
    reply.header('retry-after', Math.ceil((error.retryAfterMs ?? RETRY_SECONDS * 1000) / 1000));
  }
  const { retryAfterSeconds, quota } = error instanceof RefusedError ? error : {};
  if (retryAfterSeconds !== undefined) reply.header('retry-after', retryAfterSeconds);
  if (status === 401) reply.header('www-authenticate', 'Bearer realm="stockmesh"');
  if (error instanceof StockmeshError) {
    send(request, reply, { status, code: error.code, detail: error.message, quota });
    return;
  }
  const [code, detail] = SERVER_ERRORS[codeOf(error)] ?? ['request.refused'];
  send(request, reply, { status, code, detail: detail ?? messageOf(error) });
}

/** Why a request is refused for good, without what was sent; undefined for one that may come again as it is. */
export function refusalOf(error: unknown): Pick<Refusal, 'code' | 'text'> | undefined {
  if (hasZodFastifySchemaValidationErrors(error)) {
    const fields = [...new Set(error.validation.map(({ instancePath }) => `"${instancePath.split('/')[1] ?? ''}"`))];
    return {
      code: 'request.invalid',
      text: `${PLACES[error.validationContext as keyof typeof PLACES] ?? 'body'}: not valid: ${fields.join(', ')}`,
    };
  }
  const status = statusOf(error);
  if (status >= 500 || status === 429) return undefined;
  if (error instanceof StockmeshError) return { code: error.code, text: refusalText(error) };
  const [code, text] = SERVER_ERRORS[codeOf(error)] ?? ['request.refused'];
  return { code, text: text ?? STATUS_CODES[status] ?? code };
}

/** Errors of the server itself, under stable codes of our own, and in our own words where its words do not help. */
const SERVER_ERRORS: Record<string, [code: string, detail?: string]> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['request.not_json', 'send the body as JSON, with the header "content-type: application/json"'],
  FST_ERR_CTP_BODY_TOO_LARGE: ['request.too_large', `the body is larger than ${MOST_BODY_BYTES} bytes; send it in parts`],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['request.malformed', 'the body is not as long as its content-length says'],
  FST_ERR_BAD_URL: ['request.bad_url', 'the path has a "%" without two hexadecimal digits of UTF-8 after it; write "%" itself as %25'],
  FST_ERR_MAX_PARAM_LENGTH: ['request.parameter_too_long', 'a part of the path is longer than any name or id can be'],
};

/** Refuses requests that no route should see: those that come while the server stops, and those of HTTP/1.1 without a host. Answers while it stops end their connection. */
export function refuseRequests(app: App): void {
  let isStopping = false;
  app.addHook('preClose', async () => {
    isStopping = true;
  });
  app.addHook('onSend', (_, reply, payload, done) => {
    if (isStopping) reply.header('connection', 'close');
    done(null, payload);
  });
  app.addHook('onRequest', async ({ raw, headers }) => {
    if (isStopping) throw new TransientError('gateway.stopping', 'the gateway is about to stop; ask again, it or another one answers');
    // RFC 9112, 3.2
    if (headers.host === undefined && raw.httpVersion === '1.1')
      throw new InputError('request.no_host', 'a request of HTTP/1.1 has the header "host"');
  });
}

export function answerNotFound(request: FastifyRequest, reply: FastifyReply): void {
  send(request, reply, {
    status: 404,
    code: 'route.unknown',
    detail: `there is no ${request.method} ${pathOf(request)}; /docs shows what there is`,
  });
}

function send(request: FastifyRequest, reply: FastifyReply, facts: Omit<ProblemFacts, 'instance'>): void {
  const problem = problemOf({ ...facts, instance: pathOf(request) });
  // Serialized here: a route's own schemas are about its answers.
  void reply.code(facts.status).header('cache-control', 'no-store').type(PROBLEM_TYPE).serializer(JSON.stringify).send(problem);
}

export interface ProblemFacts {
  status: number;
  code: string;
  detail: string;
  instance?: string;
  quota?: string | undefined;
  errors?: FieldError[];
}

export function problemOf({ status, code, detail, instance, quota, errors }: ProblemFacts): Problem {
  return {
    type: `urn:stockmesh:problem:${code}`,
    title: STATUS_CODES[status] ?? 'Error',
    status,
    detail,
    ...(instance === undefined ? {} : { instance }),
    code,
    ...(quota === undefined ? {} : { quota }),
    ...(errors === undefined ? {} : { errors }),
  };
}

/** Without the query, which may hold a token. */
export const pathOf = ({ url }: FastifyRequest): string => url.split('?', 1)[0] as string;

interface Issue {
  code: string;
  path: PropertyKey[];
  message: string;
  keys?: string[];
  errors?: Issue[][];
}

/** Fields that are named: an answer stays small, whatever was sent. */
const MOST_ERRORS = 100;

const PLACES = { body: 'body', querystring: 'query', params: 'path', headers: 'header' } as const;

function fieldErrors(
  found: readonly { keyword: string; instancePath: string; message?: string | undefined; params: Record<string, unknown> }[],
  context: string | undefined,
  request: FastifyRequest,
): FieldError[] {
  const place = PLACES[context as keyof typeof PLACES] ?? 'body';
  const given = { body: request.body, query: request.query, path: request.params, header: request.headers }[place];
  const issues = found.map(
    ({ keyword, instancePath, message = '', params }): Issue => ({
      ...params,
      code: keyword,
      path: instancePath
        .split('/')
        .slice(1)
        .filter((level) => level !== ''),
      message,
    }),
  );
  return issues
    .flatMap((issue) => flatten(issue, given))
    .slice(0, MOST_ERRORS)
    .map((issue) => ({ in: place, ...described(issue, given) }));
}

/**
 * Of a union the alternative that fits best: the one with the deepest issue, then the one that misses the fewest fields (who gives too long a list of `jobs` does not
 * mean the body with a `type`), then the one with the fewest issues.
 */
function flatten(issue: Issue, given: unknown): Issue[] {
  if (issue.code !== 'invalid_union' || issue.errors === undefined || issue.errors.length === 0) {
    return issue.code === 'unrecognized_keys'
      ? (issue.keys ?? []).map((key) => ({ ...issue, path: [...issue.path, key], message: 'is not known here' }))
      : [issue];
  }
  const depth = (branch: readonly Issue[]): number => Math.max(0, ...branch.map(({ path }) => path.length));
  const missing = (branch: readonly Issue[]): number =>
    branch.filter(({ path }) => valueAt([...issue.path, ...path], given) === undefined).length;
  const [best = []] = issue.errors.toSorted((a, b) => depth(b) - depth(a) || missing(a) - missing(b) || a.length - b.length);
  return best.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] })).flatMap((inner) => flatten(inner, given));
}

function valueAt(path: readonly PropertyKey[], given: unknown): unknown {
  // A parameter may be a list of texts, separated by commas.
  return path.reduce<unknown>(
    (at, key) => (typeof at === 'string' ? at.split(',')[Number(key)] : (at as Record<PropertyKey, unknown> | null | undefined)?.[key]),
    given,
  );
}

function described({ path, message }: Issue, given: unknown): { field: string; message: string } {
  const value = valueAt(path, given);
  const field = path.map(String).join('.');
  // Of what is missing zod says that it is "undefined", and no valid option.
  const needed = message.replace(/^Invalid (input|option): expected (.*?)(, received undefined)?$/, 'it must be $2');
  if (value === undefined) return { field, message: path.length === 0 ? message : `is missing: ${needed}` };
  const text = JSON.stringify(value);
  return { field, message: `is ${text.length > 80 ? `${text.slice(0, 80)}…` : text}: ${message}` };
}
