import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { listJobs } from '../../services/ledger/read/jobs.ts';
import type { KeptDecision } from '../../services/logins/answer.ts';
import { readCommittedLogin } from '../../services/logins/commit.ts';
import { type Database, fromJson, openDatabase } from '../../services/platform/database/database.ts';
import { deleteJobs } from '../support/job-rows.ts';
import { type AdmissionOptions, admissionInto, withLimits } from './admission-fixture.ts';
import { countRows, everything, hold, ledgerFixture, makeFresh, NOW, symbolsOf } from './ledger-fixture.ts';

const fixture = ledgerFixture();

const admission = (options: AdmissionOptions = {}) => admissionInto(fixture, options);

test('a login queues what is stale, skips what is fresh, and says so with the reasons', async () => {
  const symbols = symbolsOf(12);
  await hold(fixture.db, { alice: symbols });
  await makeFresh(fixture.db, symbols.slice(3));
  const { admitLogin } = admission();
  const answer = await admitLogin({ userId: 'alice', at: NOW });
  expect(answer).toMatchObject({ user_id: 'alice', total: 12, queued: 3, fresh: 9, joined: 0, text: '3 of 12 symbols queued, 9 fresh' });
  expect(answer.jobs.map(({ symbol, type }) => `${type} ${symbol}`)).toEqual([
    'fetch AAA',
    'analysis AAA',
    'fetch AAB',
    'analysis AAB',
    'fetch AAC',
    'analysis AAC',
  ]);
  expect(answer.skipped).toHaveLength(9);
  expect(answer.skipped[0]).toEqual({
    symbol: 'AAD',
    reason:
      'price fresh: live bar 1 min old, threshold 5 min (market open); analysis fresh: analysis 1 min old, threshold 6 h (market open)',
  });
});

test('a login counts as fresh only what is: outdated and missing symbols are told apart, in the answer and in the row', async () => {
  await hold(fixture.db, { alice: ['FRESH', 'NONE', 'OLD'] });
  await makeFresh(fixture.db, ['FRESH', 'NONE', 'OLD']);
  await fixture.db.run(
    "UPDATE symbols SET newest_bar = '2021-03-31', as_of = '2021-03-31 20:00:00', analysed_bar = '2021-03-31' WHERE symbol = 'OLD'",
  );
  await fixture.db.run("UPDATE symbols SET newest_bar = NULL, as_of = NULL, analysed_at = NULL, analysed_bar = NULL WHERE symbol = 'NONE'");
  const answer = await admission().admitLogin({ userId: 'alice', at: NOW });
  expect(answer).toMatchObject({
    ...{ total: 3, queued: 0, fresh: 1, outdated: 1, missing: 1 },
    text: '0 of 3 symbols queued, 1 fresh, 1 outdated, 1 without data',
  });
  expect(answer.skipped.map(({ reason }) => reason)).toEqual([
    expect.stringMatching(/^price fresh: /),
    expect.stringMatching(/^price missing: no bar; checked 1 min ago/),
    expect.stringMatching(/^price outdated: newest bar 2021-03-31, [\d,]+ sessions behind, checked 1 min ago; analysis outdated: /),
  ]);
  const { decisions, ...counts } = await readCommittedLogin(fixture.db, answer);
  expect(counts).toEqual({ total: 3, queued: 0, fresh: 1, outdated: 1, unknown: 0, missing: 1 });
  const kept = ['fresh', 'missing', 'outdated'] as const;
  expect(decisions.map((one) => kept.filter((name) => name in one))).toEqual(kept.map((name) => [name]));
});

test('a login fetches the rates that the values need, beside the symbols and once', async () => {
  await hold(fixture.db, { alice: ['AAPL', 'VOD.L'] });
  await makeFresh(fixture.db, ['AAPL', 'VOD.L']);
  await fixture.db.run("UPDATE symbols SET currency = 'GBp' WHERE symbol = 'VOD.L'");
  const { admitLogin } = admission();
  const answer = await admitLogin({ userId: 'alice', at: NOW });
  expect(answer).toMatchObject({ total: 2, queued: 0, fresh: 2, joined: 0, text: '0 of 2 symbols queued, 2 fresh' });
  expect(answer.jobs.map(({ symbol, type }) => `${type} ${symbol}`)).toEqual(['fetch GBPUSD=X']);
  expect((await readCommittedLogin(fixture.db, answer)).decisions.at(-1)).toMatchObject({ symbol: 'GBPUSD=X', rate: true });
  const again = await admitLogin({ userId: 'alice', at: '2026-03-03T16:00:01Z' });
  expect(again.jobs).toMatchObject([{ id: answer.jobs[0]!.id, coalesced: true }]);
  await makeFresh(fixture.db, ['GBPUSD=X']);
  expect((await admitLogin({ userId: 'alice', at: '2026-03-03T16:00:02Z' })).jobs).toEqual([]);
});

test('the jobs are those of the ledger, the analysis waiting for its fetch', async () => {
  await hold(fixture.db, { alice: ['AAPL'] });
  const { admitLogin } = admission();
  const { jobs } = await admitLogin({ userId: 'alice', at: NOW });
  const rows = await listJobs(fixture.db, { user: 'alice', limit: 10 });
  expect(rows.map(({ id, type, state, queue, priority }) => ({ id, type, state, queue, priority }))).toEqual(
    expect.arrayContaining([
      { id: jobs[0]!.id, type: 'fetch', state: 'ready', queue: 'foreground', priority: jobs[0]!.priority },
      { id: jobs[1]!.id, type: 'analysis', state: 'blocked', queue: 'background_analysis', priority: jobs[1]!.priority },
    ]),
  );
});

test('what was decided is kept, each score with its factors', async () => {
  await hold(fixture.db, { alice: ['AAPL', 'SPY'] });
  await makeFresh(fixture.db, ['SPY']);
  const { admitLogin } = admission();
  const { jobs } = await admitLogin({ userId: 'alice', at: NOW });
  const [row] = await fixture.db.rows<{ at: Date; total: number; queued: number; fresh: number; decisions: unknown }>(
    'SELECT * FROM user_portfolio_priority',
  );
  expect(row).toMatchObject({ at: new Date(NOW), total: 2, queued: 1, fresh: 1 });
  const [stale, fresh] = fromJson(row!.decisions) as KeptDecision[];
  expect(stale).toMatchObject({
    symbol: 'AAPL',
    fetch: { id: jobs[0]!.id, score: jobs[0]!.score, coalesced: false },
    analysis: { id: jobs[1]!.id },
  });
  expect(stale!.fetch!.points.reduce((sum, part) => sum + part, 0)).toBeCloseTo(jobs[0]!.score, 3);
  expect(fresh).toEqual({ symbol: 'SPY', fresh: expect.stringContaining('price fresh') });
});

test('the jobs are announced and the answer is published once they are committed', async () => {
  await hold(fixture.db, { alice: ['AAPL'] });
  const { admitLogin, idle, published } = admission();
  const answer = await admitLogin({ userId: 'alice', at: NOW });
  await idle();
  expect(published.map(({ kind }) => kind).sort()).toEqual(['job', 'job', 'portfolio', 'status', 'status']);
  expect(published.find(({ kind }) => kind === 'portfolio')?.message).toEqual(answer);
});

test('users who hold the same symbol share its jobs; the first of them made them', async () => {
  await hold(fixture.db, { alice: ['AAPL'], bob: ['AAPL'], carol: ['AAPL'] });
  const { admitLogin, counters } = admission();
  const [alice, bob] = await Promise.all(['alice', 'bob'].map((userId) => admitLogin({ userId, at: NOW })));
  const carol = await admitLogin({ userId: 'carol', at: NOW });
  expect(alice).toMatchObject({ queued: 1, joined: 0, jobs: [{ coalesced: false }, { coalesced: false }] });
  for (const other of [bob!, carol]) {
    expect(other).toMatchObject({
      queued: 1,
      joined: 1,
      jobs: [{ coalesced: true }, { coalesced: true }],
      text: '1 of 1 symbols queued, 0 fresh; 1 share jobs that were requested before',
    });
    expect(other.jobs.map(({ id }) => id)).toEqual(alice!.jobs.map(({ id }) => id));
  }
  expect(await countRows(fixture.db, 'jobs')).toBe(2);
  expect(await countRows(fixture.db, 'job_subscribers')).toBe(6);
  expect(counters).toEqual({ admitted: 3, refused: 0, unknownFields: 0, batches: 2, queued: 2, joined: 4, full: 0 });
});

describe('an event that is delivered again', () => {
  test('changes nothing', async () => {
    await hold(fixture.db, { alice: ['AAPL', 'SPY'] });
    const { admitLogin } = admission();
    // Once the answer is out, its row goes.
    const answered = (): Promise<void> => expect.poll(() => countRows(fixture.db, 'login_answers')).toBe(0);
    await admitLogin({ userId: 'alice', at: NOW });
    await answered();
    const before = await everything(fixture.db);
    await admitLogin({ userId: 'alice', at: NOW });
    await answered();
    expect(await everything(fixture.db)).toEqual(before);
  });

  test('in the same batch changes nothing either', async () => {
    await hold(fixture.db, { alice: ['AAPL'] });
    const { admitLogin } = admission();
    const [first, second] = await Promise.all([admitLogin({ userId: 'alice', at: NOW }), admitLogin({ userId: 'alice', at: NOW })]);
    expect(second).toEqual(first);
    expect(await fixture.db.rows('SELECT activity FROM logins')).toEqual([{ activity: 1 }]);
    expect(await countRows(fixture.db, 'user_portfolio_priority')).toBe(1);
  });

  test('and has no time of its own counts as one login', async () => {
    const { admitLogin } = admission();
    await admitLogin({ userId: 'alice' });
    fixture.clock.advance({ seconds: 30 });
    await admitLogin({ userId: 'alice' });
    expect(await fixture.db.rows('SELECT activity FROM logins')).toEqual([{ activity: 1 }]);
  });

  test('to two instances at once makes the same jobs once', { repeats: 4 }, async () => {
    const symbols = symbolsOf(30);
    const users = Array.from({ length: 40 }, (_, index) => `user${index}`);
    await hold(fixture.db, Object.fromEntries(users.map((user, index) => [user, symbols.slice(index % 10, (index % 10) + 20)])));
    const other = openDatabase(fixture.database.options);
    const answers = await Promise.all(
      [admission(), admission({ db: other })].flatMap(({ admitLogin }) => users.map((userId) => admitLogin({ userId, at: NOW }))),
    ).finally(() => other.close());
    expect(answers.every(({ queued }) => queued === 20)).toBe(true);
    // Symbols 0 to 28 are held by somebody: a fetch and an analysis each, every user subscribed to 20 of each.
    expect(await countRows(fixture.db, 'jobs')).toBe(2 * 29);
    expect(await countRows(fixture.db, 'job_subscribers')).toBe(40 * 2 * 20);
    expect(await fixture.db.rows('SELECT MIN(activity) AS least, MAX(activity) AS most FROM logins')).toEqual([{ least: 1, most: 1 }]);
  });
});

describe('the time of a login', () => {
  test('that lies in the past is the one that is counted', async () => {
    const { admitLogin } = admission();
    const at = '2026-03-03T09:30:00Z';
    expect(await admitLogin({ userId: 'alice', at })).toMatchObject({ at: '2026-03-03T09:30:00.000Z' });
    expect(await fixture.db.rows('SELECT last_login_at FROM logins')).toEqual([{ last_login_at: new Date(at) }]);
  });

  test('that lies ahead is now, and the log says so', async () => {
    const { admitLogin, lines } = admission();
    const at = '2026-03-03T17:00:00Z';
    expect(await admitLogin({ userId: 'alice', at })).toMatchObject({ at: new Date(NOW).toISOString() });
    expect(lines).toContainEqual(
      expect.objectContaining({ level: 40, userId: 'alice', msg: `login at ${at} lies in the future: counted as now` }),
    );
  });

  test.for(['2026-03-01T16:00:00Z', '1970-01-01T00:00:00Z'])(
    'of long ago (%s) makes it no event: it is refused and changes nothing',
    async (at) => {
      const { admitLogin } = admission();
      await expect(admitLogin({ userId: 'alice', at })).rejects.toMatchObject({ name: 'InputError', code: 'login.expired' });
      expect(await countRows(fixture.db, 'logins')).toBe(0);
    },
  );

  test('of a hook whose clock is a little ahead is kept', async () => {
    const { admitLogin } = admission();
    expect(await admitLogin({ userId: 'alice', at: '2026-03-03T16:00:30Z' })).toMatchObject({ at: '2026-03-03T16:00:30.000Z' });
  });
});

test('a user without holdings gets an answer with the way out', async () => {
  const { admitLogin } = admission();
  expect(await admitLogin({ userId: 'nobody', at: NOW })).toMatchObject({
    total: 0,
    queued: 0,
    fresh: 0,
    jobs: [],
    text: 'no holdings, so nothing to refresh; "npx stockmesh portfolio import FILE.csv --user nobody" adds some',
  });
  expect(await countRows(fixture.db, 'user_portfolio_priority')).toBe(1);
});

test('blanks round a user id make no other user', async () => {
  await hold(fixture.db, { bob: ['AAPL'] });
  const { admitLogin } = admission();
  const answers = await Promise.all([admitLogin({ userId: 'bob', at: NOW }), admitLogin({ userId: 'bob ', at: NOW })]);
  expect(answers.map(({ user_id, queued }) => ({ user_id, queued }))).toEqual(Array(2).fill({ user_id: 'bob', queued: 1 }));
});

test('one login that can never be admitted takes no other with it', async () => {
  const users = Array.from({ length: 20 }, (_, index) => `user${index}`);
  await hold(fixture.db, { ...Object.fromEntries(users.map((user) => [user, ['AAPL']])), broken: ['AA PL'] });
  const { admitLogin, counters } = admission();
  const results = await Promise.allSettled([...users, 'broken'].map((userId) => admitLogin({ userId, at: NOW })));
  expect(results.slice(0, 20).every(({ status }) => status === 'fulfilled')).toBe(true);
  expect(results[20]).toMatchObject({ status: 'rejected', reason: { code: 'symbol.invalid' } });
  expect(await countRows(fixture.db, 'job_subscribers')).toBe(40);
  expect(counters.admitted).toBe(20);
});

describe('a login that the database can never write', () => {
  const poisoned = async (): Promise<void> => {
    const db = openDatabase(fixture.database.migrate);
    await db.run("ALTER TABLE user_portfolio_priority ADD CONSTRAINT no_poison CHECK (user_id <> 'poison')");
    onTestFinished(async () => {
      await db.run('ALTER TABLE user_portfolio_priority DROP CONSTRAINT no_poison');
      await db.close();
    });
  };

  test('is refused for good, with the reason, and takes no other with it', async () => {
    await poisoned();
    const users = Array.from({ length: 30 }, (_, index) => `user${index}`);
    await hold(fixture.db, Object.fromEntries([...users, 'poison'].map((user) => [user, ['AAPL']])));
    const { admitLogin, counters } = admission();
    const results = await Promise.allSettled(['poison', ...users].map((userId) => admitLogin({ userId, at: NOW })));
    expect(results[0]).toMatchObject({
      status: 'rejected',
      reason: {
        name: 'PermanentError',
        code: 'login.unwritable',
        message: expect.stringMatching(/user "poison" at 2026-03-03.*no_poison/),
      },
    });
    expect(results.slice(1).every(({ status }) => status === 'fulfilled')).toBe(true);
    expect(await countRows(fixture.db, 'user_portfolio_priority')).toBe(30);
    expect(counters.admitted).toBe(30);
  });

  test('because of a defect of the program is refused too', async () => {
    const broken: Database = { ...fixture.db, transaction: () => Promise.reject(new TypeError('x is not a function')) };
    await expect(admission({ db: broken }).admitLogin({ userId: 'alice', at: NOW })).rejects.toMatchObject({
      code: 'login.unwritable',
      message: expect.stringContaining('x is not a function'),
    });
  });

  test.for([
    ['is read-only', { errno: 1290, sqlState: 'HY000', code: 'ER_OPTION_PREVENTS_STATEMENT' }],
    ['has no space', { errno: 1114, sqlState: 'HY000', code: 'ER_RECORD_FILE_FULL' }],
    ['lost a race five times', { errno: 1062, sqlState: '23000', code: 'ER_DUP_ENTRY' }],
  ] as const)('is another thing than a database that %s: that is worth another try, of the whole batch', async ([, fault]) => {
    let tries = 0;
    const refusing: Database = {
      ...fixture.db,
      transaction() {
        tries++;
        return Promise.reject(Object.assign(new Error('refused'), fault));
      },
    };
    const { admitLogin } = admission({ db: refusing });
    const results = await Promise.allSettled(['a', 'b', 'c'].map((userId) => admitLogin({ userId, at: NOW })));
    for (const result of results) expect(result).toMatchObject({ reason: { name: 'TransientError', code: 'database.refused' } });
    expect(tries).toBe(1);
  });
});

describe('a full queue', () => {
  test("sends a login's fetches to the next one, and the answer says so", async () => {
    await hold(fixture.db, { alice: symbolsOf(5) });
    const { admitLogin } = admission({ config: withLimits({ foreground: 3, background_fetch: 100, background_analysis: 100 }) });
    const answer = await admitLogin({ userId: 'alice', at: NOW });
    expect(answer.text).toBe('5 of 5 symbols queued, 0 fresh; the queue above is full: 2 wait in background_fetch');
    const fetches = answer.jobs.filter(({ type }) => type === 'fetch');
    expect(fetches.map(({ queue }) => queue)).toEqual(['foreground', 'foreground', 'foreground', 'background_fetch', 'background_fetch']);
    expect(fetches[4]).toMatchObject({
      priority: 4,
      why: { text: expect.stringContaining('foreground is full: it waits in background_fetch at priority 4') },
    });
  });

  test('with no room below it either refuses, and the answer names the limits', async () => {
    await hold(fixture.db, { alice: symbolsOf(5) });
    const { admitLogin, counters } = admission({ config: withLimits({ foreground: 1, background_fetch: 1, background_analysis: 2 }) });
    const answer = await admitLogin({ userId: 'alice', at: NOW });
    expect(answer.queued + (answer.refused ?? 0)).toBe(5);
    expect(answer.refused).toBeGreaterThan(0);
    expect(answer.text).toContain('background_analysis holds 2 jobs (queue.priority_queues.background_analysis.max_jobs)');
    expect(counters.full).toBeGreaterThan(0);
  });
});

test('a batch costs the same number of statements, however many logins are in it', async () => {
  const symbols = symbolsOf(40);
  const users = Array.from({ length: 150 }, (_, index) => `user${index}`);
  await hold(fixture.db, Object.fromEntries(users.map((user, index) => [user, symbols.slice(index % 20, (index % 20) + 20)])));
  const statements = async (logins: string[]): Promise<number> => {
    const spies: { mock: { calls: unknown[] } }[] = [];
    const counted: Database = {
      ...fixture.db,
      transaction: (work) =>
        fixture.db.transaction((tx) => {
          const watched = { ...tx };
          spies.push(vi.spyOn(watched, 'rows'), vi.spyOn(watched, 'run'));
          return work(watched);
        }),
    };
    const { admitLogin, counters } = admission({ db: counted });
    await Promise.all(logins.map((userId) => admitLogin({ userId, at: NOW })));
    expect(counters.batches).toBe(1);
    return spies.reduce((sum, { mock }) => sum + mock.calls.length, 0);
  };
  const one = await statements(users.slice(0, 1));
  await deleteJobs(fixture.db);
  await fixture.db.run('DELETE FROM logins');
  expect(await statements(users)).toBe(one);
});
