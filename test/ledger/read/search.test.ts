/** Searching the jobs. The expected rows are those that a plain filter over all jobs gives, in the order that the name of the sort says. */
import mysql from 'mysql2/promise';
import { beforeEach, describe, expect, test } from 'vitest';
import { QUEUES } from '../../../services/ledger/job.ts';
import { type JobSummary, listJobs, readJob } from '../../../services/ledger/read/jobs.ts';
import { JOB_SORTS, type JobSearch, type JobSort } from '../../../services/ledger/read/lanes.ts';
import { countJobs, groupByCode, searchJobs } from '../../../services/ledger/read/search.ts';
import { fail } from '../../../services/ledger/run/complete.ts';
import type { Database } from '../../../services/platform/database/database.ts';
import { PermanentError } from '../../../services/platform/errors.ts';
import { END_STATES, LIVE_STATES } from '../../../services/platform/job-states.ts';
import { EXPLAIN } from '../../support/database.ts';
import { ledgerFixture, watched } from '../fixture.ts';

const on = ledgerFixture();

/** Jobs in all states, of two types, three users and four symbols; each ended at a moment of its own. */
async function fill(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    await on.add(
      ...Array.from({ length: 12 }, (_, index) => ({
        type: index % 3 === 0 ? 'analysis' : 'fetch',
        symbol: `S${index % 4}`,
        level: 1 + ((index + round) % 10),
        score: (index % 5) / 5,
        user: `user-${round}`,
      })),
    );
    on.clock.advance({ seconds: 10 });
  }
  await on.add(
    ...Array.from({ length: 3 }, (_, index) => ({ symbol: 'S0', level: 2, runAt: new Date(Date.parse('2026-06-02T15:00:00Z') + index) })),
  );
  for (const [index, job] of (await on.take('worker-7', 20)).entries()) {
    on.clock.advance({ seconds: 1 });
    if (index % 4 === 0) await on.done(job, 'worker-7');
    else if (index % 4 < 3) {
      const [code, reason] =
        index % 8 < 4 ? ['symbol.unknown', `no source knows "${job.symbol}" 100%`] : ['source.refused', 'The Source refused'];
      await fail(on.ledger(), 'worker-7', [{ job, error: new PermanentError(code as string, reason as string) }]);
    }
  }
}

const all = async (): Promise<JobSummary[]> => listJobs(on.db, { limit: 1_000 });
const matches =
  ({ states, queue, type, symbol, user, worker, code, reason }: JobSearch) =>
  (job: JobSummary): boolean =>
    (states === undefined || states.includes(job.state)) &&
    (queue === undefined || job.queue === queue) &&
    (type === undefined || job.type === type) &&
    (symbol === undefined || job.symbol === symbol) &&
    (user === undefined || job.user === user) &&
    (worker === undefined || job.worker === worker) &&
    (code === undefined || job.code === code) &&
    (reason === undefined || (job.reason ?? '').toLowerCase().includes(reason.toLowerCase()));

const byId = (a: JobSummary, b: JobSummary) => (a.id < b.id ? -1 : 1);
const ORDERS: Record<JobSort, (a: JobSummary, b: JobSummary) => number> = {
  oldest: byId,
  newest: (a, b) => byId(b, a),
  urgent: (a, b) => QUEUES.indexOf(a.queue) - QUEUES.indexOf(b.queue) || a.priority - b.priority || b.score - a.score || byId(a, b),
  ended: (a, b) => b.ended_at!.getTime() - a.ended_at!.getTime() || byId(b, a),
};
const possible = (sort: JobSort): readonly string[] =>
  sort === 'urgent' ? LIVE_STATES : sort === 'ended' ? END_STATES : [...LIVE_STATES, ...END_STATES];

async function pages(search: JobSearch, sort: JobSort, limit: number, mostLookedAt?: number): Promise<string[]> {
  const found: string[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await searchJobs(on.db, search, { sort, cursor, limit, ...(mostLookedAt === undefined ? {} : { mostLookedAt }) });
    expect(page.jobs.length).toBeLessThanOrEqual(limit);
    found.push(...page.jobs.map(({ id }) => id));
    if (page.next === null) return found;
    cursor = page.next;
  }
}

const SEARCHES: JobSearch[] = [
  {},
  { type: 'analysis' },
  { queue: 'background_fetch' },
  { symbol: 'S0' },
  { user: 'user-1' },
  { user: 'user-1', symbol: 'S1' },
  { worker: 'worker-7' },
  { symbol: 'S2', type: 'fetch' },
];

describe.each(JOB_SORTS)('in the order %s', (sort) => {
  beforeEach(fill);

  test.each(SEARCHES)('%j finds the same jobs page by page as at once, each once', async (search) => {
    const expected = (await all())
      .filter(matches(search))
      .filter(({ state }) => possible(sort).includes(state))
      .sort(ORDERS[sort])
      .map(({ id }) => id);
    expect(await pages(search, sort, 100)).toEqual(expected);
    expect(await pages(search, sort, 4)).toEqual(expected);
    // Each page looks at five jobs: some pages are short, none is left out.
    expect(await pages(search, sort, 4, 5)).toEqual(expected);
  });
});

describe('finds', () => {
  beforeEach(fill);

  test.each<JobSearch>([
    { states: ['failed'] },
    { states: ['failed', 'completed'] },
    { states: ['ready', 'running', 'failed'] },
    { states: ['failed'], code: 'symbol.unknown' },
    { reason: 'SOURCE' },
    // LIKE knows these as signs.
    { reason: '100%' },
    { reason: '%' },
    { reason: '_' },
    { states: ['failed'], type: 'fetch', reason: '"s1"' },
  ])('%j', async (search) => {
    const expected = (await all()).filter(matches(search)).map(({ id }) => id);
    expect(await pages(search, 'newest', 100)).toEqual(expected);
    const states = [...new Set((await all()).map(({ state }) => state))];
    const { counts, atLeast } = await countJobs(on.db, search);
    for (const state of search.states ?? states)
      expect([state, counts[state]]).toEqual([state, (await all()).filter(matches(search)).filter((job) => job.state === state).length]);
    expect(atLeast).toEqual([]);
  });

  test('those of an age', async () => {
    // The moments stand in the ids, which ascend through all tests of this process.
    on.clock.advance({ hours: 24 });
    const ids: string[] = [];
    for (let index = 0; index < 4; index++) {
      ids.push(...(await on.add({})));
      on.clock.advance({ seconds: 10 });
    }
    const at = (seconds: number) => new Date(on.clock.now().epochMilliseconds - 40_000 + seconds * 1000);
    expect(await pages({ enqueuedAfter: at(10), enqueuedBefore: at(30) }, 'newest', 5)).toEqual([ids[2], ids[1]]);
    expect(await pages({ enqueuedAfter: at(10), type: 'fetch' }, 'urgent', 1)).toEqual(ids.slice(1));
  });
});

test('a sort that some of the states do not have, and a cursor of another sort, are refused by name', async () => {
  const search = (states: JobSearch['states'], sort: JobSort, cursor?: string) => searchJobs(on.db, { states }, { sort, cursor, limit: 1 });
  await expect(search(['failed'], 'urgent')).rejects.toMatchObject({ code: 'jobs.bad_sort', message: expect.stringContaining('failed') });
  await expect(search(['ready'], 'ended')).rejects.toMatchObject({ code: 'jobs.bad_sort' });
  await expect(search(undefined, 'ended', '01932c07-5f2a-7000-8a3b-0123456789ab')).rejects.toMatchObject({ code: 'jobs.bad_cursor' });
});

test('counts of one user and of one symbol are of all their states', async () => {
  await fill();
  for (const search of [{ user: 'user-1' }, { symbol: 'S1' }, { symbol: 'S1', user: 'user-1' }] satisfies JobSearch[]) {
    const { counts } = await countJobs(on.db, search);
    const expected = (await all()).filter(matches(search));
    expect(Object.values(counts).reduce((sum, one) => sum + one, 0)).toBe(expected.length);
    expect(counts.failed).toBe(expected.filter(({ state }) => state === 'failed').length);
  }
});

test('failures are grouped by their code, with the reason of the newest', async () => {
  await fill();
  const failed = (await all()).filter(({ state }) => state === 'failed');
  const groups = await groupByCode(on.db, {});
  for (const { code, jobs, newest_id, reason } of groups) {
    const own = failed.filter((job) => job.code === code);
    expect([code, jobs, newest_id, reason]).toEqual([code, own.length, own[0]!.id, own[0]!.reason]);
  }
  expect(groups.map(({ code }) => code).toSorted()).toEqual(['source.refused', 'symbol.unknown']);
  expect(groups[0]!.jobs).toBeGreaterThanOrEqual(groups[1]!.jobs);
  expect(await groupByCode(on.db, { user: 'user-1', states: ['ready', 'completed'] })).toEqual([]);
  expect((await groupByCode(on.db, { symbol: 'S1', states: ['failed'] })).map(({ jobs }) => jobs).reduce((a, b) => a + b)).toBe(
    failed.filter(({ symbol }) => symbol === 'S1').length,
  );
});

test('every search walks an index, and sorts nothing but running jobs and those of one user or symbol', async () => {
  await fill();
  // Who explains what a view reads must be allowed to see its text.
  const root = await mysql.createConnection(on.database.root);
  const plans: { sql: string; sorts: boolean; reads: string[] }[] = [];
  const db = watched(on.db, async ({ sql, params }) => {
    if (!/ORDER BY/.test(sql) || /FROM (running|job_states)/.test(sql)) return;
    const [rows] = await root.query<mysql.RowDataPacket[]>(`${EXPLAIN} ${sql}`, [...(params ?? [])]);
    plans.push({ sql, sorts: rows.some(({ Extra }) => /filesort/.test(Extra ?? '')), reads: rows.map(({ key }) => key ?? 'none') });
  }) as Database;
  for (const sort of JOB_SORTS) for (const search of [{}, { type: 'fetch' }]) await searchJobs(db, search, { sort, limit: 5 });
  await root.end();
  expect(plans.length).toBeGreaterThan(10);
  expect(plans.filter(({ sorts, reads }) => sorts || reads.includes('none'))).toEqual([]);
});

test('the jobs that wait for one, and the attempt that completed it, stand with it', async () => {
  const [fetch, analysis] = await on.add({ dedupeKey: 'fetch:AAPL' }, { type: 'analysis', after: ['fetch:AAPL'] });
  const [job] = await on.take();
  await on.done(job!);
  const found = await readJob(on.db, fetch!);
  expect(found).toMatchObject({
    dependents: [{ id: analysis, type: 'analysis', symbol: 'AAPL', state: 'ready', is_part: false }],
    attempts: [{ attempt: 1, worker: 'worker-1', outcome: 'completed', code: null }],
  });
  expect((await readJob(on.db, analysis!))?.needs).toMatchObject([{ id: fetch, type: 'fetch', state: 'completed' }]);
});
