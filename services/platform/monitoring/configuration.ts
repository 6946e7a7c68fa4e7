import { z } from 'zod';
import { count, duration, port, share, text } from '../config/fields.ts';

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
  thresholds: z.strictObject({
    max_queue_depth: count(1),
    max_fetch_latency: duration(),
    min_worker_efficiency: share(),
    max_job_age: duration(),
    max_clock_offset: duration(),
    max_refused_logins: count(),
  }),
});
