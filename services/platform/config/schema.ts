import { Cron } from 'croner';
import { z } from 'zod';
import { database } from '../database/section.ts';
import { CAUSES } from '../job-causes.ts';
import { COMPONENTS, LEVELS, type Level } from '../log/log-levels.ts';
import { monitoring } from '../monitoring/configuration.ts';
import { named } from '../text/name.ts';
import { because, count, duration, listOf, port, secret, share, text, timeZone } from './fields.ts';
import { MODES, rankingRules } from './ranking.ts';
import { sourceCapabilities, workerCapabilities } from './sections/capabilities.ts';
import { gatewayEdge } from './sections/gateway.ts';
import { history, storeApart } from './sections/history.ts';
import { ANALYSIS_KINDS, model } from './sections/model.ts';
import { mqtt } from './sections/mqtt.ts';
import { notify } from './sections/notify.ts';
import { picks } from './sections/picks.ts';

/**
 * The keys under `job_processor:` and their accepted values. `config/default.yaml` documents each key with its meaning, unit and default.
 * All times are plain numbers in the unit that the default file names.
 */

const priority = () => count(1, 10);

export const SOURCES = ['yahoo_finance', 'lean', 'alpha_vantage', 'cached', 'simulated'] as const;

/** The jobs that a schedule can start. */
const SCHEDULED_JOBS = ['fetch_portfolios', 'rank_watchlist', 'weekly_picks', 'picks_universe'] as const;

export const CHAIN_SOURCES = ['yahoo_finance', 'lean', 'file', 'simulated'] as const;

const LEVEL_NAMES: Record<string, Level> = {
  ...Object.fromEntries(LEVELS.map((level) => [level, level])),
  warning: 'warn',
  critical: 'fatal',
};

/** Earlier deployments write `INFO`, `WARNING` and so on. */
const logLevel = z
  .string()
  .refine((name) => Object.hasOwn(LEVEL_NAMES, name.toLowerCase()), because('config.unknown_value', `must be one of ${LEVELS.join(', ')}`))
  .transform((name) => LEVEL_NAMES[name.toLowerCase()]!);

const BYTES: Record<string, number> = { '': 1, b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 };

/** `50MB` or a plain number of bytes; 1 KB = 1024 bytes. */
const size = z
  .union([z.number(), z.string()])
  .transform((value) => {
    const [, digits, unit] = /^(\d+(?:\.\d+)?) ?([kmg]?b|)$/i.exec(String(value)) ?? [];
    return digits === undefined ? Number.NaN : Math.round(Number(digits) * BYTES[unit!.toLowerCase()]!);
  })
  .refine((bytes) => bytes >= 1024, because('config.out_of_range', 'must be a size of at least 1KB, such as 50MB'));

/** Calendar days that always contain the 20 sessions before today. */
const CHAIN_HISTORY_DAYS = 32;

const queue = z.strictObject({ max_jobs: count(1), ttl: duration() });

const worker = z.strictObject({
  worker_id: named().nullable(),
  name: named(),
  max_concurrent_jobs: count(1, 1000),
  // The list of types is in job-types/, above this folder. The caller of `loadConfig` passes it.
  supported_job_types: z.array(text()),
  capabilities: workerCapabilities,
  poll_interval: duration(),
  max_execution_time: duration(),
  heartbeat_interval: duration(),
  grace_period: z.number().min(0),
  batch: z.strictObject({ size: count(1, 1000), wait: z.number().min(0).max(1000) }),
});

const stockJobs = z.strictObject({
  portfolio_priority: z.strictObject({
    data_staleness_threshold: duration(),
    portfolio_priority_boost: count(0, 10),
    max_concurrent_per_user: count(1),
  }),
  data_fetch: z
    .strictObject({
      batch_size: count(1, 1000),
      rate_limit: count(1),
      sources: z
        .array(z.enum(SOURCES))
        .min(1)
        .refine((names) => new Set(names).size === names.length, because('config.duplicate_value', 'names a source twice')),
      max_retries: count(0, 100),
      retry_backoff: z.array(z.number().min(0)).min(1),
      timeout: duration(),
      history_days: count(1),
      history_check: duration(),
      breaker: z.strictObject({ failures: count(1), reset_after: duration() }),
      lean: z.strictObject({ path: text().nullable() }),
      simulated: z.strictObject({ enabled: z.boolean(), seed: count(0, 2 ** 32 - 1) }),
      alpha_vantage: z.strictObject({ api_key: secret() }),
      capabilities: sourceCapabilities,
      failure_pauses: z
        .strictObject({ first: duration(), longest: duration() })
        .refine(({ first, longest }) => first <= longest, because('config.out_of_range', 'first must not be above longest')),
      spellings: z.array(z.strictObject({ source: z.enum(SOURCES), symbol: text(), spelling: text() })),
    })
    .refine(
      ({ sources, lean }) => !sources.includes('lean') || lean.path !== null,
      because('config.missing_value', 'sources names "lean", so stock_jobs.data_fetch.lean.path must name its data folder'),
    )
    .refine(
      ({ sources, simulated }) => !sources.includes('simulated') || simulated.enabled,
      because('config.conflicting_keys', 'sources names "simulated", so stock_jobs.data_fetch.simulated.enabled must be true'),
    ),
  analysis: z.strictObject({
    cache_ttl: duration(),
    warm_up_bars: count(250),
    llm_timeout: duration().nullable(),
    analysis_priority: listOf(z.enum(ANALYSIS_KINDS)),
  }),
});

const jobs = z.strictObject({
  priority_rules: z.strictObject(
    Object.fromEntries(CAUSES.map((cause) => [cause, priority()])) as Record<(typeof CAUSES)[number], ReturnType<typeof priority>>,
  ),
  default_priority: priority(),
  max_retries: count(0, 100),
  retry_delay: z.number().min(0),
  cleanup_after_days: duration(),
  timeouts: z.strictObject({
    stock_fetch: duration(),
    portfolio_fetch: duration(),
    stock_analysis: duration(),
    batch_analysis: duration(),
  }),
});

const portfolio = z.strictObject({
  sources: z.array(z.strictObject({ csv_file: text() })),
  freshness_schedule: z.strictObject({ market_open: duration(), market_closed: duration(), weekend: duration() }),
  login_max_age: duration(),
  stale_alert_hours: duration(),
  outdated_alert_share: share(),
  base_currency: z
    .string()
    .regex(/^(?!GBX|ILA|ZAC|USX)[A-Z]{3}$/, 'must be the code of a currency, such as USD or EUR, and not of its hundredths'),
  priority_factors: z
    .strictObject({ user_activity: share(), portfolio_value: share(), data_age: share(), market_volatility: share() })
    .check(({ value, issues }) => {
      const sum = Object.values(value).reduce((total, weight) => total + weight, 0);
      if (Math.abs(sum - 1) <= 1e-9) return;
      const terms = Object.entries(value).map(([name, weight]) => `${name} ${weight}`);
      const message = `the weights must add up to 1, these add up to ${Number(sum.toPrecision(12))}: ${terms.join(' + ')}`;
      issues.push({ code: 'custom', input: value, ...because('config.weights_sum', message) });
    }),
  factor_scales: z
    .strictObject({
      activity_half_life_days: duration(),
      activity_saturation: duration(),
      value_floor: duration(),
      value_ceiling: duration(),
      volatility_floor: z.number().min(0),
      volatility_ceiling: duration(),
    })
    .refine(
      (scales) => scales.value_floor < scales.value_ceiling,
      because('config.out_of_range', 'value_floor must be below value_ceiling'),
    )
    .refine(
      (scales) => scales.volatility_floor < scales.volatility_ceiling,
      because('config.out_of_range', 'volatility_floor must be below volatility_ceiling'),
    ),
  predictive: z.strictObject({
    enabled: z.boolean(),
    lead_minutes: duration(),
    lookback_days: count(1, 365),
    min_logins: count(1),
  }),
});

const cron = text().check(({ value, issues }) => {
  const fault = cronFault(value);
  if (fault !== undefined)
    issues.push({ code: 'custom', input: value, ...because('config.bad_cron', `is not a cron expression: ${fault}`) });
});

const scheduler = z.strictObject({
  lease: duration(),
  schedules: z
    .array(
      z.strictObject({
        name: named(),
        cron,
        time_zone: timeZone,
        job: z.enum(SCHEDULED_JOBS),
        skip_holidays: z.boolean(),
      }),
    )
    .refine(
      (all) => new Set(all.map(({ name }) => name)).size === all.length,
      because('config.duplicate_value', 'two schedules have the same name'),
    ),
  stats_interval: duration(),
  stats_days: duration(),
  promote_interval: duration(),
  reap_interval: duration(),
  announce_interval: duration(),
  ageing: z.strictObject({ interval: duration(), levels: count(0, 9), foreground_interval: z.number().min(0) }),
  retention: z.strictObject({ interval: duration(), batch: count(1, 10_000) }),
});

const ranking = z.strictObject({
  watchlist: listOf(z.string().regex(/^([A-Z0-9.=^_&-]{1,32}|[A-Z]{1,5}\/[A-Z])$/, 'must be a symbol in capital letters, such as AAPL')),
  watchlist_modes: listOf(z.enum(MODES)),
  dedupe_window: z.number().min(0),
  timeout: duration(),
  chains: z
    .strictObject({
      sources: listOf(z.enum(CHAIN_SOURCES)).refine((names) => names.length > 0, 'must name at least one source'),
      timeout: duration(),
      reuse: z.number().min(0),
      dividend_yield: z.number().min(0).max(1),
      lean_day: z.iso.date().nullable(),
      file: z.strictObject({ path: text().nullable() }),
      simulated: z.strictObject({ contracts: count(10, 100_000) }),
    })
    .refine(
      ({ sources, file }) => !sources.includes('file') || file.path !== null,
      because('config.missing_value', 'sources names "file": ranking.chains.file.path must name a CSV or JSON file, or a folder of them'),
    ),
  retention: z.strictObject({ run_days: duration(), chain_days: z.number().min(CHAIN_HISTORY_DAYS) }),
  rules: rankingRules,
});

const gateway = z.strictObject({
  host: text(),
  port: port(0),
  ...gatewayEdge,
  login_timeout: duration(),
});

const audit = z.strictObject({ keep_days: duration() });

const logging = z.strictObject({
  level: logLevel,
  format: z.enum(['auto', 'json', 'pretty']),
  file: text().nullable(),
  max_size: size,
  backup_count: count(0, 1000),
  component_logs: z.strictObject(
    Object.fromEntries(COMPONENTS.map((name) => [name, text().nullable()])) as Record<
      (typeof COMPONENTS)[number],
      z.ZodNullable<z.ZodString>
    >,
  ),
});

export const schema = z
  .strictObject({
    worker,
    queue: z.strictObject({
      priority_queues: z.strictObject({ foreground: queue, background_fetch: queue, background_analysis: queue }),
      login_reserve: share(),
      mqtt,
    }),
    stock_jobs: stockJobs,
    jobs,
    portfolio,
    ranking,
    model,
    picks,
    history,
    scheduler,
    gateway,
    notify,
    audit,
    storage: z.strictObject({ data_folder: text() }),
    logging,
    monitoring,
    database,
  })
  .check(({ value: { ranking, stock_jobs, history }, issues }) => {
    const { sources } = ranking.chains;
    const { lean, simulated } = stock_jobs.data_fetch;
    const needs = (key: string, code: string, what: string) =>
      issues.push({
        code: 'custom',
        input: sources,
        path: ['ranking', 'chains', 'sources'],
        ...because(code, `${key}: stock_jobs.data_fetch.${what}`),
      });
    if (sources.includes('lean') && lean.path === null)
      needs('names "lean"', 'config.missing_value', 'lean.path must name its data folder');
    if (sources.includes('simulated') && !simulated.enabled)
      needs('names "simulated"', 'config.conflicting_keys', 'simulated.enabled must be true for it');
    const apart = storeApart(history, stock_jobs.data_fetch.capabilities);
    if (apart !== undefined)
      issues.push({
        ...{ code: 'custom', input: history.store.capability, path: ['history', 'store', 'capability'] },
        ...because('config.conflicting_keys', apart),
      });
  });

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

/** The whole configuration, under the names that the files use. Frozen. */
export type Config = DeepReadonly<z.output<typeof schema>>;

/** Seconds that a lease lasts without a heartbeat: two heartbeats. */
export function leaseSeconds(config: Pick<Config, 'worker'>): number {
  return 2 * config.worker.heartbeat_interval;
}

/** The fault of a cron expression; undefined when the expression has a next run. */
function cronFault(expression: string): string | undefined {
  // The parser would take it for a date, which a schedule has reached once or never.
  if (expression.includes(':')) return 'it has a ":"; write minutes and hours as two fields, such as "30 16 * * 1-5" for 16:30 on weekdays';
  try {
    return new Cron(expression, { paused: true }).nextRun() === null ? 'it has no next run' : undefined;
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) return error.message.replace(/^CronPattern: /, '');
    throw error;
  }
}
