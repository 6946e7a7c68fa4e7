import { z } from 'zod';
import { because, count, duration, file, port, secret, text } from '../config/fields.ts';
import { secretUrl } from '../text/secret-url.ts';
import { readDatabaseUrl, TLS_MODES } from './url.ts';

/** The section `database` of the configuration: where it is, and how it is reached. The keys are documented in `config/default.yaml`. */
export const database = z.strictObject({
  url: secretUrl('database.bad_url', readDatabaseUrl),
  host: text().nullable(),
  port: port(),
  socket: file(),
  username: text(),
  password: secret(),
  database: z.string().regex(/^[A-Za-z0-9_$-]{1,64}$/, 'must be 1-64 letters, digits, "_", "$" or "-"'),
  tls: z.strictObject({ mode: z.enum(TLS_MODES), ca_file: file(), cert_file: file(), key_file: file() }),
  clock_interval: duration(),
  pool: z
    .strictObject({ min_connections: count(), max_connections: count(1, 10_000), idle_timeout: duration() })
    .check(({ value, issues }) => {
      if (value.min_connections <= value.max_connections) return;
      const message = `min_connections (${value.min_connections}) must not be above max_connections (${value.max_connections})`;
      issues.push({ code: 'custom', input: value, ...because('config.pool_size', message) });
    }),
  connect_timeout: duration(),
  acquire_timeout: duration(),
  statement_timeout: duration(),
  long_statement_timeout: duration(),
});
