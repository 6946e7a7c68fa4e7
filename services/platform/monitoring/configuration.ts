import { z } from 'zod';

const count = (least = 0) => z.number().int().min(least).max(Number.MAX_SAFE_INTEGER);
const seconds = () => z.number().positive();
/** 0: none. */
const port = () => z.number().int().min(0).max(65_535);

/** What is measured, where it can be read, and when it raises an alert. The keys are documented in `config/default.yaml`. */
export const monitoring = z.strictObject({
  enabled: z.boolean(),
  format: z.enum(['prometheus', 'json']),
  host: z.string().min(1),
  port: port(),
  ports: z.strictObject({ portfolio_priority: port(), worker: port() }),
  health_check_enabled: z.boolean(),
  stock_metrics: z.strictObject({
    fetch_latency: z.boolean(),
    portfolio_timing: z.boolean(),
    queue_depth: z.boolean(),
    worker_efficiency: z.boolean(),
  }),
  thresholds: z.strictObject({
    max_queue_depth: count(1),
    max_fetch_latency: seconds(),
    min_worker_efficiency: z.number().min(0).max(1),
    max_job_age: seconds(),
    max_clock_offset: seconds(),
    max_refused_logins: count(),
  }),
});
