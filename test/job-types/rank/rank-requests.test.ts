import { expect, test } from 'vitest';
import { rowsOfFailure, storeFetched } from '../../../services/job-types/fetch/output.ts';
import { fetchRequest } from '../../../services/job-types/fetch/request.ts';
import { rankingRequests, rankRequests } from '../../../services/job-types/rank/request.ts';
import { readRankState } from '../../../services/job-types/rank/state.ts';
import type { Origin } from '../../../services/job-types/request.ts';
import { enqueue } from '../../../services/ledger/enqueue/enqueue.ts';
import { claim } from '../../../services/ledger/run/claim.ts';
import { complete, fail } from '../../../services/ledger/run/complete.ts';
import { MODES, type Mode } from '../../../services/market/options/scoring/parts.ts';
import type { Sql } from '../../../services/platform/database/database.ts';
import { PermanentError, TransientError } from '../../../services/platform/errors.ts';
import { setJobs } from '../../support/job-rows.ts';
import { workshopOfFile } from '../../worker/workshop.ts';

const shop = await workshopOfFile();

test('a symbol without fresh prices is fetched unless all the modes that are asked for are ranked already', async () => {
  const { config, ledger, db } = shop;
  const origin: Origin = { cause: 'user_request', rules: config.jobs.priority_rules };
  const [one, other] = MODES;
  const asked = async (...modes: Mode[]): Promise<string[]> => {
    const requests = await rankingRequests(['AAPL'], modes, { config, clock: ledger.clock, db, origin });
    return requests.map(({ type, payload }) => [type, payload.mode].filter((part) => part !== undefined).join(' '));
  };
  expect(await asked(one, other)).toEqual(['fetch', `rank ${one}`, `rank ${other}`]);

  await enqueue(ledger, rankRequests(['AAPL'], [one], origin, { windowSeconds: 300, stale: new Set() }));
  const { jobs } = await claim(ledger, 'w1', 1);
  await complete(
    ledger,
    'w1',
    jobs.map((job) => ({ job })),
  );
  expect(await asked(one)).toEqual([`rank ${one}`]);
  expect(await asked(one, other)).toEqual(['fetch', `rank ${one}`, `rank ${other}`]);
});

/** What the database answers, with `then` after each statement that reads `table`. */
const interrupted = (table: string, then: () => Promise<void>): Sql => ({
  ...shop.db,
  async rows<Row>(sql: string, values?: readonly unknown[]) {
    const rows = await shop.db.rows<Row>(sql, values);
    if (sql.includes(table)) await then();
    return rows;
  },
});

test.each([
  ['between the two, it made the bars fresh', 'FROM live_keys', true, ['rank']],
  ['after both, the request is answered with it', 'FROM symbols', false, ['fetch', 'rank']],
])('a fetch is found before its bars are: when it ends %s, and is not made again', async (_, table, isSeen, types) => {
  const { config, ledger, db } = shop;
  const origin: Origin = { cause: 'user_request', rules: config.jobs.priority_rules };
  await enqueue(ledger, [fetchRequest('MSFT', origin)]);
  const { jobs } = await claim(ledger, 'w1', 1);
  const fetchEnds = async (): Promise<void> => {
    const job = jobs.pop();
    if (job === undefined) return;
    await complete(ledger, 'w1', [{ job }]);
    const today = ledger.clock.now().toString().slice(0, 10);
    await db.run(
      "INSERT INTO symbols (symbol, newest_bar, as_of, checked_at, close, currency, source) VALUES ('MSFT', ?, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3), 1, 'USD', 'lean')",
      [today],
    );
  };
  const requests = await rankingRequests(['MSFT'], ['entry'], { config, clock: ledger.clock, db: interrupted(table, fetchEnds), origin });
  expect(requests.map(({ type }) => type)).toEqual(types);
  const answers = await enqueue(ledger, requests);
  expect(jobs).toEqual([]);
  expect(answers.map(({ outcome }) => outcome)).toEqual(isSeen ? ['queued'] : ['joined', 'queued']);
  expect(await db.rows("SELECT type, COUNT(*) AS jobs FROM job_states WHERE symbol = 'MSFT' GROUP BY type ORDER BY type")).toEqual([
    { type: 'fetch', jobs: 1 },
    { type: 'rank', jobs: 1 },
  ]);
});

test('who asks by hand is not held up by the pause after a failure, and a schedule is', async () => {
  const { config, ledger, db } = shop;
  const error = new PermanentError('source.unknown_symbol', 'no source knows FB');
  await db.transaction((tx) => storeFetched(tx, rowsOfFailure({ symbol: 'FB' }, error, { config, clock: ledger.clock })));
  const types = async (cause: Origin['cause']): Promise<string[]> => {
    const origin: Origin = { cause, rules: config.jobs.priority_rules };
    return (await rankingRequests(['FB'], ['entry'], { config, clock: ledger.clock, db, origin })).map(({ type }) => type);
  };
  expect(await types('user_request')).toEqual(['fetch', 'rank']);
  expect(await types('scheduled_update')).toEqual(['rank']);
});

test('no symbols are no ranking, and nothing is asked of the database', async () => {
  const origin: Origin = { cause: 'user_request', rules: shop.config.jobs.priority_rules };
  expect(await rankingRequests([], ['entry'], { config: shop.config, clock: shop.ledger.clock, db: undefined as never, origin })).toEqual(
    [],
  );
});

test('the state of a ranking is told with the reason of its newest job', async () => {
  const { config, ledger, db } = shop;
  const origin: Origin = { cause: 'user_request', rules: config.jobs.priority_rules };
  const state = async () => {
    const { state: one, job, text } = await readRankState(db, 'ORCL', 'monitor');
    return [one, text.replace(job?.id ?? 'nobody', 'J')];
  };
  const the = 'the monitor ranking of ORCL';
  expect(await state()).toEqual(['never', `${the} was never asked for`]);
  const ask = () => enqueue(ledger, rankRequests(['ORCL'], ['monitor'], origin, { windowSeconds: 300, stale: new Set() }));
  await ask();
  expect(await state()).toEqual(['pending', `${the} is being made: job J is ready`]);
  const take = async () => (await claim(ledger, 'w1', 1)).jobs[0]!;
  await fail(ledger, 'w1', [{ job: await take(), error: new TransientError('source.busy', 'the source is busy') }]);
  expect(await state()).toEqual(['pending', `${the} is being made: job J is scheduled: the source is busy`]);
  await setJobs(db, { state: 'ready' }, "symbol = 'ORCL'");
  await fail(ledger, 'w1', [{ job: await take(), error: new PermanentError('chain.empty', 'no contracts') }]);
  expect(await state()).toEqual(['failed', `${the} could not be made: job J ended as failed: no contracts`]);
  await ask();
  await complete(ledger, 'w1', [{ job: await take() }]);
  expect(await state()).toEqual(['done', `${the} was made by job J`]);
});
