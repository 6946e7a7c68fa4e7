/** Jobs that are changed by hand, and requests that nobody has taken yet. */
import { afterEach, expect, test } from 'vitest';
import { idToBytes } from '../../../services/ledger/id.ts';
import { freePort } from '../../../services/platform/machine/ports.ts';
import { STATE_TABLES, setJobs } from '../../support/job-rows.ts';
import { addJob, ago, overDatabase } from '../over-database.ts';

const { db, run, json } = await overDatabase({ broker: true });
/** The same while the broker is away. */
const away = async (...args: string[]) => run(...args, '--set', `queue.mqtt.url=mqtt://127.0.0.1:${await freePort()}`);
afterEach(async () => {
  for (const table of [
    'jobs',
    ...STATE_TABLES,
    'job_attempts',
    'job_dependencies',
    'job_subscribers',
    'holdings',
    'logins',
    'user_portfolio_priority',
    'symbols',
  ])
    await db.run(`DELETE FROM ${table}`);
});
const failed = (symbol: string, changes: object = {}) =>
  addJob(db, { ...{ symbol, state: 'failed', ended: ago(5), due: ago(5) }, result: { code: 'x', reason: 'no source' }, ...changes });

test('a job that runs is cancelled: its worker is told, and what waited for it is named', async () => {
  const id = await addJob(db, { state: 'running', worker: 'w1', attempt: 1, started: ago(3) });
  const dependent = await addJob(db, { type: 'backfill', state: 'blocked', blockedOn: 'dependency' });
  await db.run('INSERT INTO job_dependencies (job_id, needs_id) VALUES (?, ?)', [idToBytes(dependent), idToBytes(id)]);
  await setJobs(db, { has_dependents: 1 }, 'id = ?', [idToBytes(id)]);
  expect(await run('cancel', id)).toEqual({
    code: 0,
    stderr: '',
    stdout: `job ${id} is cancelled; w1, which runs it, was told\nbackfill ${dependent} is cancelled because of it\n`,
  });
  const again = await run('cancel', id);
  expect(again).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('has ended already (cancelled)') });
});

test('while the broker is away the workers find by themselves what was changed', async () => {
  const id = await addJob(db, { state: 'running', worker: 'w1', attempt: 1, started: ago(3) });
  await failed('IBM');
  const [cancelled, redriven] = [await away('cancel', id), await away('redrive')];
  expect(cancelled.stdout).toBe(`job ${id} is cancelled; w1, which runs it, sees it at its next heartbeat\n`);
  expect(redriven.stdout).toBe(
    '1 job starts again (the broker cannot be reached: the workers find it the next time they poll the database)\n',
  );
});

test('a job that waits is cancelled without a word of a worker, and as a document', async () => {
  const id = await addJob(db);
  expect((await run('cancel', id)).stdout).toBe(`job ${id} is cancelled\n`);
  const other = await addJob(db, { symbol: 'IBM' });
  expect(await json('cancel', other)).toEqual({
    ok: true,
    announced: true,
    changes: [{ id: other, type: 'fetch', symbol: 'IBM', state: 'cancelled', attempt: 0, worker: null, reason: 'cancelled by hand' }],
  });
});

test('a failed job starts again', async () => {
  const id = await failed('AAPL');
  expect((await run('retry', id)).stdout).toBe(`job ${id} is ready again; "npx stockmesh job ${id}" shows it\n`);
  expect(await json('job', id)).toMatchObject({ state: 'ready' });
});

test('all failed jobs start again, those of a type or symbol alone where one is named', async () => {
  await failed('AAPL');
  await failed('IBM');
  await failed('IBM', { type: 'backfill' });
  expect((await run('redrive', '--symbol', 'ibm', '--type', 'backfill')).stdout).toBe(`1 job starts again\n`);
  expect(await json('redrive', '--symbol', 'IBM')).toMatchObject({
    ok: true,
    announced: true,
    redriven: [expect.any(String)],
    superseded: [],
  });
  expect((await run('redrive')).stdout).toBe(`1 job starts again\n`);
  expect((await run('redrive')).stdout).toBe('no job is failed: nothing to do\n');
  expect((await run('redrive', '--state', 'completed_with_errors')).stdout).toBe('no job is completed with errors: nothing to do\n');
});

test('a failed job whose work another one does already is left, and that is said', async () => {
  for (const symbol of ['AAPL', 'IBM']) {
    const id = await failed(symbol);
    const live = await addJob(db, { symbol });
    await setJobs(db, { dedupe_key: `fetch:${symbol}` }, 'id IN (?)', [[idToBytes(id), idToBytes(live)]]);
  }
  expect((await run('redrive', '--symbol', 'IBM')).stdout).toBe(
    '0 jobs start again\n1 job was left as it is: another live job does the same work\n',
  );
  expect((await run('redrive')).stdout).toContain('2 jobs were left as they are: another live job does the same work\n');
});

test('a second login shares the jobs of the first, and says so', async () => {
  await db.run(
    "INSERT INTO holdings (user_id, symbol, quantity, imported_at) VALUES ('carol', 'AAPL', 1, NOW()), ('dave', 'AAPL', 1, NOW()), ('dave', 'IBM', 1, NOW())",
  );
  expect(await json('login', 'carol')).toMatchObject({
    user: 'carol',
    ok: true,
    announced: true,
    total: 1,
    queued: 1,
    fresh: 0,
    unknown: 0,
  });
  const ran = await run('login', 'dave', '--wait', '--timeout', '1');
  expect(ran.code).toBe(1);
  expect(ran.stderr).toContain('2 of 2 symbols queued, 0 fresh, 1 shared with earlier requests\n');
  expect(ran.stderr).toMatch(/stockmesh: 4 jobs have not ended after 1 s and continue: /);
  const document = await json('login', 'dave', '--wait', '--timeout', '1');
  expect(document).toMatchObject({ user: 'dave', ok: false, total: 2, queued: 2, joined: 2, skipped: [], refused: [] });
  expect(document.jobs).toHaveLength(4);
});

test('a login whose bars are fresh shares the analysis alone', async () => {
  const today = new Date().toISOString().slice(0, 10);
  await db.run("INSERT INTO symbols (symbol, newest_bar, as_of, checked_at, close, source) VALUES ('BTC-USD', ?, ?, ?, 1, 'lean')", [
    today,
    new Date(),
    new Date(),
  ]);
  await db.run(
    "INSERT INTO holdings (user_id, symbol, quantity, imported_at) VALUES ('carol', 'BTC-USD', 1, NOW()), ('dave', 'BTC-USD', 1, NOW())",
  );
  expect(await json('login', 'carol')).toMatchObject({ queued: 1 });
  const document = await json('login', 'dave', '--wait', '--timeout', '1');
  expect(document).toMatchObject({ queued: 1, joined: 1 });
  expect(document.jobs.map(({ type }: { type: string }) => type)).toEqual(['analysis']);
});

test('requests are listed with what became of them', async () => {
  const row = (text: string, symbol: string) =>
    text
      .split('\n')
      .filter((line) => line.includes(symbol))
      .map((line) => line.split(/ {2,}/).slice(1));
  const first = (await run('fetch', 'AAPL', '--no-analysis')).stdout;
  expect(first.split('\n')[0]!.split(/ {2,}/)).toEqual(['ID', 'SYMBOL', 'TYPE', 'PRIORITY', 'QUEUE', 'OUTCOME']);
  expect(row(first, 'AAPL')).toEqual([['AAPL', 'fetch', expect.stringMatching(/^\d+$/), 'foreground', 'queued']]);
  expect(row((await run('fetch', 'AAPL', '--no-analysis')).stdout, 'AAPL')).toEqual([
    ['AAPL', 'fetch', expect.any(String), 'foreground', 'joined a ready job'],
  ]);
});
