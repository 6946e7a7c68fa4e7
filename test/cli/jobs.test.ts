/** What `jobs` and `job` show of rows in the ledger, word by word. */
import { afterEach, describe, expect, test } from 'vitest';
import { idToBytes } from '../../services/ledger/id.ts';
import { STATE_TABLES } from '../support/job-rows.ts';
import { addJob, ago, type JobRow, overDatabase } from './over-database.ts';

const { db, run, json } = await overDatabase();
afterEach(async () => {
  for (const table of ['jobs', ...STATE_TABLES, 'job_attempts', 'job_subscribers', 'job_dependencies', 'job_items'])
    await db.run(`DELETE FROM ${table}`);
});

/** The cells of each line of a table. */
const cells = (text: string): string[][] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ {2,}/));
/** The row of a table as an object of its titles. */
async function listed(...filter: string[]): Promise<Record<string, string>[]> {
  const [titles, ...rows] = cells((await run('jobs', ...filter)).stdout);
  return rows.map((row) => Object.fromEntries(row.map((cell, index) => [titles![index], cell])));
}

describe('the list of jobs', () => {
  test('has what is known of a job that runs, and what it took of one that has ended', async () => {
    const running = await addJob(db, {
      ...{ state: 'running', level: 2, attempt: 2, user: 'alice', worker: 'worker-1', enqueued: ago(250), started: ago(5) },
    });
    const ended = await addJob(db, {
      ...{ type: 'batch_fetch', symbol: null, state: 'completed', attempt: 1, enqueued: ago(400), queue: 'background_fetch', level: 6 },
      ...{ started: new Date(1_000_000), ended: new Date(1_002_400), user: 'bob', worker: 'w2' },
    });
    const [head, ...rows] = (await run('jobs')).stdout.trimEnd().split('\n');
    expect(head).toMatch(/^ID +STATE +TYPE +SYMBOL +PRI +TRY +AGE +TOOK +USER +WORKER +QUEUE$/);
    expect(rows[0]).toMatch(new RegExp(`^${running}  running +fetch +AAPL +2  2/4  4 min +–  alice  worker-1  foreground$`));
    expect(rows[1]).toMatch(new RegExp(`^${ended}  completed +batch_fetch  – +6  1/4  6 min  2.4 s  bob +w2 +background_fetch$`));
  });

  test.each<[string, JobRow, string]>([
    ['waits for its next try', { state: 'scheduled', due: new Date(Date.now() + 7_100_000) }, 'next try in 118 min'],
    ['waits for a slot', { state: 'blocked', blockedOn: 'slot' }, 'waits for a slot of its user'],
    ['waits for another job', { state: 'blocked', blockedOn: 'dependency' }, 'waits for another job'],
    ['failed', { state: 'failed', ended: ago(1), result: { reason: 'no source knows it' } }, 'no source knows it'],
  ])('says why one %s', async (_, row, reason) => {
    await addJob(db, row);
    expect((await listed())[0]).toMatchObject({ REASON: reason });
  });

  test('says when the next try is, and what the last one met', async () => {
    const id = await addJob(db, { state: 'scheduled', attempt: 1, due: new Date(Date.now() - 5_000) });
    await db.run("INSERT INTO job_attempts (job_id, attempt, ended_at, outcome, reason) VALUES (?, 1, ?, 'retried', 'HTTP 503')", [
      idToBytes(id),
      ago(10),
    ]);
    expect((await listed())[0]).toMatchObject({ REASON: 'next try in 0 ms: HTTP 503' });
  });

  test('has no column that is empty in all rows', async () => {
    await addJob(db);
    expect(cells((await run('jobs')).stdout)[0]).toEqual(['ID', 'STATE', 'TYPE', 'SYMBOL', 'PRI', 'TRY', 'AGE', 'QUEUE']);
  });

  test('of more than the limit ends with the way to the next page, and a last page without one', async () => {
    const ids: string[] = [];
    for (const seconds of [500, 400, 300]) ids.unshift(await addJob(db, { enqueued: ago(seconds) }));
    const first = await run('jobs', '--limit', '2');
    expect(first.stdout.split('\n').slice(-3)).toEqual(['', `older ones: --before ${ids[1]}`, '']);
    expect((await listed('--limit', '3')).map(({ ID }) => ID)).toEqual(ids);
    expect((await run('jobs', '--limit', '3')).stdout).not.toContain('older ones');
    expect(await json('jobs', '--limit', '3')).toMatchObject({ next: null });
    expect(await json('jobs', '--limit', '2')).toMatchObject({ next: ids[1] });
    expect((await listed('--limit', '2', '--before', ids[1]!)).map(({ ID }) => ID)).toEqual([ids[2]]);
  });

  test('without any says how to make some', async () => {
    expect(await run('jobs')).toMatchObject({
      code: 0,
      stdout: 'no such jobs; "npx stockmesh login <user>" or "npx stockmesh fetch <symbol>" makes some\n',
    });
  });

  test('takes each filter alone', async () => {
    const wanted = await addJob(db, {
      ...{ type: 'backfill', symbol: 'IBM', state: 'failed', queue: 'background_fetch', level: 6 },
      ended: ago(1),
    });
    const other = await addJob(db, { user: 'alice' });
    await db.run('INSERT INTO job_subscribers (job_id, user_id) VALUES (?, ?)', [idToBytes(wanted), 'bob']);
    await db.run('INSERT INTO job_subscribers (job_id, user_id) VALUES (?, ?)', [idToBytes(other), 'alice']);
    for (const filter of [
      ['--state', 'failed'],
      ['--queue', 'background_fetch'],
      ['--type', 'backfill'],
      ['--symbol', 'ibm'],
      ['--user', 'bob'],
    ])
      expect(
        (await listed(...filter)).map(({ ID }) => ID),
        filter.join(' '),
      ).toEqual([wanted]);
  });
});

describe('one job', () => {
  const fieldsOf = (text: string): Record<string, string> =>
    Object.fromEntries([...text.matchAll(/^(\S+(?: for)?) {2,}(.*)$/gm)].map(([, name, value]) => [name, value]));

  test('that failed shows all that is known of it', async () => {
    const id = await addJob(db, {
      ...{ state: 'failed', level: 2, score: 0.25, attempt: 3, user: 'alice', worker: 'worker-1', enqueued: ago(250) },
      ...{ started: ago(130), ended: ago(125.6), payload: { symbol: 'AAPL' } },
      result: { code: 'source.all_failed', reason: 'no source\nanswers', result: { bars: 3 } },
    });
    for (const user of ['alice', 'bob']) await db.run('INSERT INTO job_subscribers (job_id, user_id) VALUES (?, ?)', [idToBytes(id), user]);
    const { code, stdout } = await run('job', id);
    expect(code).toBe(0);
    const shown = fieldsOf(stdout);
    const stampOf = (seconds: number) => `${ago(seconds).toISOString().slice(0, 16).replace('T', ' ')}`;
    expect(shown).toMatchObject({
      ...{ job: id, type: 'fetch', symbol: 'AAPL', state: 'failed', reason: 'no source answers (source.all_failed)' },
      ...{ queue: 'foreground, priority 2 of 10, score 0.25', attempt: '3 of 4', worker: 'worker-1' },
      ...{ 'asked for': 'by user_login, first by alice', subscribers: 'alice, bob', payload: '{"symbol":"AAPL"}', result: '{"bars":3}' },
      ...{ enqueued: expect.stringMatching(/ UTC, 4 min ago$/), started: expect.stringMatching(/ UTC, 2 min ago$/) },
      ...{ ended: expect.stringMatching(/ UTC, 2 min ago$/), took: '4.4 s' },
    });
    expect(shown.enqueued).toContain(stampOf(250).slice(0, 13));
    expect(stdout).toContain('\nWHY\na test asked\n');
    expect(stdout).not.toMatch(/NEEDS|ATTEMPT|ITEM|^waits/m);
  });

  test('that waits shows for what, and leaves out what is not known yet', async () => {
    const need = await addJob(db, { state: 'running', worker: 'w' });
    const id = await addJob(db, { type: 'analysis', symbol: null, state: 'blocked', blockedOn: 'dependency' });
    await db.run('INSERT INTO job_dependencies (job_id, needs_id) VALUES (?, ?)', [idToBytes(id), idToBytes(need)]);
    const { stdout } = await run('job', id);
    expect(fieldsOf(stdout)).toMatchObject({ waits: 'waits for another job', 'asked for': 'by user_login' });
    expect(stdout).toMatch(new RegExp(`\nNEEDS +STATE\n${need}  running\n$`));
    for (const name of ['symbol', 'reason', 'worker', 'subscribers', 'started', 'ended', 'took', 'result'])
      expect(fieldsOf(stdout), name).not.toHaveProperty(name);
  });

  test('shows its attempts that did not complete', async () => {
    const id = await addJob(db, { state: 'ready', attempt: 2 });
    await db.run('INSERT INTO job_attempts (job_id, attempt, worker_id, started_at, ended_at, outcome, code, reason) VALUES ?', [
      [
        [idToBytes(id), 1, 'w1', new Date(1_000_000), new Date(1_001_500), 'retried', 'source.network', 'fetch failed'],
        [idToBytes(id), 2, null, null, new Date(1_003_000), 'lease_lost', null, 'its worker died'],
      ],
    ]);
    const { stdout } = await run('job', id);
    const at = stdout.indexOf('ATTEMPT');
    expect(cells(stdout.slice(at).replaceAll(/^ +/gm, ''))).toEqual([
      ['ATTEMPT', 'OUTCOME', 'TOOK', 'WORKER', 'CODE', 'REASON'],
      ['1', 'retried', '1.5 s', 'w1', 'source.network', 'fetch failed'],
      ['2', 'lease_lost', '–', '–', '–', 'its worker died'],
    ]);
  });

  test('of many items lists fifty, counts the others, and each state that is there', async () => {
    const id = await addJob(db, { type: 'batch_fetch', symbol: null, state: 'completed_with_errors', ended: ago(1) });
    const items = Array.from({ length: 53 }, (_, index) => {
      const state = index === 0 ? 'failed' : index === 1 ? 'no_data' : 'done';
      return [idToBytes(id), `S${String(index).padStart(2, '0')}`, state, 1, index, state === 'failed' ? 'no source' : null, ago(1)];
    });
    await db.run('INSERT INTO job_items (job_id, item_key, state, attempts, row_count, reason, updated_at) VALUES ?', [items]);
    const { stdout } = await run('job', id);
    const lines = stdout.slice(stdout.indexOf('ITEM')).trimEnd().split('\n');
    expect(cells(lines[0]!)[0]).toEqual(['ITEM', 'STATE', 'ROWS', 'REASON']);
    expect(cells(lines[1]!)[0]).toEqual(['S00', 'failed', '0', 'no source']);
    expect(lines).toHaveLength(1 + 50 + 2);
    expect(lines.slice(-2)).toEqual(['… 3 more', '53 items: 51 done, 1 no data, 1 failed']);
    expect((await json('job', id)).item_list).toHaveLength(53);
    await db.run("DELETE FROM job_items WHERE item_key > 'S49'");
    const one = await addJob(db, { type: 'batch_fetch', symbol: null, state: 'completed', ended: ago(1) });
    await db.run("INSERT INTO job_items (job_id, item_key, state, updated_at) VALUES (?, 'ONLY', 'done', NOW())", [idToBytes(one)]);
    expect((await run('job', one)).stdout).toMatch(/\nONLY +done\n1 items: 1 done\n$/);
    expect((await run('job', id)).stdout).toMatch(/\nS49 +done[^\n]*\n50 items: 48 done, 1 no data, 1 failed\n$/);
  });
});
