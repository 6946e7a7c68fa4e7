/**
 * The typed client of the HTTP API: `import { createClient } from 'stockmesh/client'`. It needs `fetch` and nothing of Node, so it runs in Node 20 or newer and in browsers.
 * `client.js` is made of this file: `npx vitest run test/client/generated.test.ts -u`.
 */
import createFetchClient, { type Client as FetchClient } from 'openapi-fetch';
import type { paths } from './openapi.ts';
import { type WaitOptions, waitForJob } from './wait.ts';

type Json<Path extends keyof paths, Method extends 'get' | 'post', Status extends number> = paths[Path] extends {
  [M in Method]: { responses: { [S in Status]: { content: { 'application/json': infer Body } } } };
}
  ? Body
  : never;

export type OptionDownload = paths['/v1/historical/option']['post']['requestBody']['content']['application/json'];
export type StockDownload = paths['/v1/historical/stock']['post']['requestBody']['content']['application/json'];
export type Submitted = Json<'/v1/historical/option', 'post', 202>;
export type Job = Json<'/v1/jobs/{id}', 'get', 200>;

export interface ClientOptions {
  /** Address of the gateway, such as `http://127.0.0.1:8787`. */
  url: string;
  /** An API key, as `stockmesh key create` shows it. */
  key?: string | undefined;
  /** In place of the global one. */
  fetch?: ((request: Request) => Promise<Response>) | undefined;
}

/** An answer that is no success: a problem of RFC 9457. `code` never changes. */
export class ProblemError extends Error {
  readonly status: number;
  readonly code: string;
  /** The fields of the request that are not right. */
  readonly fields: readonly { in: string; field: string; message: string }[];
  /** Seconds after which it may be tried again, where the gateway said so. */
  readonly retryAfterSeconds: number | undefined;

  constructor(status: number, body: unknown, retryAfter: string | null) {
    const { detail, code, errors } = (typeof body === 'object' && body !== null ? body : {}) as {
      detail?: string;
      code?: string;
      errors?: ProblemError['fields'];
    };
    super(detail ?? `the gateway answered with status ${status}`);
    this.name = 'ProblemError';
    this.status = status;
    this.code = code ?? 'internal';
    this.fields = errors ?? [];
    this.retryAfterSeconds = retryAfter === null || !/^\d+$/.test(retryAfter) ? undefined : Number(retryAfter);
  }
}

export interface Client {
  /** Every operation of the API, typed by its OpenAPI document: `client.api.GET('/v1/history/coverage', { params: { query } })`. Problems are its `error`. */
  readonly api: FetchClient<paths>;
  /** Asks for a download of options or of a stock. Errors: `ProblemError`. */
  submit(dataset: 'option', download: OptionDownload, signal?: AbortSignal): Promise<Submitted>;
  submit(dataset: 'stock', download: StockDownload, signal?: AbortSignal): Promise<Submitted>;
  /** A job as it is now. Errors: `ProblemError`. */
  job(id: string, signal?: AbortSignal): Promise<Job>;
  /**
   * Waits until a job has ended, however it ended: see its `status`. Errors: `WaitTimeoutError` when the time is over, the reason of the `signal` when that aborts; the job
   * goes on in both cases. `ProblemError` for a job that is unknown or may not be read.
   */
  wait(id: string, options?: WaitOptions<Job>): Promise<Job>;
  /** The answer of an operation, or its problem as an error. */
  unwrap<T>(answer: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T>;
}

export function createClient({ url, key, fetch }: ClientOptions): Client {
  const api = createFetchClient<paths>({
    baseUrl: url.replace(/\/+$/, ''),
    ...(key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } }),
    ...(fetch === undefined ? {} : { fetch }),
  });
  const job = (id: string, signal?: AbortSignal): Promise<Job> =>
    unwrap(api.GET('/v1/jobs/{id}', { params: { path: { id } }, signal: signal ?? null }));
  return {
    api,
    job,
    unwrap,
    async submit(dataset, download, signal) {
      const request = { body: download as OptionDownload, signal: signal ?? null };
      const answer = dataset === 'option' ? api.POST('/v1/historical/option', request) : api.POST('/v1/historical/stock', request);
      return (await unwrap(answer)) as Submitted;
    },
    wait: (id, options = {}) => waitForJob((signal) => job(id, signal), { isTemporary, ...options }),
  };
}

async function unwrap<T>(answer: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await answer;
  if (!response.ok) throw new ProblemError(response.status, error, response.headers.get('retry-after'));
  return data as T;
}

/** A gateway that restarts, is busy or cannot be reached: `fetch` says so with a `TypeError`. */
function isTemporary(error: unknown): boolean {
  return error instanceof ProblemError ? error.status >= 500 || error.status === 429 : error instanceof TypeError;
}

export { type WaitOptions, WaitTimeoutError } from './wait.ts';
