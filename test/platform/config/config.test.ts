import { readFileSync } from 'node:fs';
import { expect, onTestFinished, test, vi } from 'vitest';
import { namesOf } from '../../../services/job-types/index.ts';
import { usedKeys } from '../../../services/platform/config/keys.ts';
import { leaseSeconds, loadConfig } from '../../../services/platform/config/load.ts';
import { filesOf, load } from './config-files.ts';

const FIXTURE = new URL('./fixtures/job_processor.yaml', import.meta.url).pathname;
const DEFAULTS = new URL('../../../config/default.yaml', import.meta.url);

test('the file of an earlier deployment loads as it is', () => {
  const { config } = loadConfig({ env: {}, files: [FIXTURE], environment: 'production', jobTypes: namesOf() });
  expect(config.worker).toMatchObject({
    name: 'Desk worker',
    poll_interval: 3,
    heartbeat_interval: 20,
    supported_job_types: ['fetch', 'analysis'],
  });
  expect(config.queue.priority_queues.foreground).toEqual({ max_jobs: 100, ttl: 300 });
  expect(config.queue.mqtt).toMatchObject({
    host: 'localhost',
    port: 1884,
    keepalive: 45,
    client_id_prefix: 'desk',
    username: null,
    password: null,
  });
  expect(config.stock_jobs.portfolio_priority).toEqual({
    data_staleness_threshold: 25,
    portfolio_priority_boost: 10,
    max_concurrent_per_user: 2,
  });
  expect(config.stock_jobs.data_fetch).toMatchObject({ batch_size: 8, rate_limit: 50, max_retries: 2, retry_backoff: [10, 60, 200] });
  expect(config.stock_jobs.analysis).toMatchObject({ cache_ttl: 4, llm_timeout: 90, analysis_priority: ['technical', 'news'] });
  expect(config.model).toMatchObject({ name: 'some-model', max_tokens: 800, timeout: 50, base_url: null });
  expect(config.jobs).toMatchObject({ default_priority: 6, max_retries: 4, retry_delay: 45, cleanup_after_days: 14 });
  expect(config.jobs.timeouts).toEqual({ stock_fetch: 200, portfolio_fetch: 500, stock_analysis: 800, batch_analysis: 1600 });
  expect(config.portfolio.sources).toEqual([{ csv_file: 'holdings/desk.csv' }]);
  expect(config.portfolio.freshness_schedule).toEqual({ market_open: 4, market_closed: 50, weekend: 600 });
  expect(config.portfolio.priority_factors).toEqual({ user_activity: 0.25, portfolio_value: 0.25, data_age: 0.3, market_volatility: 0.2 });
  expect(config.logging.component_logs).toMatchObject({ portfolio: 'logs/portfolio.log', mqtt: 'logs/mqtt.log' });
  expect(config.monitoring).toMatchObject({ enabled: true, format: 'json', port: 8090, stock_metrics: { portfolio_timing: false } });
  expect(config.monitoring.thresholds.min_worker_efficiency).toBe(0.8);
  expect(config.database).toMatchObject({ host: 'localhost', port: 3307, username: 'desk', password: '', database: 'desk_trading' });
  expect(config.database.pool).toEqual({ min_connections: 3, max_connections: 9, idle_timeout: 250 });
});

test('its keys without a counterpart are named in one warning, each with line and reason', () => {
  const { warnings } = loadConfig({ env: {}, files: [FIXTURE], jobTypes: namesOf() });
  expect(warnings).toHaveLength(1);
  const expected = [
    'queue.priority_queues.foreground.topic_prefix (',
    'queue.priority_queues.background_fetch.topic_prefix (',
    'queue.priority_queues.background_analysis.topic_prefix (',
    'queue.mqtt.topics (',
    'jobs.priority_rules.maintenance (',
    'portfolio.sources.1.database_table (',
    'integration.web_ui (',
    'integration.python (',
    'integration.apis.yahoo_finance (',
    'integration.cache (',
  ];
  for (const key of expected) expect(warnings[0]).toContain(key);
  expect(warnings[0]).toMatch(/^10 configured keys have no effect here: /);
  expect(warnings[0]).toContain(
    'jobs.priority_rules.maintenance (test/platform/config/fixtures/job_processor.yaml:64): the scheduler does maintenance itself',
  );
});

test.each([
  ['development', 2, 'debug', 20 * 1024 ** 2],
  ['production', 12, 'warn', 100 * 1024 ** 2],
  ['demo', 4, 'info', 20 * 1024 ** 2],
])('under %s the top-level section of that name overrides the rest of the file', (environment, jobs, level, bytes) => {
  const { config } = loadConfig({ env: {}, files: [FIXTURE], environment, jobTypes: namesOf() });
  expect(config.worker.max_concurrent_jobs).toBe(jobs);
  expect(config.logging).toMatchObject({ level, max_size: bytes });
});

test('a section for an environment may leave out the inner job_processor', () => {
  expect(load('development:\n  worker:\n    poll_interval: 7\n').config.worker.poll_interval).toBe(7);
});

test('an environment without a file of its own needs a section in a file of the user', () => {
  const text = 'staging:\n  job_processor:\n    worker:\n      poll_interval: 7\n';
  expect(load(text, { environment: 'staging' }).config.worker.poll_interval).toBe(7);
  expect(load(text).config.worker.poll_interval).toBe(2);
});

test('each layer overrides the ones before it: defaults, environment, files in order, options', () => {
  const files = filesOf(
    'job_processor:\n  worker: {poll_interval: 3, heartbeat_interval: 3, max_execution_time: 3, name: first}\n',
    'job_processor:\n  worker: {poll_interval: 4, heartbeat_interval: 4}\n',
  );
  const overrides = { 'worker.poll_interval': { value: '5', option: '--poll' } };
  const { config, origins } = loadConfig({ env: {}, environment: 'production', files, overrides });
  expect(config.worker).toMatchObject({
    poll_interval: 5,
    heartbeat_interval: 4,
    max_execution_time: 3,
    max_concurrent_jobs: 10,
    grace_period: 20,
  });
  expect(origins.get('worker.poll_interval')).toBe('option --poll');
  expect(origins.get('worker.heartbeat_interval')).toEqual({ file: files[1], line: 2 });
  expect(origins.get('worker.max_concurrent_jobs')).toEqual({ file: 'config/production.yaml', line: 4 });
  expect(origins.get('worker.grace_period')).toBe('default');
});

test('STOCKMESH_CONFIG and STOCKMESH_ENV are the files and the environment when no option says otherwise', () => {
  const files = filesOf('job_processor:\n  worker: {poll_interval: 3}\n', 'job_processor:\n  worker: {poll_interval: 4}\n');
  const env = { STOCKMESH_CONFIG: files.join(':'), STOCKMESH_ENV: 'demo' };
  const loaded = loadConfig({ env });
  expect(loaded.environment).toBe('demo');
  expect(loaded.config.worker.poll_interval).toBe(4);
  expect(loaded.config.stock_jobs.data_fetch.simulated.enabled).toBe(true);
  expect(loadConfig({ env, files: [files[0]!] }).config.worker.poll_interval).toBe(3);
});

test('without other variables those of the process count', () => {
  vi.stubEnv('STOCKMESH_ENV', 'demo');
  onTestFinished(() => void vi.unstubAllEnvs());
  expect(loadConfig({ files: [] }).environment).toBe('demo');
});

test('empty variables name no file and no environment', () => {
  expect(loadConfig({ env: { STOCKMESH_CONFIG: '', STOCKMESH_ENV: '' } }).environment).toBe('development');
});

test('maps are merged key by key and lists are replaced whole', () => {
  const { config } = load('job_processor:\n  stock_jobs:\n    data_fetch:\n      sources: [cached]\n      retry_backoff: [1]\n');
  expect(config.stock_jobs.data_fetch).toMatchObject({ sources: ['cached'], retry_backoff: [1], batch_size: 10 });
});

test('an empty value leaves the default, and is null where the key knows null', () => {
  const { config } = load(
    'job_processor:\n  worker:\n    poll_interval:\n    worker_id:\n  queue:\n  database:\n    host: ~\n    port: null\n',
  );
  expect(config.worker).toMatchObject({ poll_interval: 2, worker_id: null });
  expect(config.database).toMatchObject({ host: null, port: 3306 });
});

test('an empty file changes nothing', () => {
  expect(load('# nothing yet\n').config).toEqual(loadConfig({ env: {} }).config);
});

test('variables are filled in and take the type that the key wants', () => {
  const text = `
job_processor:
  worker:
    max_concurrent_jobs: \${JOBS}
    name: "\${PLACE:-here} worker, plain $\${PLACE}"
    capabilities: \${TAGS}
  monitoring:
    enabled: \${METRICS:-no}
    port: \${PORT:-9100}
  database:
    host: \${DB_HOST:-}
    password: \${DB_PASSWORD}
  scheduler:
    schedules:
      - name: one
        cron: \${CRON:-0 9 * * 1-5}
        time_zone: Europe/Berlin
        job: fetch_portfolios
        skip_holidays: \${SKIP}
`;
  const env = { JOBS: '7', TAGS: 'a, b', PORT: '', DB_PASSWORD: ' 0123 ', SKIP: 'false' };
  const { config, origins } = load(text, { env });
  expect(config.worker).toMatchObject({ max_concurrent_jobs: 7, name: `here worker, plain \${PLACE}`, capabilities: ['a', 'b'] });
  expect(config.monitoring).toMatchObject({ enabled: false, port: 9100 });
  expect(config.database).toMatchObject({ host: null, password: ' 0123 ' });
  expect(config.scheduler.schedules[0]).toMatchObject({ cron: '0 9 * * 1-5', skip_holidays: false });
  expect(origins.get('worker.max_concurrent_jobs')).toBe('environment JOBS');
  expect(origins.get('monitoring.port')).toMatchObject({ line: 9 });
});

test('a variable that is set and empty leaves the default', () => {
  expect(load(`job_processor:\n  worker: {poll_interval: "\${EMPTY}"}\n`, { env: { EMPTY: '' } }).config.worker.poll_interval).toBe(2);
});

test('a variable of a value that another layer overrides need not be set', () => {
  const files = filesOf(`job_processor:\n  worker: {name: "\${NOBODY}"}\n`, 'job_processor:\n  worker: {name: somebody}\n');
  expect(loadConfig({ env: {}, files }).config.worker.name).toBe('somebody');
});

test('the secrets of the defaults come from the environment', () => {
  const env = { ALPHA_VANTAGE_API_KEY: 'k', STOCKMESH_DATABASE_URL: 'mysql://a:b@h/d', STOCKMESH_MQTT_URL: 'mqtts://h' };
  const { config, origins } = loadConfig({ env });
  expect(config.stock_jobs.data_fetch.alpha_vantage.api_key).toBe('k');
  expect(config.database.url).toBe('mysql://a:b@h/d');
  expect(config.queue.mqtt.url).toBe('mqtts://h');
  expect(origins.get('database.url')).toBe('environment STOCKMESH_DATABASE_URL');
});

test('freshness is another spelling of the freshness schedule and of the staleness threshold', () => {
  const { config, warnings } = load('job_processor:\n  freshness: {market_open: 1, market_closed: 2, weekend: 3, default: 4}\n');
  expect(config.portfolio.freshness_schedule).toEqual({ market_open: 1, market_closed: 2, weekend: 3 });
  expect(config.stock_jobs.portfolio_priority.data_staleness_threshold).toBe(4);
  expect(warnings).toEqual([]);
});

test('both spellings with one value are one value', () => {
  const text = 'job_processor:\n  freshness: {weekend: 9}\n  portfolio:\n    freshness_schedule: {weekend: 9}\n';
  expect(load(text).config.portfolio.freshness_schedule.weekend).toBe(9);
});

test('anchors and merge keys of YAML work', () => {
  const text =
    'job_processor:\n  worker: &w\n    poll_interval: 9\nproduction:\n  job_processor:\n    worker:\n      <<: *w\n      heartbeat_interval: 8\n';
  expect(load(text, { environment: 'production' }).config.worker).toMatchObject({ poll_interval: 9, heartbeat_interval: 8 });
});

test('several merge keys in one map are no key that stands twice', () => {
  const text =
    'job_processor:\n  worker: &a\n    poll_interval: 9\nproduction:\n  job_processor:\n    worker:\n      <<: *a\n      <<: *a\n      heartbeat_interval: 8\n';
  expect(load(text, { environment: 'production' }).config.worker).toMatchObject({ poll_interval: 9, heartbeat_interval: 8 });
});

test('another queue backend is a retired value, mqtt is none', () => {
  expect(load('job_processor:\n  queue: {backend: mqtt}\n').warnings).toEqual([]);
  expect(load('job_processor:\n  queue: {backend: database}\n').warnings[0]).toMatch(
    /^1 configured key has no effect here: queue\.backend \(\S+1\.yaml:2\): MQTT is the only message bus$/,
  );
});

test.each([
  ['foreground', 1],
  ['background_fetch', 5],
  ['background_analysis', 8],
])('the fixed priority of the queue %s is %d, and another one has no effect', (queue, fixed) => {
  const warnings = (priority: number) => load(`job_processor:\n  queue: {priority_queues: {${queue}: {priority: ${priority}}}}\n`).warnings;
  expect(warnings(fixed)).toEqual([]);
  expect(warnings(fixed + 1)).toEqual([expect.stringContaining(`queue.priority_queues.${queue}.priority (`)]);
});

test('a retired key is told of in the environment whose section has it, and in no other', () => {
  const text = 'job_processor:\n  worker: {poll_interval: 9}\nproduction:\n  job_processor:\n    queue: {backend: database}\n';
  expect(load(text, { environment: 'development' }).warnings).toEqual([]);
  expect(load(text, { environment: 'production' }).warnings).toEqual([expect.stringContaining('queue.backend (')]);
});

test('the configuration is frozen throughout', () => {
  const { config } = loadConfig({ env: {} });
  expect(Object.isFrozen(config.worker)).toBe(true);
  expect(Object.isFrozen(config.scheduler.schedules[0])).toBe(true);
});

test('a lease is two heartbeats', () => {
  expect(leaseSeconds(load('job_processor:\n  worker: {heartbeat_interval: 20}\n').config)).toBe(40);
});

test.each(['development', 'production', 'demo'])('the shipped files for %s load without a warning', (environment) => {
  expect(loadConfig({ env: {}, environment }).warnings).toEqual([]);
});

// The table of the configuration's keys and defaults is the contract with existing deployments.
test.each([
  ['worker.max_concurrent_jobs', 5],
  ['worker.poll_interval', 2],
  ['worker.max_execution_time', 1800],
  ['worker.heartbeat_interval', 15],
  ['queue.priority_queues.foreground.ttl', 300],
  ['queue.priority_queues.background_fetch.ttl', 3600],
  ['queue.priority_queues.background_analysis.ttl', 7200],
  ['queue.mqtt.keepalive', 60],
  ['stock_jobs.portfolio_priority.data_staleness_threshold', 30],
  ['stock_jobs.portfolio_priority.max_concurrent_per_user', 3],
  ['stock_jobs.data_fetch.batch_size', 10],
  ['stock_jobs.data_fetch.rate_limit', 60],
  ['stock_jobs.data_fetch.max_retries', 3],
  ['stock_jobs.analysis.cache_ttl', 6],
  ['jobs.default_priority', 5],
  ['jobs.max_retries', 3],
  ['jobs.retry_delay', 60],
  ['jobs.cleanup_after_days', 7],
  ['jobs.timeouts.stock_fetch', 300],
  ['jobs.timeouts.portfolio_fetch', 600],
  ['jobs.timeouts.stock_analysis', 900],
  ['portfolio.freshness_schedule.market_open', 5],
  ['portfolio.freshness_schedule.market_closed', 60],
  ['portfolio.freshness_schedule.weekend', 720],
  ['monitoring.thresholds.max_queue_depth', 1000],
  ['monitoring.thresholds.max_fetch_latency', 30],
  ['monitoring.thresholds.min_worker_efficiency', 0.7],
  ['monitoring.thresholds.max_job_age', 600],
])('%s is %d by default', (key, value) => {
  const { config } = loadConfig({ env: {}, environment: 'demo' });
  expect(key.split('.').reduce<unknown>((section, name) => (section as Record<string, unknown>)[name], config)).toBe(value);
});

test('every key of the default file is explained: by the comment above it, above the keys it stands with, or above its section', () => {
  const explained: boolean[] = [];
  const unexplained: string[] = [];
  let above: { indent: number; comment: boolean } = { indent: -1, comment: false };
  for (const line of readFileSync(DEFAULTS, 'utf8').split('\n').slice(11)) {
    const indent = line.search(/\S/);
    if (indent === -1) continue;
    const comment = line.trimStart().startsWith('#');
    if (!comment) {
      explained.length = Math.max(explained.length, indent + 1);
      const withNeighbour = above.indent === indent && explained[indent] === true;
      explained[indent] = above.comment || withNeighbour || explained.slice(0, indent).includes(true);
      explained.length = indent + 1;
      if (/: \S/.test(line) && !explained[indent]) unexplained.push(line.trim());
    }
    above = { indent, comment };
  }
  expect(unexplained).toEqual([]);
});

test('the used keys name those of list items too', () => {
  expect(usedKeys()).toEqual(
    expect.arrayContaining(['worker.poll_interval', 'scheduler.schedules[].skip_holidays', 'portfolio.sources[].csv_file']),
  );
  expect(usedKeys().some((key) => key.startsWith('integration') || key.includes('openai'))).toBe(false);
});

test('loading takes less than a tenth of a second', () => {
  const times = Array.from({ length: 5 }, () => {
    const start = performance.now();
    loadConfig({ env: {}, files: [FIXTURE], jobTypes: namesOf() });
    return performance.now() - start;
  });
  expect(Math.min(...times)).toBeLessThan(100);
});

test.each(['apis.openai', 'openai'])(
  'integration.%s of earlier deployments sets the language model, and its other keys are named',
  (section) => {
    const [outer, inner] = section.split('.');
    const keys = '{model: a-model, max_tokens: 700, timeout: 33, temperature: 0.9}';
    const yaml = `job_processor:\n  integration:\n    ${outer}:${inner === undefined ? ` ${keys}` : `\n      ${inner}: ${keys}`}\n`;
    const { config, warnings } = load(yaml);
    expect(config.model).toMatchObject({ name: 'a-model', max_tokens: 700, timeout: 33 });
    expect(warnings).toEqual([expect.stringContaining(`integration.${section}.temperature (`)]);
  },
);

test('one key in its own place and in that of an earlier deployment, with two values, is an error that names both', () => {
  const yaml = 'job_processor:\n  model: {timeout: 10}\n  integration: {apis: {openai: {timeout: 20}}}\n';
  expect(() => load(yaml)).toThrow(/"integration.apis.openai.timeout" and "model.timeout" \(line 2\) are the same key/);
});
