/** Receivers that never answer, fail or have thousands of callbacks: those of others are called all the same. The senders go by their own clock. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { startCallbacks } from '../../../services/gateway/webhooks/callback-sender.ts';
import { dueLanes, MOST_SWEPT, sweepWaiting } from '../../../services/gateway/webhooks/due-callbacks.ts';
import { idToBytes, newJobId } from '../../../services/ledger/id.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { TransientError } from '../../../services/platform/errors.ts';
import { silent } from '../../broker/peers.ts';
import { configOf } from '../../scheduler/configuration.ts';
import { setJobs } from '../../support/job-rows.ts';
import { type Caller, gatewayMesh } from '../mesh.ts';

// The gateway that runs beside the test looks once, at its start, and takes no part.
const mesh = gatewayMesh({ 'gateway.callbacks.poll_interval': 3600 });
const START = new Date('2026-03-03T16:00:00Z');

/** A receiver whose status may be changed; 0: it takes the call and never answers. */
async function receiver(status: number) {
  const server = createServer((request, response) => {
    one.calls.push(request.url as string);
    if (one.status !== 0) response.writeHead(one.status).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const one = { status, host, url: `http://${host}`, calls: [] as string[], hangUp: () => server.closeAllConnections() };
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return one;
}

/** Callbacks of one job, each due a millisecond after the one before. */
async function store(urls: readonly string[], { state = 'pending', key = mesh.operator, job = 'completed' } = {}): Promise<string> {
  const { body } = await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: `S${Math.trunc(performance.now())}`, analyse: false });
  const { id } = body.jobs[0];
  await setJobs(mesh.db, { state: job }, 'id = ?', [idToBytes(id)]);
  const rows = urls.map((url, index) => {
    const at = new Date(START.getTime() - urls.length + index);
    return [idToBytes(newJobId(at.getTime())), idToBytes(id), (key as Caller).id, url, state, at, START];
  });
  await mesh.db.run('INSERT INTO callbacks (id, job_id, key_id, url, state, due_at, created_at) VALUES ?', [rows]);
  return id;
}
const many = (url: string, count: number): string[] => Array.from({ length: count }, (_, number) => `${url}/${number}`);

function sender(changes: Record<string, unknown> = {}, db = mesh.db) {
  const clock = new ManualClock('2026-03-03T16:00:00Z');
  const config = configOf({ 'gateway.callbacks.allow_private': true, 'gateway.callbacks.poll_interval': 0.05, ...changes });
  const running = startCallbacks({ db, clock, config, log: silent });
  onTestFinished(() => running.close());
  return { clock, counters: running.counters };
}
const rows = (path = '%') =>
  mesh.db.rows<{ state: string; attempts: number; last_error: string | null }>(
    'SELECT state, attempts, last_error FROM callbacks WHERE url LIKE ? ORDER BY due_at, id',
    [path],
  );

test('four hundred callbacks to a receiver that never answers do not hold up one that came later, and have a few connections', async () => {
  const [silentOne, good] = [await receiver(0), await receiver(200)];
  await store([...many(silentOne.url, 400), `${good.url}/good`]);
  sender();
  await expect.poll(() => good.calls).toEqual(['/good']);
  expect(silentOne.calls.length).toBeLessThanOrEqual(4);
  silentOne.hangUp();
});

test("a key with more silent receivers than it may call at once holds up its own callbacks, and no other key's", async () => {
  const silentOnes = await Promise.all(Array.from({ length: 6 }, () => receiver(0)));
  const good = await receiver(200);
  await store(silentOnes.map(({ url }) => `${url}/`));
  await store([`${good.url}/own`]);
  await store([`${good.url}/other`], { key: await mesh.caller('jobs') });
  sender({ 'gateway.callbacks.max_concurrent': 8, 'gateway.callbacks.max_per_key': 4 });
  await expect.poll(() => good.calls).toEqual(['/other']);
  await expect.poll(() => silentOnes.flatMap(({ calls }) => calls).length).toBe(4);
  expect(good.calls).toEqual(['/other']);
  for (const { hangUp } of silentOnes) hangUp();
  await expect.poll(() => good.calls).toEqual(['/other', '/own']);
});

test('the callbacks of a receiver are called in the order in which they became due', async () => {
  const good = await receiver(200);
  await store(many(good.url, 9));
  sender({ 'gateway.callbacks.max_per_host': 1 });
  await expect.poll(() => good.calls).toEqual(['/0', '/1', '/2', '/3', '/4', '/5', '/6', '/7', '/8']);
});

test('the callbacks of a receiver that failed several times in a row wait without using up tries, say why, and are all called once it answers', async () => {
  const shaky = await receiver(503);
  await store(many(shaky.url, 9));
  const { clock } = sender({
    'gateway.callbacks.max_per_host': 1,
    'gateway.callbacks.backoff': [1000],
    'gateway.callbacks.circuit.failures': 3,
    'gateway.callbacks.circuit.first_pause': 60,
  });
  const waiting = `waits: ${shaky.host} has failed several times in a row and is tried again from time to time (callback.receiver_away)`;
  await expect
    .poll(async () => (await rows()).slice(0, 6))
    .toEqual(Array.from({ length: 6 }, () => ({ state: 'pending', attempts: 0, last_error: waiting })));
  expect(shaky.calls).toEqual(['/0', '/1', '/2']);
  // One call tries it.
  clock.advance({ seconds: 61 });
  await expect.poll(() => shaky.calls).toEqual(['/0', '/1', '/2', '/3']);
  shaky.status = 200;
  clock.advance({ seconds: 121 });
  await expect.poll(() => shaky.calls.length).toBe(9);
  clock.advance({ seconds: 2_000 });
  await expect.poll(async () => (await rows()).map(({ state }) => state)).toEqual(Array.from({ length: 9 }, () => 'delivered'));
});

test('one path that is unknown there says nothing about the receiver', async () => {
  const strict = await receiver(404);
  await store(many(strict.url, 5));
  sender({ 'gateway.callbacks.circuit.failures': 2, 'gateway.callbacks.backoff': [] });
  await expect
    .poll(async () => (await rows()).map(({ state, attempts }) => [state, attempts]))
    .toEqual(Array.from({ length: 5 }, () => ['failed', 1]));
});

test('while what is to be sent cannot be read no receiver is held to have failed, and the callback is made after its lease', async () => {
  const good = await receiver(200);
  await store([`${good.url}/`]);
  let unread = 0;
  const rowsOf: typeof mesh.db.rows = (sql, params) => {
    if (unread > 0 || !/JOIN ended r\b/.test(sql)) return mesh.db.rows(sql, params);
    unread++;
    return Promise.reject(new TransientError('database.unavailable', 'the server is away'));
  };
  const { clock } = sender({ 'gateway.callbacks.circuit.failures': 1, 'gateway.callbacks.backoff': [] }, { ...mesh.db, rows: rowsOf });
  await expect.poll(() => unread).toBe(1);
  clock.advance({ seconds: 100 });
  await expect.poll(() => good.calls).toEqual(['/']);
});

test('a callback that has waited for longer than all its tries would have taken is given up with the reason', async () => {
  const away = await receiver(503);
  await store(many(away.url, 4));
  const { clock } = sender({
    'gateway.callbacks.max_per_host': 1,
    'gateway.callbacks.backoff': [100_000],
    'gateway.callbacks.circuit.failures': 2,
    'gateway.callbacks.circuit.first_pause': 300,
  });
  await expect.poll(async () => (await rows('%/3')).map(({ last_error }) => last_error?.slice(0, 6))).toEqual(['waits:']);
  // Most of it while the receiver is not tried: the circuit opens anew with each failure.
  for (let pause = 0; pause < 2; pause++) {
    const calls = away.calls.length;
    clock.advance({ seconds: 301 });
    await expect.poll(() => away.calls.length).toBe(calls + 1);
  }
  expect(away.calls).toHaveLength(4);
  await mesh.db.run("UPDATE callbacks SET attempts = 0, due_at = ? WHERE url LIKE '%/3'", [new Date(START.getTime() - 200_000_000)]);
  await expect
    .poll(() => rows('%/3'))
    .toEqual([
      {
        state: 'failed',
        attempts: 0,
        last_error: `given up: ${away.host} did not answer for as long as all tries would have taken (callback.receiver_away)`,
      },
    ]);
});

test('a job that was started again before its callback was called is called about when it ends again', async () => {
  const good = await receiver(200);
  const id = await store([`${good.url}/`], { job: 'running' });
  sender();
  await expect.poll(async () => (await rows()).map(() => 1)).toEqual([1]);
  await expect.poll(() => mesh.db.rows('SELECT state, attempts FROM callbacks')).toEqual([{ state: 'waiting', attempts: 0 }]);
  expect(good.calls).toEqual([]);
  await setJobs(mesh.db, { state: 'completed' }, 'id = ?', [idToBytes(id)]);
  await expect.poll(() => good.calls).toEqual(['/']);
});

test('a sweep of many waiting callbacks goes on where the last one ended', async () => {
  await store(many('http://127.0.0.1:1', MOST_SWEPT + 1), { state: 'waiting' });
  const pending = async () => (await mesh.db.rows("SELECT 1 FROM callbacks WHERE state = 'pending'")).length;
  const place = await sweepWaiting(mesh.db, undefined, START);
  expect(await pending()).toBe(MOST_SWEPT);
  expect(await sweepWaiting(mesh.db, place, START)).toBeUndefined();
  expect(await pending()).toBe(MOST_SWEPT + 1);
});

test('a thousand callbacks of one receiver are one lane, and every key has its turn before the second receiver of another', async () => {
  const other = await mesh.caller('jobs');
  await store(many('http://a.test', 1000));
  await store(['http://b.test/', 'http://c.test/']);
  await store(['http://d.test/'], { key: other });
  const lanes = await dueLanes(mesh.db, START, { hosts: [], keys: [] });
  expect(
    lanes
      .slice(0, 2)
      .map(({ host }) => host)
      .sort(),
  ).toEqual(['a.test', 'd.test']);
  expect(
    lanes
      .slice(2)
      .map(({ host }) => host)
      .sort(),
  ).toEqual(['b.test', 'c.test']);
  expect((await dueLanes(mesh.db, START, { hosts: ['b.test'], keys: [other.id] })).map(({ host }) => host).sort()).toEqual([
    'a.test',
    'c.test',
  ]);
});
