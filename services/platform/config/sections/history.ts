import { z } from 'zod';
import { because, count, duration, listOf, secret, text } from '../fields.ts';

export const HISTORY_SOURCES = ['theta', 'lean', 'yahoo', 'simulated'] as const;

/** Requests that an account of each subscription may have under way. Source: ThetaData's documentation of concurrent requests. */
export const TIERS = { free: 1, value: 2, standard: 4, pro: 8 } as const;

const webAddress = text().refine(
  (value) => /^https?:$/.test(URL.parse(value)?.protocol ?? ''),
  because('config.bad_url', 'must be an address that begins with http:// or https://'),
);

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
    ),
  items_per_job: count(1, 500),
  job_timeout: duration(),
  jobs_per_worker: count(1, 64),
  concurrency: count(1, 16),
  empty_ttl: duration(),
  ask_again_after: duration(),
  converter: z.strictObject({ memory: z.string().regex(/^\d+MB$/, 'must be megabytes, such as 250MB'), threads: count(1, 64) }),
});
