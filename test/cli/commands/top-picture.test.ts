/** `top` on a terminal, over stored rows and without a broker: one picture, line by line. */
import { EventEmitter } from 'node:events';
import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { STATE_TABLES } from '../../support/job-rows.ts';
import { addJob, ago, overDatabase } from '../over-database.ts';

const { db, here } = await overDatabase();
const { run } = await import('../../../services/cli/program.ts');

let written: string[];
let stdin: EventEmitter;
beforeEach(() => {
  written = [];
  stdin = Object.assign(new EventEmitter(), { isTTY: true, setRawMode: () => stdin, resume: () => stdin, pause: () => stdin });
  const out = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    written.push(String(text));
    return true;
  });
  const input = vi.spyOn(process, 'stdin', 'get').mockReturnValue(stdin as unknown as typeof process.stdin);
  vi.stubEnv('TERM', 'xterm');
  onTestFinished(() => {
    out.mockRestore();
    input.mockRestore();
    vi.unstubAllEnvs();
  });
});
afterEach(async () => {
  for (const table of ['jobs', ...STATE_TABLES, 'instances', 'alerts']) await db.run(`DELETE FROM ${table}`);
});

/** The first picture that matches, on a terminal of this size; `top` is ended with `key` and gives 0. */
async function picture(rows: number, columns: number, pattern: RegExp, key = 'q'): Promise<string[]> {
  const { isTTY, rows: before, columns: wide } = process.stdout;
  onTestFinished(() => void Object.assign(process.stdout, { isTTY, rows: before, columns: wide }));
  Object.assign(process.stdout, { isTTY: true, rows, columns });
  const ended = run(['node', 'stockmesh', 'top', ...here]);
  const plain = () => written.map(stripVTControlCharacters).findLast((text) => pattern.test(text));
  await expect.poll(plain, { timeout: 20_000, interval: 20 }).toBeDefined();
  stdin.emit('data', Buffer.from(key));
  expect(await ended).toBe(0);
  return plain()!.split('\r\n');
}

test('an idle mesh without workers', async () => {
  const lines = await picture(30, 100, /the broker cannot be reached/);
  expect(lines[0]).toMatch(/^stockmesh top {2}\d\d:\d\d:\d\d UTC {2}broker away: by polling, no feed$/);
  expect(lines.slice(1, 10)).toEqual([
    '',
    'QUEUE                READY  RUNNING  SCHEDULED  BLOCKED  OLDEST READY',
    ...['foreground         ', 'background_fetch   ', 'background_analysis'].map(
      (queue) => `${queue}      0        0          0        0             –`,
    ),
    'last minute: 0 in, 0 done, 0 failed   dead letter: 0   slots busy: 0 of 0',
    '',
    'no worker is alive',
    '',
  ]);
  expect(lines[10]).toMatch(/^the broker cannot be reached: /);
  expect(lines.at(-1)).toBe('q quits');
});

test('a busy mesh has its alerts and workers, and as many of these as half of the rest of the terminal holds', async () => {
  await db.run("INSERT INTO alerts (name, state, value, threshold, since, text) VALUES ('depth', 'raised', 9, 5, ?, 'too many')", [
    ago(125),
  ]);
  for (let worker = 0; worker < 9; worker++)
    await db.run('INSERT INTO instances (instance, service, session, capacity, running, started_at, heartbeat_at) VALUES (?)', [
      [`w${worker}`, 'worker', 's', 5, 0, ago(500), ago(2)],
    ]);
  await addJob(db, { state: 'running', worker: 'w0', started: ago(3) });
  await addJob(db, { state: 'failed', ended: ago(100), due: ago(100) });
  const lines = await picture(23, 90, /w0/, '\x03');
  const at = lines.findIndex((line) => line.startsWith('alert'));
  expect(lines[at]).toBe('alert depth for 2 min: too many');
  expect(lines[at - 2]).toBe('last minute: 0 in, 0 done, 0 failed   dead letter: 1   slots busy: 1 of 45');
  // 23 rows without 6 of the frame, 4 of the queues and 1 alert are 12: half of them for workers.
  expect(lines.slice(at + 1, at + 9).map((line) => line.trim().split(/ {2,}/)[1] ?? line.trim())).toEqual([
    'INSTANCE',
    'w0',
    'w1',
    'w2',
    'w3',
    'w4',
    'w5',
    '… 3 more',
  ]);
  expect(lines.length).toBeLessThanOrEqual(23);
});

test('a small terminal gets no more lines than it has, and two workers', async () => {
  for (const worker of ['w0', 'w1', 'w2'])
    await db.run('INSERT INTO instances (instance, service, session, capacity, running, started_at, heartbeat_at) VALUES (?)', [
      [worker, 'worker', 's', 5, 0, ago(500), ago(2)],
    ]);
  const lines = await picture(12, 40, /w1/, 'Q');
  expect(lines).toHaveLength(12);
  expect(lines.at(-1)).toBe('q quits');
  expect(lines.some((line) => line.includes('w2'))).toBe(false);
  for (const line of lines.slice(6)) expect(line.length).toBeLessThanOrEqual(40);
});

test.each<[string, () => void]>([
  ['the reader of its lines has gone', () => void process.stdout.emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))],
  ['it is told to stop', () => void process.emit('SIGTERM')],
  ['the terminal hangs up', () => void process.emit('SIGHUP')],
])('without a terminal a line is written at once, and it ends with 0 when %s', async (_, end) => {
  const listeners = () => ['SIGINT', 'SIGTERM', 'SIGHUP'].map((name) => process.listenerCount(name));
  const before = listeners();
  await addJob(db);
  const ended = run(['node', 'stockmesh', 'top', ...here]);
  await expect.poll(() => written.length, { interval: 20 }).toBe(1);
  expect(written[0]).toMatch(
    /^\d{4}-\d\d-\d\dT\S+Z {2}ready 1 {2}running 0 {2}scheduled 0 {2}blocked 0 {2}oldest 5 min {2}last minute: 0 in, 0 done, 0 failed {2}workers 0 \(0 of 0 slots busy\) {2}broker away: by polling\n$/,
  );
  end();
  expect(await ended).toBe(0);
  expect(listeners()).toEqual(before);
});
