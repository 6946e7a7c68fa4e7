/** History over the HTTP API of a gateway, with the client that programs use too. */
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Client, createClient, ProblemError } from '../../client/client.ts';
import { InputError, messageOf, StockmeshError, TransientError } from '../../platform/errors.ts';
import type { Accepted, HistoryAccess, Preview } from './access.ts';

/** Errors: `InputError('gateway.bad_url' | 'gateway.no_key')`. */
export function remoteHistory(url: string, key = process.env.STOCKMESH_KEY): HistoryAccess {
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? ''))
    throw new InputError('gateway.bad_url', `--gateway ${JSON.stringify(url)}: write an address such as http://127.0.0.1:8787`);
  if (key === undefined || key === '')
    throw new InputError('gateway.no_key', 'set STOCKMESH_KEY to a key of this gateway; "stockmesh key create" makes one');
  const client = createClient({ url, key });
  const { api } = client;
  const ask = <T>(answer: Parameters<Client['unwrap']>[0] & Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> =>
    client.unwrap<T>(answer).catch((error: unknown) => {
      throw named(url, error);
    });
  return {
    submit: async (asset, body) =>
      (await ask(
        asset === 'option' ? api.POST('/v1/historical/option', { body }) : api.POST('/v1/historical/stock', { body: body as never }),
      )) as Accepted,
    preview: async (asset, body) => {
      const params = { query: { dry_run: 'true' as never } };
      return (await ask(
        asset === 'option'
          ? api.POST('/v1/historical/option', { params, body })
          : api.POST('/v1/historical/stock', { params, body: body as never }),
      )) as Preview;
    },
    // Without `dry_run` the answer is the jobs.
    fill: async (body) => (await ask(api.POST('/v1/history/gaps', { body }))) as Awaited<ReturnType<HistoryAccess['fill']>>,
    status: (id) => ask(api.GET('/jobs/{id}', { params: { path: { id } } })),
    items: async (id, state, limit) =>
      (await ask(api.GET('/v1/jobs/{id}/items', { params: { path: { id }, query: { state, limit } } }))).items,
    async coverage(query) {
      const page = (cursor?: string) => ask(api.GET('/v1/history/coverage', { params: { query: { ...query, cursor } } }));
      const { next: second, ...whole } = await page();
      for (let cursor = second; cursor !== null; ) {
        const { days, next } = await page(cursor);
        whole.days.push(...days);
        cursor = next;
      }
      return whole;
    },
    objects: (query) => ask(api.GET('/v1/history/objects', { params: { query } })),
    object: (objectKey, rows) => ask(api.GET('/v1/history/objects/{key}', { params: { path: { key: objectKey }, query: { rows } } })),
    chain: (query) => ask(api.GET('/v1/history/chain', { params: { query } })),
    async exportTo(query, out: Writable) {
      const stream = (await ask(api.GET('/v1/history/export', { params: { query }, parseAs: 'stream' }) as never)) as ReadableStream;
      await pipeline(Readable.fromWeb(stream as never), out);
    },
    isTemporary: (error) => error instanceof TransientError,
  };
}

/** A refusal with its own code and text; an answer that may be another one later is transient. */
function named(url: string, error: unknown): unknown {
  if (error instanceof ProblemError) {
    const { status, code, message } = error;
    if (status >= 500 || status === 429) return new TransientError(code, message);
    return status === 400 ? new InputError(code, message) : new StockmeshError(code, message);
  }
  // `fetch` says so when there is no connection; its cause says why.
  if (error instanceof TypeError)
    return new TransientError('gateway.unreachable', `the gateway ${url} cannot be reached: ${messageOf(error.cause ?? error)}`);
  return error;
}
