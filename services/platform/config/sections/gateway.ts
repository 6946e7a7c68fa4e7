import { isIP } from 'node:net';
import { z } from 'zod';
import { because, count, duration, file, listOf, missingOfPair } from '../fields.ts';

/** `10.0.0.7`, `10.0.0.0/8`, `2001:db8::/32`. */
const network = z.string().refine(
  (text) => {
    const [address = '', bits, ...rest] = text.split('/');
    const most = { 0: -1, 4: 32, 6: 128 }[isIP(address)] as number;
    return rest.length === 0 && most > 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most));
  },
  because('config.bad_network', 'must be an address such as 10.0.0.7, or a network such as 10.0.0.0/8'),
);

/** As browsers send it. */
const origin = z
  .string()
  .refine(
    (text) => URL.parse(text)?.origin === text,
    because('config.bad_origin', 'must be an origin such as https://app.example: no path, no "/" at its end, no "*"'),
  );

/** Where people reach it, from outside. */
const publicUrl = z
  .string()
  .refine(
    (text) => URL.parse(text)?.origin === text && /^https?:/.test(text),
    because('config.bad_origin', 'must be the address that people reach, such as https://mesh.example.com: no path, no "/" at its end'),
  )
  .nullable();

/** Who may reach the gateway, how, and how often, and whom it calls. The keys are documented in `config/default.yaml`. */
export const gatewayEdge = {
  public_url: publicUrl,
  tls: z.strictObject({ cert_file: file(), key_file: file() }).check(({ value, issues }) => {
    const missing = missingOfPair(value);
    if (missing !== undefined) issues.push({ code: 'custom', input: null, ...missing });
  }),
  connections: z.strictObject({
    max: count(1, 1_000_000),
    max_per_address: count(1, 1_000_000),
    header_timeout: duration(),
    request_timeout: duration(),
    keep_alive: duration(),
    stall_timeout: duration(),
  }),
  trust_proxy: listOf(network),
  open_paths: listOf(z.enum(['/metrics', '/docs'])),
  cors: z.strictObject({ origins: listOf(origin) }),
  rate_limit: z.strictObject({
    requests: count(1),
    user_requests: count(1),
    anonymous_requests: count(1),
    window: duration(),
  }),
  sessions: z.strictObject({ seconds: duration(), code_seconds: duration() }),
  keys: z.strictObject({ rotation_overlap: z.number().min(0) }),
  events: z.strictObject({
    max_clients: count(1, 100_000),
    max_per_key: count(1, 100_000),
    max_per_user: count(1, 100_000),
    max_behind: z.number().int().min(65_536),
    heartbeat: duration(),
    token_seconds: duration(),
  }),
  quotas: z.strictObject({
    jobs_per_key: count(1),
    jobs_per_user: count(1),
    callbacks_per_job: count(1, 1_000_000),
    callbacks_per_hour: count(1),
    history_questions: count(1, 1_000),
  }),
  callbacks: z.strictObject({
    allow_private: z.boolean(),
    timeout: duration(),
    connect_timeout: duration(),
    max_concurrent: count(1, 10_000),
    max_per_key: count(1, 10_000),
    max_per_host: count(1, 1_000),
    circuit: z.strictObject({ failures: count(1, 1_000_000), first_pause: duration(), longest_pause: duration() }),
    backoff: z.array(z.number().min(0)),
    poll_interval: duration(),
  }),
};
