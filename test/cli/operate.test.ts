import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../services/platform/machine/ports.ts';
import { databaseUrl } from '../../sql/embedded.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { stockmesh, stockmeshProcess } from './command-line.ts';
import { configText } from './running-mesh.ts';

let folder: string;
let database: TestDatabase;
let nobody: number;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'stockmesh-operate-'));
  database = await testDatabase();
  nobody = await freePort();
});
afterAll(async () => {
  await database.drop();
  rmSync(folder, { recursive: true });
});

const oneLine = (pattern: string): RegExp => new RegExp(`^stockmesh: [^\\n]*${pattern}[^\\n]*\\n$`);
function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}
const broker = () => `mqtt://127.0.0.1:${nobody}`;

test('wrong use ends the process with 2 and one line', async () => {
  const ran = await stockmeshProcess(['jbos']);
  expect(ran).toMatchObject({ code: 2, stdout: '' });
  expect(ran.stderr).toMatch(oneLine("unknown command 'jbos' \\(Did you mean jobs\\?\\)"));
});

test('a database that is not there is one line and 1, at once', async () => {
  const config = file('away.yaml', configText(`mysql://stockmesh:x@127.0.0.1:${nobody}/stockmesh`, broker()));
  const started = performance.now();
  const ran = await stockmeshProcess(['stats', '--config', config]);
  expect(performance.now() - started).toBeLessThan(10_000);
  expect(ran).toMatchObject({ code: 1, stdout: '' });
  expect(ran.stderr).toMatch(oneLine('the database cannot be reached \\(ECONNREFUSED.*npm start'));
});

test('the dashboard needs a key: of the data folder, or one that is named', async () => {
  const config = file('keys.yaml', configText(database.url, broker()));
  const here = ['--config', config, '--data', folder];
  expect((await stockmesh(['dashboard', ...here])).stderr).toMatch(oneLine('there is no .*gateway-operator.key.*--key'));
  file('gateway-operator.key', 'smk_of_nobody\n');
  expect((await stockmesh(['dashboard', ...here])).stderr).toMatch(oneLine('gateway-operator.key is not in force.*--key'));
  await stockmesh(['key', 'create', '--name', 'wall', '--scope', 'read', ...here]);
  const { url, expires_at } = JSON.parse((await stockmesh(['dashboard', '--key', 'wall', '--json', ...here])).stdout);
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:8787\/ui\/#code=smc_[\w-]{22}$/);
  expect(Date.parse(expires_at) - Date.now()).toBeLessThanOrEqual(60_000);
});

test('a database that refuses the account is one line that names the keys to check', async () => {
  const config = file('refused.yaml', configText(database.url.replace('service-secret', 'wrong-secret'), broker()));
  const ran = await stockmesh(['stats', '--config', config]);
  expect(ran).toMatchObject({ code: 1, stdout: '' });
  expect(ran.stderr).toMatch(oneLine('the database refuses the account .*database.password'));
});

test('without a broker a login and a fetch are kept for the workers to find', async () => {
  const config = file('silent.yaml', configText(database.url, broker()));
  const csv = file('alice.csv', 'symbol,quantity,cost\nAAPL,1,1\n');
  expect(await stockmesh(['portfolio', 'import', csv, '--user', 'alice', '--config', config])).toMatchObject({ code: 0 });
  const login = await stockmesh(['login', 'alice', '--config', config]);
  expect(login).toMatchObject({ code: 0, stderr: '' });
  expect(login.stdout).toMatch(
    /^login of alice is committed: 1 of 1 symbols queued, 0 fresh.*\nthe broker is away: the workers find these jobs/,
  );
  expect(JSON.parse((await stockmesh(['jobs', '--config', config, '--json'])).stdout).jobs).toHaveLength(2);
  const fetch = await stockmesh(['fetch', 'AAPL', '--config', config]);
  expect(fetch).toMatchObject({
    code: 0,
    stderr: '',
    stdout: expect.stringContaining('the broker cannot be reached: the workers find these jobs'),
  });
  const jobs = await stockmesh(['jobs', '--config', config, '--json']);
  expect(JSON.parse(jobs.stdout).jobs).toHaveLength(2);
});

test('a job type that there is none of is refused with those that there are', async () => {
  const config = file('type.yaml', configText(database.url, broker()));
  const ran = await stockmesh(['jobs', '--type', 'fetsch', '--config', config]);
  expect(ran).toMatchObject({ code: 2, stdout: '' });
  expect(ran.stderr).toMatch(oneLine('argument .fetsch. is invalid. Allowed choices are fetch, batch_fetch, backfill, analysis, rank'));
});

test('a wait that ends before the jobs says which go on, and 1', async () => {
  const config = file('slow.yaml', configText(database.url, broker()));
  const ran = await stockmesh(['fetch', 'SLOW', '--no-analysis', '--wait', '--timeout', '1', '--config', config]);
  expect(ran.code).toBe(1);
  expect(ran.stderr).toContain('the broker cannot be reached: reading the database');
  expect(ran.stderr).toMatch(/stockmesh: 1 job has not ended after 1 s and continues: [0-9a-f-]{36} \(ready\)/);
});

test('a portfolio comes from standard input too', async () => {
  const config = file('stdin.yaml', configText(database.url, broker()));
  const ran = await stockmeshProcess(['portfolio', 'import', '-', '--json', '--config', config], {
    input: 'user,symbol,quantity,cost\ndora,IBM,2,3\ndora,SPY,,\n',
  });
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(ran.stdout)).toEqual({ ok: true, users: 1, held: 1, watched: 1 });
});

test('migrations go up, say what is lost, and go down only when told so', async () => {
  const empty = await testDatabase({ migrated: false });
  try {
    const { user, password, socketPath, database: name } = empty.migrate;
    const url = databaseUrl({ user, password, database: name, socket: socketPath as string, port: 3306 });
    const run = (...args: string[]) => stockmesh(['migrate', ...args, '--config', file('migrate.yaml', configText(url, broker()))]);
    const older = await stockmesh(['jobs', '--config', file('older.yaml', configText(empty.url, broker()))]);
    expect(older.code).toBe(1);
    expect(older.stderr).toMatch(oneLine('the database lacks .*"npx stockmesh migrate up"'));
    expect(JSON.parse((await run('status', '--json')).stdout)).toMatchObject({ current: false });
    expect(await run('up')).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining('applied ledger, market, portfolios') });
    expect(await run('status')).toMatchObject({ code: 0, stdout: expect.stringContaining('the schema is current') });
    const audited = await stockmesh([
      'audit',
      '--action',
      'schema.up',
      '--json',
      '--config',
      file('current.yaml', configText(empty.url, broker())),
    ]);
    expect(JSON.parse(audited.stdout).rows).toMatchObject([{ source: 'cli', details: expect.stringContaining('ledger, market') }]);
    const unasked = await run('down', '--steps', '99');
    expect(unasked).toMatchObject({ code: 2, stdout: '' });
    expect(unasked.stderr).toMatch(oneLine('all rows of .*jobs.* are lost; confirm it with --yes'));
    expect(JSON.parse((await run('status', '--json')).stdout)).toMatchObject({ current: true });
    const down = await run('down', '--steps', '99', '--yes', '--json');
    expect(down.code).toBe(0);
    expect(JSON.parse(down.stdout).taken_back.at(-1)).toBe('ledger');
  } finally {
    await empty.drop();
  }
});

test('a key gets an end and a new secret, and the audit log says who did it', async () => {
  const config = file('rotated.yaml', configText(database.url, broker()));
  const run = (...args: string[]) => stockmesh([...args, '--config', config]);
  const made = JSON.parse((await run('key', 'create', '--name', 'hook', '--scope', 'login', '--expires', '90d', '--json')).stdout);
  expect((Date.parse(made.expires_at) - Date.now()) / 86_400_000).toBeCloseTo(90, 1);
  const rotated = JSON.parse((await run('key', 'rotate', 'hook', '--overlap', '12h', '--json')).stdout);
  expect(rotated).toMatchObject({ id: made.id, name: 'hook', expires_at: made.expires_at });
  expect(rotated.key).toMatch(/^smk_[\w-]{43}$/);
  expect((Date.parse(rotated.old_until) - Date.now()) / 3_600_000).toBeCloseTo(12, 0);
  expect((await run('key', 'list')).stdout).toMatch(new RegExp(`^${made.id} +hook +login .*in force, old secret until`, 'm'));
  const { rows } = JSON.parse((await run('audit', '--target', `key:${made.id}`, '--since', '1h', '--json')).stdout);
  expect(rows.map(({ action, source }: Record<string, string>) => [action, source])).toEqual([
    ['key.rotate', 'cli'],
    ['key.create', 'cli'],
  ]);
  expect(rows[0].actor).toBe(`${userInfo().username}@${hostname()}`);
  expect((await run('audit', '--action', 'key.rotate')).stdout).toMatch(/key\.rotate +key:/);
  for (const secret of [made.key, rotated.key]) expect(JSON.stringify(rows)).not.toContain(secret);
});

test('a user has the quota of waiting jobs on the command line too', async () => {
  const config = file('quota.yaml', configText(database.url, broker()));
  const run = (...args: string[]) => stockmesh([...args, '--config', config]);
  await run('portfolio', 'import', file('quinn.csv', 'symbol,quantity,cost\nAAPL,1,1\nMSFT,1,1\n'), '--user', 'quinn');
  const fetch = (most: number) =>
    run(
      ...['fetch', '--portfolio', 'quinn', '--no-analysis', '--set', 'stock_jobs.data_fetch.batch_size=1'],
      ...['--set', `gateway.quotas.jobs_per_user=${most}`],
    );
  expect(await fetch(1)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('user quinn has 1 jobs waiting, or would have (gateway.quotas.jobs_per_user)'),
  });
  expect(await fetch(2)).toMatchObject({ code: 0, stderr: '' });
});

test.each([
  ['--expires', 'soon'],
  ['--expires', '90'],
  ['--expires', '2020-01-01T00:00:00Z'],
])('%s %s is no end of a key', async (option, value) => {
  const config = file('ends.yaml', configText(database.url, broker()));
  expect(await stockmesh(['key', 'create', '--name', 'x', '--scope', 'read', option, value, '--config', config])).toMatchObject({
    code: 2,
  });
});

test('a portfolio, a position and a job that are changed on the command line are in the audit log', async () => {
  const config = file('audited.yaml', configText(database.url, broker()));
  const run = (...args: string[]) => stockmesh([...args, '--config', config]);
  await run('portfolio', 'import', file('grace.csv', 'symbol,quantity,cost\nAAPL,1,1\nMSFT,,\n'), '--user', 'grace');
  const { position } = JSON.parse((await run('position', 'add', 'grace', 'AAPL450317C00200000', '--price', '4.5', '--json')).stdout);
  await run('position', 'remove', position.id);
  const { jobs } = JSON.parse((await run('fetch', 'NVDA', '--no-analysis', '--json')).stdout);
  for (const verb of ['cancel', 'retry', 'cancel']) await run(verb, jobs[0].id);
  await run('redrive', '--state', 'cancelled', '--symbol', 'NVDA');
  const { rows } = JSON.parse((await run('audit', '--limit', '7', '--json')).stdout);
  expect(rows.map(({ action, target, details }: Record<string, string>) => [action, target, details])).toEqual([
    ['job.redrive', null, 'cancelled NVDA: 1 started again'],
    ['job.cancel', `job:${jobs[0].id}`, null],
    ['job.retry', `job:${jobs[0].id}`, null],
    ['job.cancel', `job:${jobs[0].id}`, null],
    ['position.remove', `position:${position.id}`, null],
    ['position.add', `position:${position.id}`, 'AAPL450317C00200000 of user "grace"'],
    ['portfolio.import', 'user:grace', 'users: 1; 1 held, 1 watched'],
  ]);
});

test('a key is made, listed without its secret, and revoked', async () => {
  const config = file('keys.yaml', configText(database.url, broker()));
  const run = (...args: string[]) => stockmesh(['key', ...args, '--config', config]);
  const made = await run('create', '--name', 'dashboard', '--scope', 'read', '--scope', 'user:ada', '--json');
  const { id, key, signing_secret } = JSON.parse(made.stdout);
  expect(key).toMatch(/^smk_[\w-]{43}$/);
  // The secret of Standard Webhooks: base64 of 32 bytes, which are not those of the key's hash that is stored beside them.
  const secretOf = (text: string) => Buffer.from(text.slice('whsec_'.length), 'base64');
  expect(secretOf(signing_secret)).toHaveLength(32);
  expect(secretOf(signing_secret)).not.toEqual(createHash('sha256').update(key).digest());
  const renewed = JSON.parse((await run('webhook-secret', 'dashboard', '--overlap', '1h', '--json')).stdout);
  expect(renewed).toMatchObject({ id, name: 'dashboard', signing_secret: expect.stringMatching(/^whsec_/) });
  expect(renewed.signing_secret).not.toBe(signing_secret);
  const listed = await run('list');
  expect(listed.stdout).toMatch(new RegExp(`^${id} +dashboard +read, user:ada +.*never +in force`, 'm'));
  expect(listed.stdout).not.toContain(key);
  expect(await run('revoke', 'dashboard')).toMatchObject({ code: 0, stdout: `key ${id} (dashboard) is revoked\n` });
  const again = await run('revoke', 'dashboard');
  expect(again).toMatchObject({ code: 1, stderr: expect.stringMatching(oneLine('no valid key has the id or name "dashboard"')) });
  const wrong = await run('create', '--name', 'x', '--scope', 'write');
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringMatching(oneLine('there is no scope "write"; choose from read')) });
});

test('config check names file, line and the way out, and fails', async () => {
  const bad = file(
    'bad.yaml',
    'job_processor:\n  worker:\n    max_concurrent_job: 3\n  portfolio:\n    priority_factors: {user_activity: 0.9}\n',
  );
  const ran = await stockmesh(['config', 'check', bad]);
  expect(ran).toMatchObject({ code: 1, stdout: '' });
  expect(ran.stderr).toMatch(/bad\.yaml:3: unknown key "worker\.max_concurrent_job"; did you mean "worker\.max_concurrent_jobs"\?/);
  expect(ran.stderr).toMatch(/bad\.yaml:\d: portfolio\.priority_factors: .*add up to 1/);
  for (const line of ran.stderr.trimEnd().split('\n')) expect(line).toMatch(/^stockmesh: /);
});

test('config check accepts a right file', async () => {
  const good = file('good.yaml', 'job_processor:\n  worker:\n    max_concurrent_jobs: 3\n');
  expect(await stockmesh(['config', 'check', good])).toMatchObject({
    code: 0,
    stderr: '',
    stdout: expect.stringMatching(/^the configuration is right: environment development, \d+ keys? set/),
  });
});

test('config show gives the effective value and origin of each key, and hides secrets', async () => {
  const own = file('own.yaml', 'job_processor:\n  worker:\n    max_concurrent_jobs: 3\n');
  const table = await stockmesh(['config', 'show', 'worker', '--config', own, '--set', 'worker.poll_interval=7']);
  expect(table).toMatchObject({ code: 0, stderr: 'environment development\n' });
  expect(table.stdout).toMatch(/^worker\.max_concurrent_jobs +3 +\S*own\.yaml:3$/m);
  expect(table.stdout).toMatch(/^worker\.poll_interval +7 +option --set worker\.poll_interval$/m);
  const json = await stockmeshProcess(['config', 'show', '--json'], { env: { STOCKMESH_DATABASE_URL: 'mysql://u:verysecret@h/d' } });
  expect(json.stdout).not.toContain('verysecret');
  expect(JSON.parse(json.stdout).keys).toContainEqual({ key: 'database.url', value: '•••', origin: 'environment STOCKMESH_DATABASE_URL' });
});

test('config show takes a section with or without its dot, a whole key, and no part of a name', async () => {
  const keys = async (prefix: string) =>
    JSON.parse((await stockmesh(['config', 'show', prefix, '--json'])).stdout || '{"keys": []}').keys.map(
      ({ key }: { key: string }) => key,
    );
  const section = await keys('worker');
  expect(section).toContain('worker.poll_interval');
  expect(section.every((key: string) => key.startsWith('worker.'))).toBe(true);
  expect(await keys('worker.')).toEqual(section);
  expect(await keys('worker.poll_interval')).toEqual(['worker.poll_interval']);
  expect(await keys('work')).toEqual([]);
});

test('config check counts the keys that are set beside the defaults', async () => {
  const count = async (...set: string[]) => Number(/, (\d+) keys? set/.exec((await stockmesh(['config', 'check', ...set])).stdout)?.[1]);
  expect((await count('--set', 'worker.poll_interval=7')) - (await count())).toBe(1);
});

test('several configuration files may stand before the command', async () => {
  const first = file('first.yaml', 'job_processor: {worker: {max_concurrent_jobs: 3}}\n');
  const second = file('second.yaml', 'job_processor: {worker: {max_concurrent_jobs: 4}}\n');
  const ran = await stockmesh(['--config', first, '--config', second, 'config', 'show', 'worker.max_concurrent_jobs', '--json']);
  expect(JSON.parse(ran.stdout).keys[0].value).toBe(4);
});

test('asyncapi prints the document that the repository keeps', async () => {
  const kept = readFileSync(new URL('../../asyncapi.yaml', import.meta.url), 'utf8');
  expect(await stockmesh(['asyncapi'])).toMatchObject({ code: 0, stderr: '', stdout: kept });
});

test('colours are absent from a pipe, and present when asked for', async () => {
  const config = file('colour.yaml', configText(database.url, broker()));
  const plain = await stockmeshProcess(['stats', '--config', config]);
  expect(plain.stdout).not.toContain('\x1b');
  const forced = await stockmeshProcess(['stats', '--config', config], { env: { FORCE_COLOR: '1' } });
  expect(forced.stdout).toContain('\x1b[1mQUEUE');
});

test('--help names every command', async () => {
  const { stdout, code } = await stockmesh(['--help']);
  expect(code).toBe(0);
  for (const name of [
    'up',
    'service',
    'login',
    'fetch',
    'backfill',
    'rank',
    'jobs',
    'job',
    'cancel',
    'retry',
    'redrive',
    'portfolio',
    'symbol',
    'stats',
    'top',
    'migrate',
    'config',
    'key',
    'audit',
    'asyncapi',
  ])
    expect(stdout).toMatch(new RegExp(`^  ${name}\\b`, 'm'));
});
