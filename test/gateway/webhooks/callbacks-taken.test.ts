/** Two gateways that look for due callbacks at the same moment: each callback is called by one of them. */
import { expect, test } from 'vitest';
import { writeResult } from '../../../services/gateway/webhooks/callbacks.ts';
import { dueLanes, sweepWaiting, takeDue } from '../../../services/gateway/webhooks/due-callbacks.ts';
import { idToBytes, newJobId } from '../../../services/ledger/id.ts';
import { claim } from '../../../services/ledger/run/claim.ts';
import { complete } from '../../../services/ledger/run/complete.ts';
import { type Database, openDatabase } from '../../../services/platform/database/database.ts';
import { stoppingAtCommit, watched } from '../../ledger/fixture.ts';
import { gatewayMesh } from '../mesh.ts';

// The gateway that runs beside the test must not take part: it looks once at its start.
const mesh = gatewayMesh({ 'gateway.callbacks.allow_private': true, 'gateway.callbacks.poll_interval': 3600 });
const LEASE_SECONDS = 40;

/** A callback of a job that has ended, and a moment later than its due time. */
async function dueCallback(): Promise<Date> {
  const body = { type: 'fetch', symbol: 'AAPL', analyse: false, callback_url: 'http://127.0.0.1:1/' };
  expect((await mesh.operator.post('/v1/jobs', body)).status).toBe(202);
  const { jobs } = await claim(mesh.ledger, 'w1', 1);
  await complete(mesh.ledger, 'w1', [{ job: jobs[0]! }]);
  await sweepWaiting(mesh.db, undefined, new Date());
  return new Date(Date.now() + 60_000);
}
/** The due ones of each lane, at most `most`. */
async function take(db: Database, now: Date, most = 4) {
  const lanes = await dueLanes(db, now, { hosts: [], keys: [] });
  return takeDue(
    db,
    now,
    LEASE_SECONDS,
    lanes.map((lane) => ({ ...lane, most })),
  );
}
const takenBy = async (db: Database, now: Date): Promise<number> => (await take(db, now)).length;

test('a callback that another gateway took between the look and the lock is not taken again', async () => {
  const now = await dueCallback();
  let taken: number | undefined;
  const slow = watched(mesh.db, async ({ sql }) => {
    if (taken === undefined && sql.includes('FOR UPDATE')) taken = await takenBy(mesh.db, now);
  });
  expect([await takenBy(slow, now), taken]).toEqual([0, 1]);
});

test('a callback that another gateway is about to take is passed over, without waiting for that one', async () => {
  const now = await dueCallback();
  const stopping = stoppingAtCommit(mesh.db);
  const first = takenBy(stopping.db, now);
  await stopping.arrived;
  expect(await takenBy(mesh.db, now)).toBe(0);
  stopping.open();
  expect(await first).toBe(1);
});

test('one whose attempt was never finished is taken again when its lease ends, and not before', async () => {
  const now = await dueCallback();
  const at = (seconds: number): Date => new Date(now.getTime() + seconds * 1000);
  expect(await take(mesh.db, now)).toMatchObject([{ attempt: 1 }]);
  expect(await take(mesh.db, at(LEASE_SECONDS - 1))).toEqual([]);
  expect(await take(mesh.db, at(LEASE_SECONDS))).toMatchObject([{ attempt: 2 }]);
});

test('of more than are taken at once, those that have been due longest are', async () => {
  const now = await dueCallback();
  await mesh.db.run('DELETE FROM callbacks');
  // The newest due time has the lowest id: the order is that of the times.
  for (let younger = 0; younger <= 4; younger++)
    await mesh.db.run(
      'INSERT INTO callbacks (id, job_id, key_id, url, due_at, created_at) SELECT ?, id, (SELECT id FROM api_keys LIMIT 1), ?, ?, ? FROM job_states LIMIT 1',
      [idToBytes(newJobId(now.getTime())), `http://127.0.0.1:1/${younger}`, new Date(now.getTime() - younger * 1000), now],
    );
  expect(await takenBy(mesh.db, now)).toBe(4);
  expect(await take(mesh.db, now)).toMatchObject([{ url: 'http://127.0.0.1:1/0' }]);
});

test('one that was delivered or given up is never taken again', async () => {
  for (const state of ['delivered', 'failed'] as const) {
    const now = await dueCallback();
    const [due] = await take(mesh.db, now);
    await writeResult(mesh.db, due!.id, { state, status: 200, error: null, at: now });
    expect(await take(mesh.db, new Date(now.getTime() + 3_600_000))).toEqual([]);
  }
});

test('an outcome that could not be written is told to the sender', async () => {
  const now = await dueCallback();
  const [due] = await take(mesh.db, now);
  const closed = openDatabase(mesh.database.options);
  await closed.close();
  const outcome = { state: 'delivered', status: 200, error: null, at: now } as const;
  await expect(writeResult(closed, due!.id, outcome)).rejects.toThrow();
});
