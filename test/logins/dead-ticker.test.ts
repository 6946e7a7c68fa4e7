/** A ticker that no source knows: stored with the job's failing, shown, and asked for again after growing pauses, however many hold it. */
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { batchFetchHandler } from '../../services/job-types/batch-fetch/handler.ts';
import { fetchHandler } from '../../services/job-types/fetch/handler.ts';
import { rowsOfFailure, storeFetched } from '../../services/job-types/fetch/output.ts';
import { fetchRequest } from '../../services/job-types/fetch/request.ts';
import { enqueue } from '../../services/ledger/enqueue/enqueue.ts';
import { createAdmission } from '../../services/logins/admission.ts';
import { freshnessRules } from '../../services/market/freshness/freshness.ts';
import { judgementJson, judgeSymbols } from '../../services/market/freshness/symbol-judgement.ts';
import { ManualClock } from '../../services/platform/clock.ts';
import { PermanentError, TransientError } from '../../services/platform/errors.ts';
import { silent } from '../broker/peers.ts';
import { testDatabase } from '../support/database.ts';
import { offline, openWorkshop, type Stub, stub, sweep, weekdays } from '../worker/workshop.ts';
import { hold, NOW } from './ledger-fixture.ts';

const clock = new ManualClock(NOW);
const database = await testDatabase();
// FB and all that is asked for by hand are failed at the first attempt.
const shop = openWorkshop(
  database.options,
  { 'stock_jobs.data_fetch.max_retries': 0, 'stock_jobs.data_fetch.sources': 'yahoo_finance,cached' },
  clock,
);
const HOLDERS = Array.from({ length: 20 }, (_, index) => `holder${index}`);
const MINUTE = 60_000;

const unknown = () => new PermanentError('source.unknown_symbol', 'yahoo_finance: unknown symbol FB');
let yahoo: Stub;
let cached: Stub;

beforeEach(async () => {
  clock.set(NOW);
  yahoo = stub('yahoo_finance', unknown(), clock);
  cached = stub('cached', new TransientError('source.cache_empty', 'cached: nothing is stored for FB'), clock);
  cached.stale = true;
  await hold(shop.db, Object.fromEntries(HOLDERS.map((user) => [user, ['FB']])));
  shop.worker([fetchHandler, batchFetchHandler], { sources: [yahoo, cached] });
});
afterEach(async () => {
  await sweep(shop.db);
  for (const table of ['holdings', 'logins', 'user_portfolio_priority']) await shop.db.run(`DELETE FROM ${table}`);
});
afterAll(async () => {
  await shop.db.close();
  await database.drop();
});

const admission = createAdmission({ ledger: shop.ledger, announcer: shop.announcer, bus: offline, config: shop.config, log: silent });
const login = (user: string) => admission.admitLogin({ userId: user, at: clock.now().toString() });

/** All holders sign in at once; the jobs that this caused have ended afterwards. Gives their answers. */
async function allSignIn() {
  const answers = await Promise.all(HOLDERS.map(login));
  for (const id of new Set(answers.flatMap(({ jobs }) => jobs).flatMap(({ type, id }) => (type === 'fetch' ? [id] : []))))
    await shop.reaches(id, 'failed');
  return answers;
}

async function byHand(): Promise<string> {
  const [answer] = await enqueue(shop.ledger, [fetchRequest('FB', { cause: 'user_request', rules: shop.config.jobs.priority_rules })]);
  if (answer?.outcome !== 'queued') throw new Error('not queued');
  return answer.id;
}

const judged = async () => (await judgeSymbols(shop.db, ['FB'], clock.now(), freshnessRules(shop.config))).get('FB')!.price;
const failure = async () => judgementJson(await judged()).failure;

describe('of twenty holders', () => {
  test('is asked for once, and the next logins make no job and say why', async () => {
    await allSignIn();
    clock.advance({ minutes: 1 });
    const answers = await Promise.all(HOLDERS.map(login));
    expect(yahoo.asked).toHaveLength(1);
    for (const { queued, unknown: held, jobs, text, skipped } of answers) {
      expect({ queued, held, jobs }).toEqual({ queued: 0, held: 1, jobs: [] });
      expect(text).toBe('0 of 1 symbols queued, 0 fresh, 1 unknown to the sources');
      expect(skipped[0]?.reason).toContain(
        'unknown since 2026-03-03 16:00 UTC, last asked 1 min ago, asked again by the first login after 2026-03-03 16:05 UTC (no source knows FB (asked: yahoo_finance)',
      );
    }
  });

  test('is asked for once in each pause: 5 minutes, 10, 20, … and at last a day', async () => {
    const pauses: number[] = [];
    for (let round = 0; round < 11; round++) {
      await allSignIn();
      await allSignIn();
      const { since, last_asked, asked_again, times } = (await failure())!;
      expect({ since, times }).toEqual({ since: new Date(NOW), times: round + 1 });
      expect(yahoo.asked).toHaveLength(round + 1);
      const pause = asked_again.getTime() - last_asked.getTime();
      pauses.push(pause / MINUTE);
      clock.advance({ milliseconds: pause - 1 });
      await allSignIn();
      expect(yahoo.asked).toHaveLength(round + 1);
      clock.advance({ milliseconds: 1 });
    }
    expect(pauses).toEqual([5, 10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]);
  });

  test('is fetched by hand at once, in the pause', async () => {
    await allSignIn();
    clock.advance({ minutes: 1 });
    await shop.reaches(await byHand(), 'failed');
    expect(yahoo.asked).toHaveLength(2);
    // Who asks ten times in a minute does not make everybody wait for a day.
    expect(await failure()).toMatchObject({ times: 1, last_asked: new Date(clock.now().epochMilliseconds) });
  });

  test('is a symbol like any other after a success, and the next failure begins anew', async () => {
    await allSignIn();
    clock.advance({ minutes: 5 });
    await allSignIn();
    expect(await failure()).toMatchObject({ times: 2 });
    yahoo.has = weekdays('2026-02-02', 21);
    clock.advance({ minutes: 1 });
    await shop.reaches(await byHand(), 'completed');
    expect(await failure()).toBeNull();
    yahoo.has = unknown();
    clock.advance({ hours: 1 });
    const at = clock.now();
    const answer = await login('holder0');
    const [fetch] = answer.jobs.filter(({ type }) => type === 'fetch');
    await shop.reaches(fetch!.id, 'failed');
    expect(await failure()).toMatchObject({ times: 1, since: new Date(at.epochMilliseconds) });
  });
});

describe('with stored bars that are given again', () => {
  test('is unknown too, although its jobs complete', async () => {
    yahoo.has = weekdays('2026-02-02', 21);
    await shop.reaches(await byHand(), 'completed');
    cached.has = weekdays('2026-02-02', 21);
    yahoo.has = unknown();
    clock.advance({ hours: 1 });
    const fetch = (await login('holder0')).jobs.find(({ type }) => type === 'fetch');
    await shop.reaches(fetch!.id, 'completed');
    clock.advance({ minutes: 1 });
    const asked = yahoo.asked.length;
    // The stored bars can be analysed.
    expect((await login('holder1')).jobs.map(({ type }) => type)).toEqual(['analysis']);
    expect(yahoo.asked).toHaveLength(asked);
    expect(await judged()).toMatchObject({ state: 'stale', due: false, failure: { code: 'source.unknown_symbol' } });
  });
});

describe('what counts as such a failure', () => {
  const fails = async (error: Error) => {
    yahoo.has = error;
    await shop.reaches(await byHand(), 'failed');
  };

  test.each(['source.malformed', 'source.refused'])('%s, after the last attempt', async (code) => {
    await fails(new TransientError(code, 'yahoo_finance: FB refused'));
    expect(await judged()).toMatchObject({
      state: 'missing',
      due: false,
      reason: expect.stringContaining('no usable answer since 2026-03-03 16:00 UTC'),
    });
  });

  test.each(['source.timeout', 'source.network', 'source.unavailable', 'source.rate_limited', 'source.blocked', 'source.budget_used_up'])(
    'not %s, which says nothing about the symbol: the next login asks again',
    async (code) => {
      await fails(new TransientError(code, 'yahoo_finance: down'));
      expect(await judged()).toMatchObject({ due: true });
      expect(await failure()).toBeNull();
      expect((await login('holder0')).queued).toBe(1);
    },
  );

  test('while another source cannot be asked, the pause does not grow', async () => {
    const down = new TransientError('source.unavailable', 'alpha_vantage: HTTP 503');
    const error = new TransientError('source.all_failed', 'no source has bars of FB', { cause: new AggregateError([unknown(), down]) });
    const around = { config: shop.config, clock };
    for (let round = 1; round <= 3; round++) {
      await shop.db.transaction((tx) => storeFetched(tx, rowsOfFailure({ symbol: 'FB' }, error, around)));
      const { last_asked, asked_again, times } = (await failure())!;
      expect({ times, pause: asked_again.getTime() - last_asked.getTime() }).toEqual({ times: round, pause: 5 * MINUTE });
      clock.advance({ minutes: 5 });
    }
  });
});

test('an item of a batch that fails is stored with the item, and the login of its holder makes no job', async () => {
  const [id] = await shop.enqueue({ type: 'batch_fetch', symbol: undefined, payload: { symbols: ['FB'] } });
  await shop.reaches(id!, 'completed_with_errors');
  expect(await login('holder0')).toMatchObject({ queued: 0, unknown: 1 });
});

test('another set of sources may know the symbol: its failure is its own', async () => {
  await allSignIn();
  const others = { ...freshnessRules(shop.config), sources: 'lean' };
  const { price } = (await judgeSymbols(shop.db, ['FB'], clock.now(), others)).get('FB')!;
  expect(price.due).toBe(true);
  expect(price.failure).toBeUndefined();
});
