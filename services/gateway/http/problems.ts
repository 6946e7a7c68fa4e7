/** Errors as RFC 9457 problem details: a stable `code` for programs, a sentence for people, and for bad input every bad field by name. */
import { STATUS_CODES } from 'node:http';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { codeOf, InputError, messageOf, PermanentError, StockmeshError, TransientError } from '../../platform/errors.ts';

export const PROBLEM_TYPE = 'application/problem+json';

export const problemSchema = z
  .object({
    type: z.string().describe('`urn:stockmesh:problem:` and the code'),
    title: z.string(),
    status: z.int(),
    detail: z.string().describe('What happened, to which value, and the way out'),
    instance: z.string().describe('The path of the request'),
    code: z.string().describe('Never changes; for programs'),
    errors: z
      .array(z.object({ in: z.enum(['body', 'query', 'path']), field: z.string(), message: z.string() }))
      .optional()
      .describe('Every field of the request that is not right'),
  })
  .meta({ id: 'Problem' });
type Problem = z.output<typeof problemSchema>;
type FieldError = NonNullable<Problem['errors']>[number];

/** A request that came too often or without the right to be made. `retryAfterSeconds`: when to come again. */
export class RefusedError extends StockmeshError {
  readonly status: 401 | 403 | 429;
  constructor(status: 401 | 403 | 429, code: string, message: string) {
    super(code, message);
    this.status = status;
  }
}

/** Valid input that names a thing that does not exist, or that is not in the right state. Every other `InputError` is a 400. */
const CONFLICTS = new Set(['job.ended', 'job.live', 'job.superseded']);
const RETRY_SECONDS = 2;

export function statusOf(error: unknown): number {
  if (error instanceof RefusedError) return error.status;
  if (error instanceof InputError) return error.code.endsWith('.unknown') ? 404 : CONFLICTS.has(error.code) ? 409 : 400;
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
  if (status === 401) reply.header('www-authenticate', 'Bearer realm="stockmesh"');
  const code = error instanceof StockmeshError ? error.code : (REQUEST_CODES[codeOf(error)] ?? 'request.refused');
  send(request, reply, { status, code, detail: messageOf(error) });
}

/** Errors of the server itself, under stable codes of our own. */
const REQUEST_CODES: Record<string, string> = {
  FST_ERR_CTP_INVALID_JSON_BODY: 'request.invalid_json',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'request.invalid_json',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'request.not_json',
  FST_ERR_CTP_BODY_TOO_LARGE: 'request.too_large',
};

export function answerNotFound(request: FastifyRequest, reply: FastifyReply): void {
  send(request, reply, {
    status: 404,
    code: 'route.unknown',
    detail: `there is no ${request.method} ${pathOf(request)}; /docs shows what there is`,
  });
}

function send(
  request: FastifyRequest,
  reply: FastifyReply,
  { status, code, detail, errors }: { status: number; code: string; detail: string; errors?: FieldError[] },
): void {
  const problem: Problem = {
    type: `urn:stockmesh:problem:${code}`,
    title: STATUS_CODES[status] ?? 'Error',
    status,
    detail,
    instance: pathOf(request),
    code,
    ...(errors === undefined ? {} : { errors }),
  };
  // Serialized here: a route's own schemas are about its answers.
  void reply.code(status).header('cache-control', 'no-store').type(PROBLEM_TYPE).serializer(JSON.stringify).send(problem);
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

const PLACES = { body: 'body', querystring: 'query', params: 'path', headers: 'path' } as const;

function fieldErrors(
  found: readonly { keyword: string; instancePath: string; message?: string | undefined; params: Record<string, unknown> }[],
  context: string | undefined,
  request: FastifyRequest,
): FieldError[] {
  const place = PLACES[context as keyof typeof PLACES] ?? 'body';
  const given = { body: request.body, query: request.query, path: request.params }[place];
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
  return issues.flatMap(flatten).map((issue) => ({ in: place, ...described(issue, given) }));
}

/** Of a union the alternative that fits best: the one with the deepest first issue, then the one with the fewest issues. */
function flatten(issue: Issue): Issue[] {
  if (issue.code !== 'invalid_union' || issue.errors === undefined || issue.errors.length === 0) {
    return issue.code === 'unrecognized_keys'
      ? (issue.keys ?? []).map((key) => ({ ...issue, path: [...issue.path, key], message: 'is not known here' }))
      : [issue];
  }
  const depth = (branch: readonly Issue[]): number => Math.max(0, ...branch.map(({ path }) => path.length));
  const [best = []] = issue.errors.toSorted((a, b) => depth(b) - depth(a) || a.length - b.length);
  return best.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] })).flatMap(flatten);
}

function described({ path, message }: Issue, given: unknown): { field: string; message: string } {
  const value = path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | null | undefined)?.[key], given);
  const field = path.map(String).join('.');
  if (value === undefined) return { field, message: path.length === 0 ? message : `is missing: ${message}` };
  const text = JSON.stringify(value);
  return { field, message: `is ${text.length > 80 ? `${text.slice(0, 80)}…` : text}: ${message}` };
}
