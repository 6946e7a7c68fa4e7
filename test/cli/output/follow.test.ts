import { afterAll, beforeAll, expect, test } from 'vitest';
import { followJobs } from '../../../services/cli/output/follow.ts';
import { ledgerOf } from '../../../services/job-types/ledger.ts';
import { enqueue, type JobRequest } from '../../../services/ledger/enqueue/enqueue.ts';
import type { Ledger } from '../../../services/ledger/job.ts';
import { claim } from '../../../services/ledger/run/claim.ts';
import { complete } from '../../../services/ledger/run/complete.ts';
import { systemClock } from '../../../services/platform/clock.ts';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { type Database, openDatabase } from '../../../services/platform/database/database.ts';
import { startEmbedded } from '../../broker/brokers.ts';
import { openBus, proxyTo } from '../../platform/bus/brokers.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';

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
  const [followed] = await follower.until([id], { onChange() {}, onNote() {} }, AbortSignal.timeout(2_000));
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
