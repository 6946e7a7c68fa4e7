/** The model port: any server that speaks OpenAI's Chat Completions, streamed, since Node ends a call whose headers take over 300 s, and a silent one cannot be told from a dead one. */
import type OpenAI from 'openai';
import { z } from 'zod';
import type { Config } from '../platform/config/load.ts';
import { messageOf } from '../platform/errors.ts';
import type { Citation, RawAnswer, Usage } from './spend.ts';

export interface Prompt {
  system: string;
  user: string;
  /** Of the answer; sent as a JSON schema of types and enums only, since several providers refuse limits. Limits are for the program to check. */
  schema: { name: string; shape: z.ZodType };
}

/** `unknown`: the call may have been run and paid for. `not_run`: it was certainly not. */
export type Outcome =
  | { kind: 'answered'; answer: RawAnswer }
  | { kind: 'unknown'; error: string }
  | { kind: 'not_run'; error: string; permanent: boolean; retryAfterMs?: number };

export interface ModelClient {
  /** One request, never repeated. `signal` ends the wait for the whole answer. Does not reject. */
  complete(prompt: Prompt, signal: AbortSignal): Promise<Outcome>;
}

/** What stands in `spend.raw`. */
export const RawText = z.object({ text: z.string(), finish_reason: z.string().nullable(), refusal: z.string().nullable() });

/** Statuses after which nothing was run; 402: the account has no money left. Of the others (5xx, 408) nobody knows. */
const NOT_RUN: ReadonlySet<number> = new Set([400, 401, 402, 403, 404, 405, 413, 415, 422, 429]);
const TOO_MANY = 429;
/** No connection was made, or its encryption was not agreed on: nothing was sent. OpenSSL names the reasons against a certificate, which Node takes over, without a common prefix. */
const NEVER_SENT = new Set([
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT'],
  ...['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID', 'CERT_UNTRUSTED', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN'],
  ...['UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
  ...['ERR_TLS_CERT_ALTNAME_INVALID', 'ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG'],
]);
/** A longer answer is no JSON of the schemas here. */
const MOST_CHARACTERS = 1_000_000;

/** A chunk with fields beyond the protocol, of Perplexity and OpenRouter. What names and counts the call is read as anything: an answer is not lost for a field beside it. */
type Extended = Pick<Partial<OpenAI.Chat.Completions.ChatCompletionChunk>, 'choices'> &
  Partial<Record<'id' | 'model' | 'usage' | 'search_results' | 'error', unknown>>;

/** The client of the configured model. The library is loaded with the first call. */
export function modelClient(model: Config['model']): ModelClient {
  let client: Promise<OpenAI> | undefined;
  const connect = async (): Promise<OpenAI> => {
    const { OpenAI } = await import('openai');
    // Its own retries would pay again. An empty key is refused by the library, and a server on this machine wants none.
    return new OpenAI({
      baseURL: model.base_url as string,
      apiKey: model.api_key ?? 'none',
      maxRetries: 0,
      timeout: model.timeout * 1000,
      logLevel: 'off',
    });
  };
  return {
    async complete(prompt, signal) {
      client ??= connect();
      try {
        return await read(await client, model, prompt, signal);
      } catch (error) {
        return outcomeOf(error, signal, model.timeout);
      }
    },
  };
}

async function read(client: OpenAI, model: Config['model'], { system, user, schema }: Prompt, signal: AbortSignal): Promise<Outcome> {
  const asked = client.chat.completions.create(
    {
      model: model.name as string,
      messages: [
        { role: 'system', content: system },
        { role: 'user', content: user },
      ],
      max_tokens: model.max_tokens,
      ...(model.temperature === null ? {} : { temperature: model.temperature }),
      response_format: { type: 'json_schema', json_schema: { name: schema.name, strict: true, schema: plainSchema(schema.shape) } },
      stream: true,
      stream_options: { include_usage: true },
    },
    { signal },
  );
  const { data: stream, response } = await asked.withResponse();
  let text = '';
  let refusal: string | null = null;
  let finishReason: string | null = null;
  let last: Extended = {};
  let citations: readonly Citation[] = [];
  for await (const chunk of isWhole(response) ? wholeAnswer(response) : (stream as AsyncIterable<Extended>)) {
    if (chunk.error != null)
      return { kind: 'unknown', error: `the model's server broke off: ${JSON.stringify(chunk.error).slice(0, 500)}` };
    const choice = chunk.choices?.[0];
    text += choice?.delta?.content ?? '';
    refusal = choice?.delta?.refusal == null ? refusal : (refusal ?? '') + choice.delta.refusal;
    finishReason = choice?.finish_reason ?? finishReason;
    citations = Array.isArray(chunk.search_results) ? citationsOf(chunk.search_results) : citations;
    last = { ...last, ...chunk, usage: chunk.usage ?? last.usage ?? null };
    if (text.length > MOST_CHARACTERS)
      return { kind: 'unknown', error: `the model's answer was longer than ${MOST_CHARACTERS} characters` };
  }
  if (finishReason === null) return { kind: 'unknown', error: 'the answer was cut off before its end' };
  return {
    kind: 'answered',
    answer: {
      raw: JSON.stringify({ text, finish_reason: finishReason, refusal } satisfies z.infer<typeof RawText>),
      model: nameOf(last.model),
      providerRef: nameOf(last.id),
      citations,
      usage: usageOf(fieldsOf(last.usage)),
    },
  };
}

/** A server that does not stream, whatever it was asked for. Its answer is paid for all the same. */
const isWhole = ({ headers }: Response): boolean => /^application\/json\b/i.test(headers.get('content-type') ?? '');

/** The one chunk that such an answer is, with its message as the change. */
async function* wholeAnswer(response: Response): AsyncGenerator<Extended> {
  const { choices, ...rest } = (await response.json()) as Omit<Extended, 'choices'> & { choices?: { message?: unknown }[] };
  yield { ...rest, choices: (choices ?? []).map((choice) => ({ ...choice, delta: choice.message })) } as Extended;
}

const nameOf = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);
const fieldsOf = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
/** A whole number that a column of the ledger holds, or nothing. */
const countOf = (value: unknown): number | null =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 32 ? (value as number) : null;

function usageOf(usage: Record<string, unknown>): Usage {
  return {
    tokensIn: countOf(usage.prompt_tokens),
    tokensOut: countOf(usage.completion_tokens),
    tokensReasoning: countOf(fieldsOf(usage.completion_tokens_details).reasoning_tokens),
    tokensCached: countOf(fieldsOf(usage.prompt_tokens_details).cached_tokens),
    searches: countOf(usage.num_search_queries),
    costMicros: costOf(usage.cost),
  };
}

/** No call costs more dollars: such a number is an error of the server. */
const MOST_DOLLARS = 1_000_000;

/** Millionths of dollars, from dollars: a number (OpenRouter), or `total_cost` of an object (Perplexity). */
function costOf(cost: unknown): number | null {
  const value = typeof cost === 'object' ? fieldsOf(cost).total_cost : cost;
  return typeof value === 'number' && value >= 0 && value <= MOST_DOLLARS ? Math.ceil(value * 1_000_000) : null;
}

const SearchResult = z.object({ title: z.string(), url: z.url({ protocol: /^https?$/ }), date: z.string().nullish() });
const MOST_CITATIONS = 40;

function citationsOf(results: readonly unknown[]): Citation[] {
  return results.slice(0, MOST_CITATIONS).flatMap((result) => {
    const parsed = SearchResult.safeParse(result);
    return parsed.success
      ? [{ title: parsed.data.title.slice(0, 300).toWellFormed(), url: parsed.data.url, date: parsed.data.date ?? null }]
      : [];
  });
}

/** Types, enums and required fields; no limits, which several providers refuse. */
export function plainSchema(shape: z.ZodType): Record<string, unknown> {
  return withoutLimits(z.toJSONSchema(shape, { io: 'output' })) as Record<string, unknown>;
}

const KEPT = new Set([
  'type',
  'properties',
  'required',
  'items',
  'enum',
  'anyOf',
  'const',
  'additionalProperties',
  'description',
  'prefixItems',
]);

function withoutLimits(schema: unknown, isMap = false): unknown {
  if (Array.isArray(schema)) return schema.map((one) => withoutLimits(one));
  if (typeof schema !== 'object' || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema)
      .filter(([key]) => isMap || KEPT.has(key))
      .map(([key, value]) => [key, key === 'enum' || key === 'required' ? value : withoutLimits(value, !isMap && key === 'properties')]),
  );
}

function outcomeOf(error: unknown, signal: AbortSignal, timeout: number): Outcome {
  const { status, headers } = error as { status?: unknown; headers?: unknown };
  const text = messageOf(error).slice(0, 500);
  if (typeof status === 'number' && NOT_RUN.has(status)) {
    const wait = headers instanceof Headers ? Number(headers.get('retry-after')) * 1000 : Number.NaN;
    return {
      kind: 'not_run',
      error: `the model's server refused the request: ${text}`,
      permanent: status !== TOO_MANY,
      ...(wait > 0 ? { retryAfterMs: wait } : {}),
    };
  }
  if (codesOf(error).some((code) => NEVER_SENT.has(code)))
    return { kind: 'not_run', error: `the model's server cannot be reached: ${codesOf(error).join(', ')}`, permanent: false };
  if (signal.aborted)
    return {
      kind: 'unknown',
      error: `no whole answer within ${timeout} s (model.timeout, for llm_analysis stock_jobs.analysis.llm_timeout)`,
    };
  return { kind: 'unknown', error: text };
}

/** The codes of an error and of what caused it. */
function codesOf(error: unknown): string[] {
  const codes: string[] = [];
  for (let one = error; one instanceof Error && codes.length < 10; one = one.cause) {
    const { code } = one as { code?: unknown };
    if (typeof code === 'string') codes.push(code);
    if (one instanceof AggregateError) codes.push(...one.errors.flatMap(codesOf));
  }
  return codes;
}
