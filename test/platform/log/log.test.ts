import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import mysql from 'mysql2';
import { expect, onTestFinished, test, vi } from 'vitest';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { componentLogger, createLogger, type LogOptions } from '../../../services/platform/log/log.ts';
import { rotatingFile } from '../../../services/platform/log/log-file.ts';

const { logging } = loadConfig({ env: {} }).config;

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'log-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

/** A logger whose terminal is an array of lines. */
function logger(options: Partial<LogOptions> = {}, isTTY = false) {
  const lines: string[] = [];
  const terminal = { isTTY, write: (text: string) => lines.push(text) };
  return { lines, log: createLogger({ ...logging, service: 'worker', instance: 'w1', terminal, ...options }) };
}

const linesOf = (path: string) => readFileSync(path, 'utf8').split('\n').slice(0, -1);

test('an event is one line of JSON with time, level, service, instance and its fields', () => {
  const { lines, log } = logger();
  log.info({ jobId: 'j1', symbol: 'AAPL', userId: 'u1' }, 'fetched\nand stored');
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(/^[^\n]*\n$/);
  expect(JSON.parse(lines[0]!)).toEqual({
    level: 'info',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    service: 'worker',
    instance: 'w1',
    jobId: 'j1',
    symbol: 'AAPL',
    userId: 'u1',
    msg: 'fetched\nand stored',
  });
});

test('a line separator within a text is escaped, so that a line is one line to every reader', () => {
  const { lines, log } = logger();
  log.info({ userId: 'a\u2028b' }, 'refused c\u2029d');
  expect(lines[0]).toMatch(/^[^\n\u2028\u2029]*\n$/);
  expect(JSON.parse(lines[0]!)).toMatchObject({ userId: 'a\u2028b', msg: 'refused c\u2029d' });
});

test('an error has its stack and its cause', () => {
  const { lines, log } = logger();
  log.error({ error: new Error('outer', { cause: new Error('inner') }) }, 'failed');
  expect(JSON.parse(lines[0]!).error).toMatchObject({
    message: 'outer',
    stack: expect.stringContaining('log.test.ts'),
    cause: { message: 'inner' },
  });
});

test('lines are pretty on a terminal only, unless the format says otherwise', () => {
  const written = (format: LogOptions['format'], isTTY: boolean) => {
    const { lines, log } = logger({ format }, isTTY);
    log.info('hello');
    return lines[0]!;
  };
  expect(written('auto', true)).toMatch(/INFO.*hello/s);
  expect(written('auto', true)).not.toContain('{"');
  expect(written('auto', false)).toMatch(/^\{"level":"info"/);
  expect(written('json', true)).toMatch(/^\{"level":"info"/);
  expect(written('pretty', false)).toMatch(/INFO.*hello/s);
});

test('a terminal has colours, unless its user wants none', () => {
  const written = (isTTY: boolean, noColour: string) => {
    vi.stubEnv('NO_COLOR', noColour);
    onTestFinished(() => void vi.unstubAllEnvs());
    const { lines, log } = logger({ format: 'pretty' }, isTTY);
    log.info('hello');
    return lines[0]!.includes('\u001b[');
  };
  expect([written(true, ''), written(true, '1'), written(false, '')]).toEqual([true, false, false]);
});

test('a component has its own level, and hands it to its children', () => {
  const { lines, log } = logger({ component_logs: { ...logging.component_logs, mqtt: 'debug', fetcher: 'error' } });
  log.debug('no');
  componentLogger(log, 'fetcher').info('no');
  componentLogger(log.child({ jobId: 'j1' }), 'mqtt')
    .child({ topic: 't' })
    .debug('yes');
  componentLogger(log, 'portfolio').info('yes too');
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    expect.objectContaining({ component: 'mqtt', jobId: 'j1', topic: 't', msg: 'yes' }),
    expect.objectContaining({ component: 'portfolio', msg: 'yes too' }),
  ]);
});

test("a component's file takes its lines in place of the common file", () => {
  const dir = folder();
  const [file, mqtt] = [join(dir, 'logs/all.log'), join(dir, 'logs/mqtt.log')];
  const { lines, log } = logger({ file, component_logs: { ...logging.component_logs, mqtt } });
  log.info('one');
  componentLogger(log, 'mqtt').info('two');
  componentLogger(log, 'fetcher').info('three');
  expect(linesOf(file).map((line) => JSON.parse(line).msg)).toEqual(['one', 'three']);
  expect(linesOf(mqtt).map((line) => JSON.parse(line).msg)).toEqual(['two']);
  expect(lines).toHaveLength(3);
});

test('a file never outgrows its size, is set aside by number, and only so many are kept', () => {
  const file = join(folder(), 'app.log');
  const { log } = logger({ file, max_size: 2000, backup_count: 2 });
  for (let number = 1; number <= 100; number++) log.info({ number }, 'x'.repeat(100));
  expect(readdirSync(join(file, '..')).sort()).toEqual(['app.log', 'app.log.1', 'app.log.2']);
  const kept = [`${file}.2`, `${file}.1`, file].flatMap((path) => linesOf(path).map((line) => JSON.parse(line).number as number));
  expect(kept.at(-1)).toBe(100);
  expect(kept).toEqual(Array.from({ length: kept.length }, (_, index) => 101 - kept.length + index));
  for (const path of [file, `${file}.1`, `${file}.2`]) expect(statSync(path).size).toBeLessThanOrEqual(2000);
});

test('without backups a full file starts anew', () => {
  const file = join(folder(), 'app.log');
  const { log } = logger({ file, max_size: 2000, backup_count: 0 });
  for (let number = 1; number <= 30; number++) log.info({ number }, 'x'.repeat(100));
  expect(readdirSync(join(file, '..'))).toEqual(['app.log']);
  expect(JSON.parse(linesOf(file).at(-1)!).number).toBe(30);
});

test('a file that is there is continued, and one that another process set aside is followed', () => {
  const file = join(folder(), 'app.log');
  const options = { file, max_size: 2000, backup_count: 9 };
  const [one, other] = [logger(options).log, logger(options).log];
  for (let number = 1; number <= 30; number++) (number % 3 === 0 ? one : other).info({ number }, 'x'.repeat(100));
  const paths = readdirSync(join(file, '..')).map((name) => join(file, '..', name));
  const numbers = paths.flatMap((path) => linesOf(path).map((line) => JSON.parse(line).number as number)).sort((a, b) => a - b);
  expect(numbers).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
  for (const path of paths) expect(statSync(path).size).toBeLessThanOrEqual(2000);
});

test('a file that cannot be written stops nothing: each time it is said once, and the lines still reach the terminal', () => {
  const dir = join(folder(), 'logs');
  const file = join(dir, 'app.log');
  const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  onTestFinished(() => said.mockRestore());
  const { lines, log } = logger({ file, max_size: 2000 });
  log.info('before');
  for (const outage of ['first', 'second']) {
    // A file where its folder was: neither the file nor its folder can be made, whoever runs this.
    renameSync(dir, `${dir}-${outage}`);
    writeFileSync(dir, '');
    for (let number = 1; number <= 3; number++) log.info(`${outage} ${number}`);
    rmSync(dir);
    log.info(`after the ${outage}`);
  }
  expect(said.mock.calls.map(([text]) => text)).toEqual(
    Array.from({ length: 2 }, () =>
      expect.stringMatching(/^log file .*app\.log cannot be written \(E\w+: .*\); lines are lost until it can\n$/),
    ),
  );
  expect(lines.map((line) => JSON.parse(line).msg)).toEqual([
    'before',
    ...['first 1', 'first 2', 'first 3', 'after the first'],
    ...['second 1', 'second 2', 'second 3', 'after the second'],
  ]);
  expect(linesOf(file).map((line) => JSON.parse(line).msg)).toEqual(['after the second']);
});

test('the last lines of a process that exits at once, or is killed, are on standard output and in the file', async () => {
  const file = join(folder(), 'app.log');
  const script = `
    import { createLogger } from ${JSON.stringify(new URL('../../../services/platform/log/log.ts', import.meta.url).href)};
    const log = createLogger({ ...${JSON.stringify(logging)}, file: ${JSON.stringify(file)}, service: 's', instance: 'i' });
    for (let number = 1; number <= 1000; number++) log.info({ number }, 'x'.repeat(200));
    process.kill(process.pid, 'SIGKILL');
  `;
  const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { maxBuffer: 2 ** 24 });
  const { stdout, signal } = await run.then(
    () => expect.unreachable(),
    (error: { stdout: string; signal: string }) => error,
  );
  expect(signal).toBe('SIGKILL');
  expect(JSON.parse(stdout.trimEnd().split('\n').at(-1)!).number).toBe(1000);
  expect(JSON.parse(linesOf(file).at(-1)!).number).toBe(1000);
});

test('a process whose reader has gone goes on and ends by itself', async () => {
  const script = `
    import { createLogger } from ${JSON.stringify(new URL('../../../services/platform/log/log.ts', import.meta.url).href)};
    const log = createLogger({ ...${JSON.stringify(logging)}, service: 's', instance: 'i' });
    process.once('message', () => {
      for (let number = 1; number <= 100; number++) log.info({ number }, 'nobody reads it');
      process.send('written', () => process.exit(7));
    });
    process.send('ready');
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  await once(child, 'message');
  const gone = once(child.stdout!, 'close');
  child.stdout!.destroy();
  await gone;
  child.send('go on');
  expect(await once(child, 'exit')).toEqual([7, null]);
});

test('a log file is for its owner only, when it is new, was wider before, and when it is set aside', () => {
  const before = process.umask(0);
  onTestFinished(() => void process.umask(before));
  const home = folder();
  const path = join(home, 'logs', 'private.log');
  mkdirSync(dirname(path), { mode: 0o700 });
  for (const name of [path, `${path}.1`]) writeFileSync(name, 'earlier\n', { mode: 0o644 });
  const write = rotatingFile(path, 30, 2);
  for (const name of [path, `${path}.1`]) expect([name, statSync(name).mode & 0o777]).toEqual([name, 0o600]);
  for (let line = 0; line < 4; line++) write('a line of some twenty bytes\n');
  for (const name of [path, `${path}.1`, `${path}.2`]) expect([name, statSync(name).mode & 0o777]).toEqual([name, 0o600]);
  const fresh = join(home, 'fresh', 'new.log');
  rotatingFile(fresh, 30, 1)('first\n');
  expect([statSync(fresh).mode & 0o777, statSync(dirname(fresh)).mode & 0o777]).toEqual([0o600, 0o700]);
});

test('nothing secret is logged, wherever it stands', () => {
  const dir = folder();
  const { lines, log } = logger({ file: join(dir, 'app.log') });
  const secret = 'hun\\ter"2';
  log.info(
    { password: secret, api_key: secret, apiKey: secret, token: secret, authorization: secret, client_secret: secret, cookie: secret },
    'top',
  );
  log.info({ a: { b: [{ c: { d: { accessToken: secret, 'x-api-key': secret, Authorization: `Basic ${secret}` } } }] } }, 'deep');
  log.child({ password: secret }).info('child');
  log.info({ pin: { token: 12345678 } }, 'a number');
  log.info({ body: JSON.stringify({ user: 'u', password: secret, note: 'kept' }) }, 'JSON in a string');
  log.info('mysql://app:hunter2@db.example:3306/x and mqtts://app:p@hunter2@broker');
  log.info('GET https://example.test/query?function=DAILY&apikey=hunter2&symbol=AAPL');
  log.info('sent Authorization: Basic aHVudGVyMg== and Bearer hunter2hunter2');
  log.error(
    Object.assign(new Error('mysql://app:hunter2@db refused'), { config: { headers: { authorization: 'Bearer hunter2hunter2' } } }),
  );
  const everything = lines.join('') + readFileSync(join(dir, 'app.log'), 'utf8');
  for (const part of ['hunter2', 'hun\\', 'ter', '12345678', 'aHVudGVyMg']) expect(everything).not.toContain(part);
  const parsed = lines.map((line) => JSON.parse(line));
  expect(parsed[0]).toMatchObject({ password: '•••', api_key: '•••', token: '•••' });
  expect(parsed[4].body).toBe('{"user":"u","password":"•••","note":"kept"}');
  expect(parsed[5].msg).toBe('mysql://app:•••@db.example:3306/x and mqtts://app:•••@broker');
  expect(parsed[6].msg).toBe('GET https://example.test/query?function=DAILY&apikey=•••&symbol=AAPL');
});

test.each(["ALTER USER 'u'@'%' IDENTIFIED BY ?", "ALTER USER 'u' IDENTIFIED WITH mysql_native_password AS ? REQUIRE SSL"])(
  'a password in a statement that the database refused is blanked: %s',
  (text) => {
    for (const password of ['hunter2', "hunter2'hunter2", 'hunter2\\', 'hun"ter2\\\'x']) {
      const { lines, log } = logger();
      log.error(
        { error: Object.assign(new Error(`near ${mysql.format(text, [password])}`), { sql: mysql.format(text, [password]) }) },
        'x',
      );
      expect(JSON.parse(lines[0]!).error.sql).toBe(text.replace('?', "'•••'"));
      expect(lines[0]).not.toMatch(/hunter|ter2/);
    }
  },
);

test('a password in a statement that was cut is blanked to its end', () => {
  const { lines, log } = logger();
  log.error({ sql: "ALTER USER 'u' IDENTIFIED BY 'hunter2 hun", end: 1 }, "CREATE USER 'u' IDENTIFIED BY 'hunter2\\");
  expect(JSON.parse(lines[0]!)).toMatchObject({
    sql: "ALTER USER 'u' IDENTIFIED BY '•••'",
    end: 1,
    msg: "CREATE USER 'u' IDENTIFIED BY '•••'",
  });
});

// With a choice at each backslash these would take longer than the universe is old.
test('a text that begins like such a statement costs no time', () => {
  const { lines, log } = logger();
  for (const text of [`identified by '${'\\'.repeat(2_001)}`, `identified by password${' '.repeat(2_000)}`]) log.warn({ text }, 'refused');
  expect(lines).toHaveLength(2);
});

test.each([
  ['https://example.test/q?apikey=hunter2&symbol=AAPL', 'https://example.test/q?apikey=•••&symbol=AAPL'],
  ['https://example.test/q?symbol=AAPL&api_key=hunter2', 'https://example.test/q?symbol=AAPL&api_key=•••'],
  ['https://example.test/q?symbol=AAPL&api-key=hunter2 answered 401', 'https://example.test/q?symbol=AAPL&api-key=••• answered 401'],
  ['https://example.test/q?APIKEY=hunter2#top', 'https://example.test/q?APIKEY=•••#top'],
  ['https://example.test/q?x-access-token=hunter2&secret=hunter2', 'https://example.test/q?x-access-token=•••&secret=•••'],
  ['https://hunter2:hunter2@example.test/q', 'https://hunter2:•••@example.test/q'],
  ['https://example.test/q?key=rank%3AAAPL', 'https://example.test/q?key=rank%3AAAPL'],
])('a key in an address is blanked, in the message and in a field: %s', (address, shown) => {
  const { lines, log } = logger();
  log.info({ url: address, body: JSON.stringify({ url: address }) }, address);
  const { msg, url, body } = JSON.parse(lines[0]!);
  expect({ msg, url, body: JSON.parse(body) }).toEqual({ msg: shown, url: shown, body: { url: shown } });
});

test('what only looks like a secret stays', () => {
  const { lines, log } = logger();
  const fields = {
    tokens: 5,
    max_tokens: 100,
    password: null,
    key: 'rank:AAPL',
    url: 'http://127.0.0.1:8080/v1/jobs',
    basic: 'Basic technical analysis',
    at: 'a@b.example',
  };
  log.info(fields, 'the bearer of this');
  expect(JSON.parse(lines[0]!)).toMatchObject({ ...fields, msg: 'the bearer of this' });
});

test.each(['pretty', 'json'] as const)('in %s lines no text moves the cursor of a terminal or turns a line', (format) => {
  const { lines, log } = logger({ format });
  log.warn({ userId: 'a\u202eb\u009bc\u200bd' }, 'gone \x1b[2J and \x07');
  log.error({ err: new Error('x\x1b]0;title\x07') }, 'failed');
  expect(lines.join('')).toMatch(/^[\x20-\x7e\n]+$/);
  expect(lines[0]).toContain('\\u001b[2J');
  expect(lines.join('')).toContain('a\\u202eb\\u009bc\\u200bd');
});
