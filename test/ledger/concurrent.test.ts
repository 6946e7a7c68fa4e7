/** The same promises with everybody at work at once: enqueuers, workers of which some freeze or die, reaper and promoter, on the real clock; counted exactly afterwards. What a single missing lock does is made certain in interleaved.test.ts. */
import { setTimeout as delay } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import { beforeAll, expect, test } from 'vitest';
import { cancel } from '../../services/ledger/control.ts';
import { enqueue, type JobRequest } from '../../services/ledger/enqueue/enqueue.ts';
import { idToBytes } from '../../services/ledger/id.ts';
import type { Ledger } from '../../services/ledger/job.ts';
import { expire } from '../../services/ledger/maintain/expire.ts';
import { promote } from '../../services/ledger/maintain/promote.ts';
import { reap, rescue } from '../../services/ledger/maintain/rescue.ts';
import { type ClaimedJob, claim } from '../../services/ledger/run/claim.ts';
import { complete, fail, handBack } from '../../services/ledger/run/complete.ts';
import { heartbeat } from '../../services/ledger/run/heartbeat.ts';
import { healSlots } from '../../services/ledger/run/slots.ts';
import { systemClock } from '../../services/platform/clock.ts';
import type { Transaction } from '../../services/platform/database/database.ts';
import { InputError } from '../../services/platform/errors.ts';
import { ledgerFixture, request, transient } from './fixture.ts';

const on = ledgerFixture();
const ENOUGH = 400;
const MOST_SECONDS = 10;
const SYMBOLS = 40;
const USERS = 12;

beforeAll(async () => {
  const migrator = await mysql.createConnection({ ...on.database.migrate });
  // What a handler would store: one row for each attempt whose completion was accepted.
  await migrator.query('CREATE TABLE effects (job_id BINARY(16) NOT NULL, attempt INT NOT NULL, KEY (job_id))');
  await migrator.end();
});

const any = (below: number): number => Math.floor(Math.random() * below);

function loginOf(user: string): JobRequest[] {
  return Array.from({ length: 6 }, () => any(SYMBOLS)).flatMap((symbol) => [
    request({ user, symbol: `S${symbol}`, level: 1 + any(6), score: Math.random(), dedupeKey: `fetch:${symbol}`, whenFull: 'next_queue' }),
    request({
      user,
      symbol: `S${symbol}`,
      type: 'analysis',
      level: 4 + any(6),
      dedupeKey: `analysis:${symbol}`,
      after: [`fetch:${symbol}`],
      whenFull: 'next_queue',
    }),
  ]);
}

test('nothing is lost, doubled or over the limit while eleven hands work at once', { timeout: 60_000 }, async () => {
  const rules = { maxAttempts: 6, backoffSeconds: [0.05], timeoutSeconds: 60, mayCompleteWithErrors: false };
  const ledger: Ledger = { ...on.ledger({ types: { fetch: rules, analysis: rules }, leaseSeconds: 0.4 }), clock: systemClock };
  const deadline = performance.now() + MOST_SECONDS * 1000;
  const going = (): boolean => performance.now() < deadline && completions < ENOUGH;
  const retriesBefore = [...on.db.retries.values()].reduce((sum, count) => sum + count, 0);
  const handedOut: string[] = [];
  const known = new Set<string>();
  let completions = 0;
  let most = 0;

  const effects = (tx: Transaction, owned: readonly { job: { id: string; attempt: number } }[]): Promise<void> =>
    tx
      .run('INSERT INTO effects (job_id, attempt) VALUES ?', [owned.map(({ job: { id, attempt } }) => [idToBytes(id), attempt])])
      .then(() => {});
  const finish = async (worker: string, jobs: readonly ClaimedJob[]): Promise<void> => {
    const { lost } = await complete(
      ledger,
      worker,
      jobs.map((job) => ({ job })),
      effects,
    );
    completions += jobs.length - lost.length;
  };

  const enqueuer = async (): Promise<void> => {
    while (going()) {
      for (const answer of await enqueue(ledger, loginOf(`user-${any(USERS)}`))) if (answer.outcome !== 'refused') known.add(answer.id);
      await delay(any(10));
    }
  };
  const worker = async (name: string): Promise<void> => {
    let frozen: ClaimedJob[] = [];
    while (going()) {
      const { jobs } = await claim(ledger, name, 1 + any(6));
      handedOut.push(...jobs.map(({ id, attempt }) => `${id} ${attempt}`));
      const [finished, failed, returned, kept] = [0.7, 0.8, 0.9, 1].map((to, index) =>
        jobs.filter((_, at) => (at * 7919 + jobs.length) % 100 < to * 100 && (at * 7919 + jobs.length) % 100 >= [0, 70, 80, 90][index]!),
      );
      await heartbeat(ledger, name, jobs);
      await Promise.all([
        finish(name, finished!),
        fail(
          ledger,
          name,
          failed!.map((job) => ({ job, error: transient() })),
        ),
        handBack(ledger, name, returned!, 'shutdown'),
      ]);
      // Some are forgotten past their lease, and finished all the same: too late, or just in time.
      frozen.push(...kept!);
      if (any(20) === 0) {
        await finish(name, frozen);
        frozen = [];
      }
      if (any(200) === 0) await rescue(ledger, name, 'died');
      await delay(any(5));
    }
  };
  const scheduler = async (): Promise<void> => {
    while (going()) {
      await Promise.all([reap(ledger), promote(ledger), expire(ledger, 'ready'), expire(ledger, 'blocked')]);
      await delay(20);
    }
  };
  const canceller = async (): Promise<void> => {
    while (going()) {
      const ids = [...known];
      await cancel(ledger, ids[any(ids.length)] ?? crypto.randomUUID(), 'by hand').catch((error: unknown) => {
        if (!(error instanceof InputError)) throw error;
      });
      await delay(30);
    }
  };
  const watcher = async (): Promise<void> => {
    while (going()) {
      const rows = await on.db.rows<{ running: number }>(
        "SELECT COUNT(*) AS running FROM user_slots s JOIN job_states j ON j.id = s.job_id AND j.state = 'running' GROUP BY s.user_id",
      );
      most = Math.max(most, ...rows.map(({ running }) => running));
    }
  };
  await Promise.all([
    enqueuer(),
    enqueuer(),
    enqueuer(),
    ...['a', 'b', 'c', 'd'].map(worker),
    scheduler(),
    scheduler(),
    canceller(),
    watcher(),
  ]);

  // Drained by one worker alone, with a healing hand as the scheduler has one.
  for (
    let round = 0;
    round < 400 && (await on.count("job_states WHERE state IN ('scheduled', 'blocked', 'ready', 'running')")) > 0;
    round++
  ) {
    await rescue(ledger, 'a', 'ended');
    await Promise.all([reap(ledger), promote(ledger)]);
    await on.db.transaction((tx) => healSlots(tx, ledger));
    const { jobs } = await claim(ledger, 'last', 50);
    handedOut.push(...jobs.map(({ id, attempt }) => `${id} ${attempt}`));
    await finish('last', jobs);
    if (jobs.length === 0) await delay(20);
  }

  expect(completions).toBeGreaterThan(50);
  expect(new Set(handedOut).size).toBe(handedOut.length);
  expect(await on.count("job_states WHERE state IN ('scheduled', 'blocked', 'ready', 'running')")).toBe(0);
  expect(await on.count('job_states')).toBe(known.size);
  expect(await on.count("job_states WHERE state = 'completed'")).toBe(completions);
  expect(await on.count('effects')).toBe(completions);
  expect(await on.count("effects e JOIN job_states j ON j.id = e.job_id AND j.state = 'completed' AND j.attempt = e.attempt")).toBe(
    completions,
  );
  expect(most).toBeLessThanOrEqual(3);
  expect(await on.count('user_slots WHERE job_id IS NOT NULL')).toBe(0);
  expect(await on.count('slot_waits')).toBe(0);
  const retries = [...on.db.retries.values()].reduce((sum, count) => sum + count, 0) - retriesBefore;
  console.log(`${completions} completions, ${known.size} jobs, ${handedOut.length} claims; ${retries} transactions were run again`);
});
