import { isIP } from 'node:net';
import { z } from 'zod';

const count = (most = 1_000_000) => z.number().int().min(1).max(most);
const seconds = () => z.number().positive();
const file = () => z.string().min(1).nullable();
const of = (code: string, message: string) => ({ message, params: { code } });

/** `10.0.0.7`, `10.0.0.0/8`, `2001:db8::/32`. */
const network = z.string().refine(
  (text) => {
    const [address = '', bits, ...rest] = text.split('/');
    const most = { 0: -1, 4: 32, 6: 128 }[isIP(address)] as number;
    return rest.length === 0 && most > 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most));
  },
  of('config.bad_network', 'must be an address such as 10.0.0.7, or a network such as 10.0.0.0/8'),
);

/** As browsers send it. */
const origin = z
  .string()
  .refine(
    (text) => URL.parse(text)?.origin === text,
    of('config.bad_origin', 'must be an origin such as https://app.example: no path, no "/" at its end, no "*"'),
  );

const unique = <Item extends z.ZodType<string>>(item: Item) =>
  z.array(item).refine((items) => new Set(items).size === items.length, of('config.duplicate_value', 'names one twice'));

/** Who may reach the gateway, how, and how often. The keys are documented in `config/default.yaml`. */
export const gatewayEdge = {
  tls: z.strictObject({ cert_file: file(), key_file: file() }).check(({ value, issues }) => {
    if ((value.cert_file === null) === (value.key_file === null)) return;
    const path = [value.cert_file === null ? 'cert_file' : 'key_file'];
    issues.push({
      code: 'custom',
      input: null,
      path,
      ...of('config.missing_value', 'a certificate needs its key, and a key its certificate'),
    });
  }),
  connections: z.strictObject({
    max: count(),
    max_per_address: count(),
    header_timeout: seconds(),
    request_timeout: seconds(),
    keep_alive: seconds(),
    stall_timeout: seconds(),
  }),
  trust_proxy: unique(network),
  open_paths: unique(z.enum(['/metrics', '/docs'])),
  cors: z.strictObject({ origins: unique(origin) }),
  rate_limit: z.strictObject({
    requests: count(Number.MAX_SAFE_INTEGER),
    user_requests: count(Number.MAX_SAFE_INTEGER),
    anonymous_requests: count(Number.MAX_SAFE_INTEGER),
    window: seconds(),
  }),
  keys: z.strictObject({ rotation_overlap: z.number().min(0) }),
  events: z.strictObject({
    max_clients: count(100_000),
    max_per_key: count(100_000),
    max_per_user: count(100_000),
    max_behind: z.number().int().min(65_536),
    heartbeat: seconds(),
    token_seconds: seconds(),
  }),
};
