import { expect, test } from 'vitest';
import { fetchRequest } from '../../../services/job-types/fetch/request.ts';
import { rankingRequests, rankRequests } from '../../../services/job-types/rank/request.ts';
import type { Origin } from '../../../services/job-types/request.ts';
import { enqueue } from '../../../services/ledger/enqueue/enqueue.ts';
import { claim } from '../../../services/ledger/run/claim.ts';
import { complete } from '../../../services/ledger/run/complete.ts';
import { MODES, type Mode } from '../../../services/market/options/scoring/parts.ts';
import type { Sql } from '../../../services/platform/database/database.ts';
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
  ['between the two, it made the bars fresh', 'FROM jobs', true, ['rank']],
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
  expect(await db.rows("SELECT type, COUNT(*) AS jobs FROM jobs WHERE symbol = 'MSFT' GROUP BY type ORDER BY type")).toEqual([
    { type: 'fetch', jobs: 1 },
    { type: 'rank', jobs: 1 },
  ]);
});
