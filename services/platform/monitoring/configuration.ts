import { z } from 'zod';
import { because, count, duration, port, share, text } from '../config/fields.ts';

/** What is measured, where it can be read, and when it raises an alert. The keys are documented in `config/default.yaml`. */
export const monitoring = z.strictObject({
  enabled: z.boolean(),
  format: z.enum(['prometheus', 'json']),
  host: text(),
  port: port(0),
  ports: z.strictObject({ portfolio_priority: port(0), worker: port(0), notifier: port(0) }),
  health_check_enabled: z.boolean(),
  stock_metrics: z.strictObject({
    fetch_latency: z.boolean(),
    portfolio_timing: z.boolean(),
    queue_depth: z.boolean(),
    worker_efficiency: z.boolean(),
  }),
  traces: z.strictObject({
    endpoint: z
      .string()
      // A variable that is not set.
      .transform((address) => (address === '' ? null : address))
      .refine(
        (address) => address === null || /^https?:$/.test(URL.parse(address)?.protocol ?? ''),
        because('config.bad_url', 'must be the address of a collector that begins with http:// or https://'),
      )
      .nullable(),
    sample: share(),
  }),
  thresholds: z.strictObject({
    max_queue_depth: count(1),
    max_fetch_latency: duration(),
    min_worker_efficiency: share(),
    max_job_age: duration(),
    max_clock_offset: duration(),
    max_refused_logins: count(),
    max_budget_minutes: count(1),
    max_type_wait: duration(),
    max_leaderless: duration(),
    max_unanswered: duration(),
    max_callback_failures: count(1),
    min_disk_free: share(),
    max_spend_share: share(),
    max_backup_age: duration(),
  }),
});
