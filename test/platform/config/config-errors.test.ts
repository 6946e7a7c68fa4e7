import { copyFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { filesOf, load, refusal } from './config-files.ts';

/** A setting written under job_processor, one name a line; its value stands on the line that follows the sections. */
function yaml(path: string, value: string): string {
  const names = path.split('.');
  return `job_processor:\n${names.map((name, depth) => `${'  '.repeat(depth + 1)}${name}:${depth === names.length - 1 ? ` ${value}` : ''}\n`).join('')}`;
}

test.each([
  ['portfolio.priority_factor', 'did you mean "portfolio.priority_factors"?'],
  ['worker.pol_interval', 'did you mean "worker.poll_interval"?'],
  ['worker.max_connections', 'did you mean "database.pool.max_connections"?'],
  ['databse', 'did you mean "database"?'],
  ['freshness.weekends', 'did you mean "freshness.weekend"?'],
  ['stock_jobs.analysis.zzzzzz', 'known there: cache_ttl, warm_up_bars, llm_timeout, analysis_priority'],
])('the unknown key %s is named with the nearest known one', (path, wayOut) => {
  const depth = path.split('.').length;
  expect(refusal(yaml(path, '1'))).toEqual({
    code: 'config.unknown_key',
    lines: [`1.yaml:${depth + 1}: unknown key "${path}"; ${wayOut}`],
  });
});

test('the last line counts also where nothing ends it', () => {
  expect(refusal('job_processor:\n  worker:\n    pol: 1').lines).toEqual([expect.stringMatching(/^1\.yaml:3: unknown key "worker\.pol"/)]);
});

test('a key named like a part of every object is unknown too', () => {
  for (const name of ['constructor', 'toString', '__proto__']) expect(refusal(yaml(`worker.${name}`, '1')).code).toBe('config.unknown_key');
});

test('a section at the top of the file is told where it belongs', () => {
  expect(refusal('job_processor: {}\n\nworker:\n  poll_interval: 1\n').lines).toEqual([
    '1.yaml:3: unknown key "worker"; it belongs under "job_processor:"',
  ]);
  expect(refusal('zzzzzzzz: 1\n').lines).toEqual([
    '1.yaml:1: unknown key "zzzzzzzz"; the top level has "job_processor" and sections for environments',
  ]);
  expect(refusal('job_procesor:\n  worker: {}\n').lines).toEqual(['1.yaml:1: unknown key "job_procesor"; did you mean "job_processor"?']);
});

test('a wrong key in the section of another environment is found as well', () => {
  expect(refusal('production:\n  job_processor:\n    worker:\n      pol_interval: 1\n').lines[0]).toMatch(
    /^1\.yaml:4: unknown key "worker\.pol_interval"/,
  );
});

test.each([
  ['worker.poll_interval', 'soon', 'config.wrong_type', 'must be a number, got "soon"; the default is 2'],
  ['worker.poll_interval', '"5"', 'config.wrong_type', 'must be a number, got "5"; the default is 2'],
  ['worker.poll_interval', '-1', 'config.out_of_range', 'must be more than 0, got -1; the default is 2'],
  ['worker.poll_interval', '.inf', 'config.wrong_type', 'must be a number, got Infinity; the default is 2'],
  ['worker.max_concurrent_jobs', '2.5', 'config.wrong_type', 'must be a whole number, got 2.5; the default is 5'],
  ['worker.max_concurrent_jobs', '0', 'config.out_of_range', 'must be at least 1, got 0; the default is 5'],
  ['worker.supported_job_types', '[fetsh]', 'config.unknown_value', /must be one of fetch, .* \(did you mean "fetch"\?\), got "fetsh"$/],
  ['monitoring.enabled', 'maybe', 'config.wrong_type', 'must be true or false, got "maybe"; the default is true'],
  ['monitoring.port', '70000', 'config.out_of_range', 'must be at most 65535, got 70000; the default is 0'],
  ['jobs.default_priority', '11', 'config.out_of_range', 'must be at most 10, got 11; the default is 5'],
  ['jobs.priority_rules.user_login', '0', 'config.out_of_range', 'must be at least 1, got 0; the default is 1'],
  ['queue.priority_queues.foreground.max_jobs', '0', 'config.out_of_range', 'must be at least 1, got 0; the default is 10000'],
  ['queue.mqtt.protocol_version', '3', 'config.wrong_type', 'must be 4 or 5, got 3; the default is 4'],
  ['queue.mqtt.client_id_prefix', 'x'.repeat(41), 'config.invalid_value', /must be 1-40 letters, digits, "_" or "-", got "x+"/],
  ['logging.level', 'loud', 'config.unknown_value', /must be one of trace, .*, silent, got "loud"; the default is "info"$/],
  ['logging.max_size', 'large', 'config.out_of_range', 'must be a size of at least 1KB, such as 50MB, got "large"; the default is "50MB"'],
  ['stock_jobs.analysis.cache_ttl', '[6]', 'config.wrong_type', 'must be a number, got [6]; the default is 6'],
  ['stock_jobs.data_fetch.sources', '[]', 'config.out_of_range', /must not be empty, got \[\]/],
  ['stock_jobs.data_fetch.sources', '[cached, cached]', 'config.duplicate_value', /names a source twice, got/],
  ['worker.worker_id', '{a: 1}', 'config.wrong_type', 'must be text, got {"a":1}; the default is null'],
])('%s: %s is refused with file, line, value and default', (path, value, code, message) => {
  const { code: got, lines } = refusal(yaml(path, value));
  expect(lines).toHaveLength(1);
  expect(got).toBe(code);
  const [place, key, ...text] = lines[0]!.split(': ');
  expect(place).toBe(`1.yaml:${path.split('.').length + 1}`);
  expect(key).toMatch(new RegExp(`^${path.replaceAll('.', '\\.')}(\\.\\d+)?$`));
  expect(text.join(': ')).toMatch(message);
});

test('a client id may begin with as many as 40 letters', () => {
  expect(load(yaml('queue.mqtt.client_id_prefix', 'x'.repeat(40))).config.queue.mqtt.client_id_prefix).toHaveLength(40);
});

test('MQTT 5 is refused with the embedded broker, which does not speak it, and accepted with a broker of the configuration', () => {
  const { code, lines } = refusal(yaml('queue.mqtt.protocol_version', '5'));
  expect(code).toBe('config.out_of_range');
  expect(lines).toEqual([expect.stringMatching(/^1\.yaml:4: queue\.mqtt: the embedded broker speaks MQTT 3\.1\.1/)]);
  const [file] = filesOf('job_processor:\n  queue:\n    mqtt: {protocol_version: 5, host: broker.example}\n');
  expect(loadConfig({ env: {}, files: [file!] }).config.queue.mqtt.protocol_version).toBe(5);
});

test('an unknown source is named with its place in the list', () => {
  const { code, lines } = refusal(
    'job_processor:\n  stock_jobs:\n    data_fetch:\n      sources:\n        - cached\n        - yahoo_finanse\n',
  );
  expect(code).toBe('config.unknown_value');
  expect(lines[0]).toMatch(
    /^1\.yaml:6: stock_jobs\.data_fetch\.sources\.1: must be one of yahoo_finance, .*\(did you mean "yahoo_finance"\?\), got "yahoo_finanse"$/,
  );
});

test('a section that holds a value, and a value where the file should hold sections', () => {
  expect(refusal(yaml('worker', '5')).lines).toEqual(['1.yaml:2: worker: is a section with keys of its own, got 5']);
  expect(refusal('job_processor: 5\n').lines).toEqual(['1.yaml:1: must have sections such as "worker:", has 5']);
  expect(refusal('- 1\n').lines).toEqual(['1.yaml:1: must have a map with the key "job_processor", has [1]']);
});

test('weights that do not add up to 1 are shown with their sum', () => {
  const { code, lines } = refusal(yaml('portfolio.priority_factors.user_activity', '0.5'));
  expect(code).toBe('config.weights_sum');
  expect(lines).toEqual([
    '1.yaml:4: portfolio.priority_factors: the weights must add up to 1, these add up to 1.1: user_activity 0.5 + portfolio_value 0.3 + data_age 0.2 + market_volatility 0.1',
  ]);
});

test('a problem of a section is placed at the section, whatever else the file sets', () => {
  const section = 'job_processor:\n  portfolio:\n    priority_factors: {user_activity: 0.5}\n';
  const others = '  worker: {name: a}\n  monitoring: {port: 1}\n  logging: {level: info}\n';
  expect(refusal(section + others).lines).toEqual([expect.stringMatching(/^1\.yaml:3: portfolio\.priority_factors: the weights/)]);
});

test('weights that add up to 1 only but for rounding are accepted', () => {
  // 0.1 + 0.2 + 0.3 + 0.4 is 1.0000000000000002 in some orders of IEEE 754 doubles.
  const [file] = filesOf(
    'job_processor:\n  portfolio:\n    priority_factors: {user_activity: 0.7, portfolio_value: 0.1, data_age: 0.1, market_volatility: 0.1}\n',
  );
  expect(0.7 + 0.1 + 0.1 + 0.1).not.toBe(1);
  expect(loadConfig({ env: {}, files: [file!] }).config.portfolio.priority_factors.user_activity).toBe(0.7);
});

function schedule(cron: string, zone = 'UTC'): string {
  return `job_processor:\n  scheduler:\n    schedules:\n      - name: a\n        cron: "${cron}"\n        time_zone: ${zone}\n        job: fetch_portfolios\n        skip_holidays: no\n`;
}

// The last three are times and dates, which a parser of schedules may take for a moment.
test.each(['0 25 * * *', 'every day', '* * *', '0 0 30 2 *', '5 :61', '16:30', '2099-01-01T00:00:00'])(
  'the cron expression "%s" is refused',
  (cron) => {
    const { code, lines } = refusal(schedule(cron));
    expect(code).toBe('config.bad_cron');
    expect(lines[0]).toMatch(/^1\.yaml:5: scheduler\.schedules\.0\.cron: is not a cron expression: .+, got "/);
  },
);

test.each(['Mars/Olympus', '+05:00'])('the time zone %s is refused', (zone) => {
  const { code, lines } = refusal(schedule('0 9 * * *', zone));
  expect(code).toBe('config.bad_time_zone');
  expect(lines[0]).toMatch(/^1\.yaml:6: scheduler\.schedules\.0\.time_zone: is not a time zone/);
});

test('an unknown and a missing key inside a list item are named', () => {
  const { lines } = refusal('job_processor:\n  portfolio:\n    sources:\n      - csv_fil: a.csv\n');
  expect(lines).toEqual([
    '1.yaml:4: portfolio.sources.0.csv_file: must be text, got nothing',
    '1.yaml:4: portfolio.sources.0: has unknown key csv_fil, got {"csv_fil":"a.csv"}',
  ]);
});

test('several unknown keys of a list item are one problem', () => {
  const { lines } = refusal('job_processor:\n  portfolio:\n    sources:\n      - csv_file: a.csv\n        one: 1\n        two: 2\n');
  expect(lines).toEqual([expect.stringMatching(/^1\.yaml:4: portfolio\.sources\.0: has unknown keys one, two, got /)]);
});

test.each([
  ['x'.repeat(78), `"${'x'.repeat(78)}"`],
  ['x'.repeat(79), `"${'x'.repeat(78)}…`],
])('a value is shown up to 80 characters: %s', (value, shown) => {
  expect(refusal(yaml('worker.poll_interval', value)).lines[0]).toContain(`must be a number, got ${shown}; the default is 2`);
});

test('fewer connections at most than at least', () => {
  const { code, lines } = refusal('job_processor:\n  database:\n    pool:\n      min_connections: 9\n      max_connections: 3\n');
  expect(code).toBe('config.pool_size');
  expect(lines).toEqual(['1.yaml:5: database.pool: min_connections (9) must not be above max_connections (3)']);
});

test('two spellings of one key with two values', () => {
  const text = 'job_processor:\n  freshness:\n    weekend: 9\n  portfolio:\n    freshness_schedule:\n      weekend: 8\n';
  expect(refusal(text)).toEqual({
    code: 'config.conflicting_keys',
    lines: [
      '1.yaml:6: "portfolio.freshness_schedule.weekend" and "freshness.weekend" (line 3) are the same key with two values; keep one of them',
    ],
  });
});

test('a key given by an alias does not shift the lines of the others', () => {
  expect(refusal('job_processor:\n  ? &k worker\n  : {}\n  ? *k\n  : {}\n  queue:\n    pol: 1\n').lines).toEqual([
    expect.stringMatching(/^1\.yaml:7: unknown key "queue\.pol"/),
  ]);
});

test('a source that needs another key', () => {
  expect(refusal(yaml('stock_jobs.data_fetch.sources', '[lean]')).code).toBe('config.missing_value');
  expect(refusal(yaml('stock_jobs.data_fetch.sources', '[simulated]')).code).toBe('config.conflicting_keys');
});

test('made-up prices are refused in production', () => {
  const { code, lines } = refusal(yaml('stock_jobs.data_fetch.simulated.enabled', 'true'), { environment: 'production' });
  expect(code).toBe('config.simulated_in_production');
  expect(lines[0]).toMatch(/^1\.yaml:5: /);
});

test('a key that stands twice', () => {
  expect(refusal('job_processor:\n  worker:\n    name: a\n  queue:\n  worker:\n    name: b\n')).toEqual({
    code: 'config.duplicate_key',
    lines: [
      '1.yaml:5: key "job_processor.worker" is there twice, first on line 2; keep one',
      '1.yaml:6: key "job_processor.worker.name" is there twice, first on line 3; keep one',
    ],
  });
});

test.each([
  ['an empty key', '"":\n  worker: {}\nworker: {}\n'],
  ['a key with a dot', 'job_processor:\n  worker.name: {}\n  worker:\n    name: a\n'],
  ['a key with a dot and quotes', `"a.b":\n  c: {}\n"'a.b'":\n  c: {}\n`],
  ['keys that are lists', '? [a]\n: b: 1\n? [c]\n: b: 2\n'],
])('%s does not stand for another key', (_, text) => {
  expect(refusal(text).lines.join('\n')).not.toContain('twice');
});

test('a key with a dot is placed at its own line, and is no other spelling', () => {
  expect(refusal('job_processor:\n  worker:\n    pol: 1\n  worker.pol: 1\n  freshness.weekend: 8\n').lines).toEqual([
    expect.stringMatching(/^1\.yaml:3: unknown key "worker\.pol"/),
    expect.stringMatching(/^1\.yaml:4: unknown key "'worker\.pol'"/),
    expect.stringMatching(/^1\.yaml:5: unknown key "'freshness\.weekend'"/),
  ]);
});

test('text that is not YAML is refused with its line, and no line of the file is quoted', () => {
  const { code, lines } = refusal('job_processor:\n  database:\n    password: hunter2\n   host: here\n');
  expect(code).toBe('config.syntax');
  expect(lines).toEqual([expect.stringMatching(/^1\.yaml:4: not valid YAML: /)]);
  expect(lines[0]).not.toContain('hunter2');
});

test('a file of several documents', () => {
  expect(refusal('job_processor: {}\n---\njob_processor: {}\n').lines[0]).toMatch(/^1\.yaml: holds 2 YAML documents/);
});

test('a file that is not there', () => {
  const { code, lines } = refusal('', { files: ['/nowhere/at/all.yaml'] });
  expect(code).toBe('config.missing_file');
  expect(lines).toEqual(['/nowhere/at/all.yaml: cannot be read (no such file); check --config and STOCKMESH_CONFIG']);
});

test('a folder in the place of a file', () => {
  const { code, lines } = refusal('', { files: ['/'] });
  expect(code).toBe('config.missing_file');
  expect(lines).toEqual([expect.stringMatching(/^\/: cannot be read \(it is a folder\)/)]);
});

test('a default file that leaves a key out', () => {
  const [file] = filesOf('job_processor: {worker: {poll_interval: 2}}\n');
  const folder = dirname(file!);
  for (const name of ['default.yaml', 'development.yaml']) copyFileSync(file!, join(folder, name));
  const { lines } = refusal('', { folder });
  expect(lines).toContain('worker.heartbeat_interval: has no value; config/default.yaml must give one');
  expect(lines.some((line) => line.startsWith('worker.poll_interval:'))).toBe(false);
});

test('an environment cannot name a file outside of the folder of the shipped ones', () => {
  expect(refusal('', { environment: '../config/production' }).code).toBe('config.unknown_environment');
});

test('an environment that nobody knows', () => {
  const { code, lines } = refusal('', { env: { STOCKMESH_ENV: 'prod' } });
  expect(code).toBe('config.unknown_environment');
  expect(lines[0]).toContain('environment "prod" (STOCKMESH_ENV)');
});

test('a variable that is not set', () => {
  expect(refusal(yaml('worker.name', `\${WORKER_NAME}`))).toEqual({
    code: 'config.unset_variable',
    lines: [`1.yaml:3: worker.name: variable WORKER_NAME is not set; set it, or write \${WORKER_NAME:-default}`],
  });
});

test('a variable of the wrong type is named with its value', () => {
  expect(refusal(yaml('monitoring.port', `\${PORT}`), { env: { PORT: 'http' } }).lines).toEqual([
    '1.yaml:3: monitoring.port: must be a number, got "http" (from environment PORT); the default is 0',
  ]);
});

test('a wrong variable that the defaults name is placed at the variable, not at a file that nobody touched', () => {
  const { lines } = refusal('', { env: { STOCKMESH_DATABASE_URL: 'postgres://u:hunter2@h/d', STOCKMESH_DATABASE_PASSWORD: 'caf\ufffd' } });
  expect(lines).toEqual([
    expect.stringMatching(/^environment STOCKMESH_DATABASE_PASSWORD: database\.password: variable \w+ holds bytes that are not UTF-8/),
    expect.stringMatching(/^environment STOCKMESH_DATABASE_URL: database\.url: .*, got •••$/),
  ]);
});

test('problems of one file are in the order of its lines, whatever kind they are', () => {
  const text = `job_processor:\n  monitoring: {port: x}\n  wrker: {}\n  jobs: {default_priority: 0}\n  worker: {name: "\${NOBODY}"}\n  jobz: {}\n`;
  expect(refusal(text).lines.map((line) => line.split(':')[1])).toEqual(['2', '3', '4', '5', '6']);
});

test.each([`\${9LIVES}`, `\${A:-\${B}}`, `\${open`])('%s is no variable', (text) => {
  expect(refusal(yaml('worker.name', `"${text}"`)).code).toBe('config.bad_variable');
});

test('an option with an unknown key or a wrong value', () => {
  const overrides = {
    'worker.poll_intervall': { value: 1, option: '--poll' },
    'monitoring.port': { value: 'x', option: '--metrics-port' },
    'worker.name': { value: undefined, option: '--name' },
    'zzzzzzzzzzzz.qqqqqqqqqqqq': { value: 1, option: '--set' },
  };
  expect(refusal('', { overrides }).lines).toEqual([
    'option --poll: unknown key "worker.poll_intervall"; did you mean "worker.poll_interval"?',
    'option --set: unknown key "zzzzzzzzzzzz.qqqqqqqqqqqq"; "npx stockmesh config show" lists all keys',
    'option --metrics-port: monitoring.port: must be a number, got "x"; the default is 0',
  ]);
});

test('a wrong secret is refused without being shown', () => {
  const { lines } = refusal(yaml('database.password', '[hunter2]'));
  expect(lines).toEqual(['1.yaml:3: database.password: must be text, got •••; the default is •••']);
});

test('all problems of all files are reported at once', () => {
  const files = filesOf(
    'job_processor:\n  wrker: {}\n  monitoring: {port: -1}\n',
    `job_processor:\n  jobs: {default_priority: 0}\n  worker: {name: "\${NOBODY}"}\n`,
  );
  const { code, lines } = refusal('', { files });
  expect(code).toBe('config.invalid');
  expect(lines).toEqual([
    expect.stringMatching(/^1\.yaml:2: unknown key "wrker"/),
    expect.stringMatching(/^1\.yaml:3: monitoring\.port: must be at least 0/),
    expect.stringMatching(/^2\.yaml:2: jobs\.default_priority: must be at least 1/),
    expect.stringMatching(/^2\.yaml:3: worker\.name: variable NOBODY/),
  ]);
});
