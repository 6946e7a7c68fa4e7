import { z } from 'zod';
import { because, count, duration, listOf, secret, text } from '../fields.ts';
import { capability, type TiedSource } from './capabilities.ts';

export const HISTORY_SOURCES = ['theta', 'lean', 'yahoo', 'simulated'] as const;

/** Requests that an account of each subscription may have under way. Source: ThetaData's documentation of concurrent requests. */
export const TIERS = { free: 1, value: 2, standard: 4, pro: 8 } as const;

const webAddress = text().refine(
  (value) => /^https?:$/.test(URL.parse(value)?.protocol ?? ''),
  because('config.bad_url', 'must be an address that begins with http:// or https://'),
);

/** Where the store and every source are in reach of different workers alone, which makes every download fail: why, as a half sentence. A job has one capability. */
export function storeApart(
  { sources, store }: Pick<z.output<typeof history>, 'sources' | 'store'>,
  capabilities: Readonly<Record<TiedSource, string | null>>,
): string | undefined {
  if (store.capability === null) return undefined;
  const needed = sources.map((source) => capabilities[source === 'yahoo' ? 'yahoo_finance' : source]);
  if (needed.some((one) => one === null || one === store.capability)) return undefined;
  return `no source of history.sources can be asked where the store is: they need ${[...new Set(needed)].join(', ')} (stock_jobs.data_fetch.capabilities); give one of them the capability of the store, or none`;
}

/** Historical downloads. The keys are documented in `config/default.yaml`. */
export const history = z.strictObject({
  sources: listOf(z.enum(HISTORY_SOURCES)).refine((names) => names.length > 0, 'must name at least one source'),
  theta: z.strictObject({
    url: webAddress.nullable(),
    tier: z.enum(Object.keys(TIERS) as [keyof typeof TIERS, ...(keyof typeof TIERS)[]]),
    timeout: duration(),
  }),
  store: z
    .strictObject({
      kind: z.enum(['folder', 's3']),
      folder: text().nullable(),
      capability: capability(),
      s3: z.strictObject({
        bucket: text().nullable(),
        prefix: z.string(),
        region: text(),
        endpoint: webAddress.nullable(),
        access_key_id: secret(),
        secret_access_key: secret(),
        path_style: z.boolean().nullable(),
      }),
    })
    .refine(
      ({ kind, s3 }) => kind !== 's3' || s3.bucket !== null,
      because('config.missing_value', 'kind is s3, so s3.bucket must name the bucket'),
    )
    .refine(
      ({ s3 }) => !s3.access_key_id === !s3.secret_access_key,
      because('config.missing_value', 's3.access_key_id and s3.secret_access_key belong together: give both, or neither'),
    ),
  items_per_job: count(1, 500),
  job_timeout: duration(),
  jobs_per_worker: count(1, 64),
  concurrency: count(1, 16),
  empty_ttl: duration(),
  ask_again_after: duration(),
  converter: z.strictObject({ memory: z.string().regex(/^\d+MB$/, 'must be megabytes, such as 250MB'), threads: count(1, 64) }),
});
