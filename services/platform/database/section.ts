import { z } from 'zod';
import { secretUrl } from '../text/secret-url.ts';
import { readDatabaseUrl, TLS_MODES } from './url.ts';

const count = (least = 0, most = Number.MAX_SAFE_INTEGER) => z.number().int().min(least).max(most);
const duration = () => z.number().positive();
const text = () => z.string().min(1);
const file = () => text().nullable();

/** The section `database` of the configuration: where it is, and how it is reached. The keys are documented in `config/default.yaml`. */
export const database = z.strictObject({
  url: secretUrl('database.bad_url', readDatabaseUrl),
  host: text().nullable(),
  port: count(1, 65_535),
  socket: text().nullable(),
  username: text(),
  password: z.string().nullable().meta({ secret: true }),
  database: z.string().regex(/^[A-Za-z0-9_$-]{1,64}$/, 'must be 1-64 letters, digits, "_", "$" or "-"'),
  tls: z.strictObject({ mode: z.enum(TLS_MODES), ca_file: file(), cert_file: file(), key_file: file() }),
  clock_interval: duration(),
  pool: z
    .strictObject({ min_connections: count(), max_connections: count(1, 10_000), idle_timeout: duration() })
    .check(({ value, issues }) => {
      if (value.min_connections <= value.max_connections) return;
      const message = `min_connections (${value.min_connections}) must not be above max_connections (${value.max_connections})`;
      issues.push({ code: 'custom', input: value, message, params: { code: 'config.pool_size' } });
    }),
  connect_timeout: duration(),
  acquire_timeout: duration(),
  statement_timeout: duration(),
  long_statement_timeout: duration(),
});
