/** The HTTP API, typed by its own document, and the cache of its answers. */
import { QueryClient } from '@tanstack/react-query';
import createClient from 'openapi-fetch';
import type { components, paths } from '../../../client/openapi.ts';

export type Schemas = components['schemas'];
export type Job = Schemas['JobSummary'];
export type JobState = Job['state'];
type Problem = Schemas['Problem'];

// The cookie of the session goes with each request by itself.
export const api = createClient<paths>({ baseUrl: location.origin, credentials: 'same-origin' });

/** An answer that is a problem, or none at all (`status` 0). `code` never changes; `message` is a sentence for people. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly title: string;

  constructor({ status, code, title, detail }: Pick<Problem, 'status' | 'code' | 'title' | 'detail'>) {
    super(detail);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
    this.title = title;
  }
}

const unreachable = (): ApiError =>
  new ApiError({
    status: 0,
    code: 'page.unreachable',
    title: 'The mesh does not answer',
    detail: 'No answer from the gateway. It may be starting again, or the network is away.',
  });

/** The data of an answer. Throws `ApiError`. */
export async function answer<T>(request: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await request.catch((reason: unknown) => {
    if (reason instanceof DOMException && reason.name === 'AbortError') throw reason;
    throw unreachable();
  });
  if (response.ok) return data as T;
  if (response.status === 401) queries.setQueryData(['me'], null);
  throw problemOf(error, response);
}

function problemOf(error: unknown, { status, statusText }: Response): ApiError {
  if (typeof error === 'object' && error !== null && 'code' in error) return new ApiError(error as Problem);
  return new ApiError({
    status,
    code: `http.${status}`,
    title: statusText || `HTTP ${status}`,
    detail: `The gateway answered ${status} ${statusText}.`,
  });
}

/** What no second try can mend. */
const isFinal = (error: Error): boolean => error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429;

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // Events say when something has changed; after a gap all that is shown is read again.
      staleTime: 30_000,
      refetchOnWindowFocus: false,
      refetchOnReconnect: false,
      retry: (times, error) => !isFinal(error) && times < 2,
      retryDelay: (times) => 500 * 2 ** times,
    },
  },
});
