import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { followJobs } from '../../../services/cli/output/follow.ts';
import { ledgerOf } from '../../../services/job-types/ledger.ts';
import { enqueue, type JobRequest } from '../../../services/ledger/enqueue/enqueue.ts';
import { newJobId } from '../../../services/ledger/id.ts';
import type { Ledger, State } from '../../../services/ledger/job.ts';
import { claim } from '../../../services/ledger/run/claim.ts';
import { complete } from '../../../services/ledger/run/complete.ts';
import { systemClock } from '../../../services/platform/clock.ts';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { type Database, openDatabase, type Sql } from '../../../services/platform/database/database.ts';
import { TransientError } from '../../../services/platform/errors.ts';
import { freePort } from '../../../services/platform/machine/ports.ts';
import { startEmbedded } from '../../broker/brokers.ts';
import { openBus, proxyTo } from '../../platform/bus/brokers.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { setJobs } from '../../support/job-rows.ts';

let database: TestDatabase;
let db: Database;
let ledger: Ledger;
beforeAll(async () => {
  database = await testDatabase();
  db = openDatabase(database.options);
  ledger = ledgerOf(db, systemClock, loadConfig({ environment: 'development', env: {} }).config);
});
afterAll(async () => {
  await db.close();
  await database.drop();
});

function request(symbol: string): JobRequest {
  return { type: 'fetch', symbol, payload: { symbol }, level: 1, score: 1, why: { text: 'test' }, triggeredBy: 'test', whenFull: 'refuse' };
}

async function job(symbol: string): Promise<string> {
  const [answer] = await enqueue(ledger, [request(symbol)]);
  return (answer as { id: string }).id;
}

test('a state that was published before the id was known counts', async () => {
  const broker = await startEmbedded();
  const bus = openBus(broker.port);
  const follower = followJobs(db, bus);
  const heard = Promise.withResolvers<void>();
  bus.subscribe('status', { concurrency: 1 }, () => heard.resolve());
  await bus.online();
  const id = await job('EARLY');
  await bus.publish('status', { id, type: 'fetch', symbol: 'EARLY', state: 'completed', attempt: 1, at: '2026-01-02T00:00:00Z' });
  await heard.promise;
  // The ledger still says ready: only the message can have told.
  const [followed] = await follower.until([id], { onChange() {}, onNote() {} }, AbortSignal.timeout(20_000));
  expect(followed).toMatchObject({ id, state: 'completed', symbol: 'EARLY' });
  await follower.close();
  await bus.close();
  await broker.close();
});

test('when the broker goes away the end is read from the ledger, and the reader is told', async () => {
  const broker = await startEmbedded();
  const wire = await proxyTo(broker.port);
  const bus = openBus(wire.port);
  const follower = followJobs(db, bus);
  await bus.online();
  const id = await job('AWAY');
  const notes: string[] = [];
  const running = Promise.withResolvers<void>();
  const following = follower.until(
    [id],
    {
      onChange: ({ state }) => state === 'running' && running.resolve(),
      onNote: (text) => notes.push(text),
    },
    AbortSignal.timeout(20_000),
  );
  await wire.close();
  await broker.close();
  const { jobs } = await claim(ledger, 'worker-1', 10);
  await running.promise;
  const mine = jobs.find((claimed) => claimed.id === id)!;
  await complete(ledger, 'worker-1', [{ job: mine, result: {} }]);
  const [followed] = await following;
  expect(followed).toMatchObject({ id, state: 'completed', worker: 'worker-1' });
  expect(notes[0]).toMatch(/^the broker cannot be reached: reading the database every \d+ ms instead$/);
  await follower.close();
});

test('waiting ends with what is known when the time is up', async () => {
  const broker = await startEmbedded();
  const bus = openBus(broker.port);
  const follower = followJobs(db, bus);
  const id = await job('NEVER');
  const [followed] = await follower.until([id], { onChange() {}, onNote() {} }, AbortSignal.timeout(50));
  expect(followed).toMatchObject({ id, state: 'ready', endedAt: null });
  await follower.close();
  await bus.close();
  await broker.close();
});

describe('what is told of jobs', () => {
  const silent = { onChange() {}, onNote() {} };

  async function following(sql: Sql = db) {
    const broker = await startEmbedded();
    const bus = openBus(broker.port);
    const follower = followJobs(sql, bus);
    await bus.online();
    onTestFinished(async () => {
      await follower.close();
      await bus.close();
      await broker.close();
    });
    const say = (id: string, state: State, more: object = {}) =>
      bus.publish('status', { id, type: 'batch_fetch', state, attempt: 1, at: '2026-01-02T00:00:00Z', ...more });
    return { follower, say };
  }

  test('each change once, with the items that are done in whatever way, and nothing after the end', async () => {
    const { follower, say } = await following();
    // Not in the ledger, which is read too, once a second: it would say something older in between.
    const id = newJobId(Date.now());
    const told: string[] = [];
    const progress = (done: number) => ({ progress: { total: 10, done, failed: 1, skipped: 1, no_data: 1 } });
    const ended = follower.until(
      [id],
      {
        ...silent,
        onChange: ({ state, symbol, attempt, worker, reason, items }) =>
          told.push(
            `${state} ${attempt} ${symbol ?? 'no symbol'} ${worker} ${reason} ${items === null ? '' : `${items.done}/${items.total}`}`,
          ),
      },
      AbortSignal.timeout(20_000),
    );
    await say(id, 'running', progress(2));
    await say(id, 'running', progress(2));
    await say(id, 'running', progress(3));
    await say(id, 'running');
    await say(id, 'scheduled', { reason: 'HTTP 503' });
    await say(id, 'running', { attempt: 2, worker: 'w1' });
    await say('01932c07-5f2a-7000-8a3b-0123456789ab', 'failed');
    await say(id, 'completed_with_errors', { attempt: 2, worker: 'w1', reason: 'two failed' });
    await say(id, 'running', { attempt: 2 });
    const [followed] = await ended;
    expect(told).toEqual([
      'running 1 no symbol null null 5/10',
      'running 1 no symbol null null 6/10',
      'scheduled 1 no symbol null HTTP 503 6/10',
      'running 2 no symbol w1 null 6/10',
      'completed_with_errors 2 no symbol w1 two failed 6/10',
    ]);
    expect(followed).toMatchObject({ state: 'completed_with_errors', worker: 'w1', reason: 'two failed', items: { done: 6, total: 10 } });
    expect(followed?.endedAt).toBeGreaterThan(0);
  });

  test('a state that was read before a message came is not told after it', async () => {
    const begun = Promise.withResolvers<void>();
    const held = Promise.withResolvers<void>();
    const slow: Sql = {
      run: db.run,
      // What is read later would be of a ledger that lags behind the messages, as none does.
      rows: async (sql, params) => {
        const rows = await db.rows<never>(sql, params);
        begun.resolve();
        await held.promise;
        return rows.splice(0, reads++ === 0 ? 1 : 0);
      },
    };
    let reads = 0;
    const { follower, say } = await following(slow);
    const id = await job('LATE');
    const told: State[] = [];
    const running = Promise.withResolvers<void>();
    const onChange = ({ state }: { state: State }) => {
      told.push(state);
      running.resolve();
    };
    const ended = follower.until([id], { ...silent, onChange }, AbortSignal.timeout(20_000));
    await begun.promise;
    await say(id, 'running');
    await running.promise;
    held.resolve();
    await say(id, 'completed');
    await ended;
    expect(told).toEqual(['running', 'completed']);
  });

  test('of several jobs the wait ends with the last, and they are in the order that was asked for', async () => {
    const { follower, say } = await following();
    const ids = [await job('ONE'), await job('TWO')].reverse();
    let over = false;
    const ended = follower.until(ids, silent, AbortSignal.timeout(20_000)).finally(() => {
      over = true;
    });
    await say(ids[1]!, 'completed');
    await say(ids[1]!, 'completed');
    await expect.poll(async () => (await db.rows('SELECT 1')).length).toBe(1);
    expect(over).toBe(false);
    await say(ids[0]!, 'failed');
    expect((await ended).map(({ id, state }) => [id, state])).toEqual([
      [ids[0], 'failed'],
      [ids[1], 'completed'],
    ]);
  });

  test('of none the wait ends at once, as does one whose time is over', async () => {
    const { follower } = await following();
    expect(await follower.until([], silent, new AbortController().signal)).toEqual([]);
    expect(await follower.until(['01932c07-5f2a-7000-8a3b-0123456789ab'], silent, AbortSignal.abort())).toMatchObject([
      { type: '', symbol: null, state: 'ready', attempt: 0, worker: null, reason: null, items: null, endedAt: null },
    ]);
  });
});

test('more jobs than one statement asks for are all found in the ledger, without the broker', async () => {
  const bus = openBus(await freePort());
  const symbols = Array.from({ length: 501 }, (_, index) => `M${index}`);
  const answers = await enqueue(ledger, symbols.map(request));
  const ids = answers.map((answer) => (answer as { id: string }).id);
  await setJobs(db, { state: 'completed' }, "symbol LIKE 'M%'");
  const follower = followJobs(db, bus);
  const followed = await follower.until(ids, { onChange() {}, onNote() {} }, AbortSignal.timeout(20_000));
  expect(followed.filter(({ state }) => state !== 'completed')).toEqual([]);
  expect(followed.map(({ symbol }) => symbol)).toEqual(symbols);
  await follower.close();
  await bus.close();
});

test('a wait that ends with its time asks the ledger no more', async () => {
  const bus = openBus(await freePort());
  const id = await job('OVER');
  let reads = 0;
  const follower = followJobs(
    {
      run: db.run,
      rows: (sql, params) => {
        reads++;
        return db.rows(sql, params);
      },
    },
    bus,
  );
  const time = new AbortController();
  const ended = follower.until([id], { onChange() {}, onNote() {} }, time.signal);
  await expect.poll(() => reads).toBeGreaterThan(1);
  time.abort();
  expect(await ended).toMatchObject([{ id, state: 'ready' }]);
  const before = reads;
  // Three times the pause between two reads without the broker.
  await delay(300);
  expect(reads).toBeLessThanOrEqual(before + 1);
  await bus.close();
});

test('a database that is away is said once, and again when it is back; another error ends the wait', async () => {
  const bus = openBus(await freePort());
  const id = await job('BACK');
  let reads = 0;
  const notes: string[] = [];
  const follower = followJobs(
    {
      run: db.run,
      rows: async (sql, params) => {
        reads++;
        if (reads <= 3) throw new TransientError('database.unavailable', 'the database is away');
        // The job ends at the third good read.
        if (reads === 6) await setJobs(db, { state: 'failed' }, "symbol = 'BACK'");
        return db.rows(sql, params);
      },
    },
    bus,
  );
  const onNote = (text: string) => void notes.push(text);
  await follower.until([id], { onChange() {}, onNote }, AbortSignal.timeout(20_000));
  expect(notes.filter((note) => /database (is|can)/.test(note))).toEqual(['the database is away', 'the database can be reached again']);
  const broken = followJobs({ run: db.run, rows: () => Promise.reject(new Error('a defect')) }, bus);
  await expect(broken.until([id], { onChange() {}, onNote() {} }, AbortSignal.timeout(20_000))).rejects.toThrow('a defect');
  await bus.close();
});
