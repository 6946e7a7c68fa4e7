/** One attempt to deliver a webhook: what is sent where, how long it may take, and what follows from the answer. */
import dns from 'node:dns';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { callbackUrl, publicLookup } from '../../../services/gateway/webhooks/callback-address.ts';
import { deliver } from '../../../services/gateway/webhooks/callback-delivery.ts';
import { startCallbacks } from '../../../services/gateway/webhooks/callback-sender.ts';
import { idToBytes, newJobId } from '../../../services/ledger/id.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { silent } from '../../broker/peers.ts';
import { configOf } from '../../scheduler/configuration.ts';
import { setJobs } from '../../support/job-rows.ts';
import { gatewayMesh } from '../mesh.ts';

// The gateway that runs beside the test looks once, at its start, and takes no part.
const mesh = gatewayMesh({ 'gateway.callbacks.poll_interval': 3600 });
const START = '2026-03-03T16:00:00Z';
afterEach(() => void vi.restoreAllMocks());

/** A receiver that answers with a status, or not at all (0). */
async function receiver(status: number): Promise<{ url: string; calls: string[]; hangUp(): void }> {
  const calls: string[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    calls.push(text);
    if (status !== 0) response.writeHead(status).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/hook`, calls, hangUp: () => server.closeAllConnections() };
}
const deliveryTo = (url: string) => ({ id: 'i', url, secrets: [Buffer.from('x')], body: '{"a":"ж"}', timestamp: 1 });

test('a receiver with which no encrypted connection comes about is given up sooner than one that does not answer', async () => {
  const server = createTcpServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  await expect(deliver(deliveryTo(url), { timeoutMs: 60_000, connectMs: 50, allowPrivate: true })).rejects.toMatchObject({
    code: 'callback.timeout',
    message: 'no connection within 0.05 s (gateway.callbacks.connect_timeout)',
  });
});

test('an address that is private is not called although it was accepted once: the configuration may have changed', async () => {
  const { url, calls } = await receiver(200);
  await expect(deliver(deliveryTo(url), { timeoutMs: 2_000, allowPrivate: false })).rejects.toMatchObject({
    code: 'callback.private_address',
    message: expect.stringMatching(/^callback_url: 127\.0\.0\.1 is a private address/),
  });
  expect(calls).toEqual([]);
  expect(await deliver(deliveryTo(url), { timeoutMs: 5_000, allowPrivate: true })).toBe(200);
  expect(calls).toEqual(['{"a":"ж"}']);
});

test('a receiver that says nothing is given up, with the time that it had', async () => {
  const { url } = await receiver(0);
  await expect(deliver(deliveryTo(url), { timeoutMs: 50, allowPrivate: true })).rejects.toMatchObject({
    code: 'callback.timeout',
    message: 'no answer within 0.05 s (gateway.callbacks.timeout)',
  });
});

test('a name that nobody knows, and one without an address, is an error of the attempt', async () => {
  const answer = (error: Error | null, found: object[] | undefined) =>
    vi.spyOn(dns, 'lookup').mockImplementation(((_: string, __: object, done: (...all: unknown[]) => void) => done(error, found)) as never);
  const look = () => new Promise((resolve) => publicLookup('hooks.example.com', { all: true }, (error) => resolve(error?.message)));
  answer(new Error('getaddrinfo ENOTFOUND hooks.example.com'), undefined);
  expect(await look()).toBe('getaddrinfo ENOTFOUND hooks.example.com');
  answer(null, []);
  expect(await look()).toContain('hooks.example.com (no address) is a private address');
});

test.each([
  [`https://example.com/${'x'.repeat(1980)}`, undefined],
  [`https://example.com/${'x'.repeat(1981)}`, 'expected string to have <=2000 characters'],
  // 1,000 blanks are %20 each when the address is written as it is called.
  [`https://example.com/${' '.repeat(1000)}x`, 'is longer than 2000 characters'],
])('an address may have 2,000 characters, as it is called', (text, why) => {
  expect(callbackUrl.safeParse(text).error?.issues[0]?.message).toEqual(why === undefined ? undefined : expect.stringContaining(why));
});

describe('the sender', () => {
  /** Jobs that have ended, each with a callback; the sender goes by its own clock. */
  async function callbacksTo(url: string, count: number, changes: Record<string, unknown> = {}) {
    const clock = new ManualClock(START);
    const at = new Date(START);
    const [{ id: keyId }] = (await mesh.db.rows<{ id: string }>('SELECT id FROM api_keys LIMIT 1')) as [{ id: string }];
    for (let number = 0; number < count; number++) {
      const { body } = await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: `S${number}`, analyse: false });
      await mesh.db.run('INSERT INTO callbacks (id, job_id, key_id, url, due_at, created_at) VALUES (?)', [
        [idToBytes(newJobId(at.getTime())), idToBytes(body.jobs[0].id), keyId, url, at, at],
      ]);
    }
    await setJobs(mesh.db, { state: 'completed' });
    const config = configOf({ 'gateway.callbacks.allow_private': true, 'gateway.callbacks.poll_interval': 3600, ...changes });
    const lines: string[] = [];
    const log = Object.assign(Object.create(silent), { warn: (_: unknown, text: string) => lines.push(text) });
    const start = () => {
      const sender = startCallbacks({ db: mesh.db, clock, config, log });
      onTestFinished(() => sender.close());
      return sender;
    };
    return { lines, start };
  }
  const rows = () =>
    mesh.db.rows<{ state: string; attempts: number; due_at: Date; last_status: number | null }>(
      'SELECT state, attempts, due_at, last_status FROM callbacks ORDER BY id',
    );
  const secondsUntil = (at: Date): number => (at.getTime() - Date.parse(START)) / 1000;

  test.each([
    [200, 'delivered'],
    [299, 'delivered'],
    [300, 'failed'],
  ])('takes the status %d as %s', async (status, state) => {
    const { url } = await receiver(status);
    const { start } = await callbacksTo(url, 1, { 'gateway.callbacks.backoff': [] });
    const sender = start();
    await expect.poll(rows).toMatchObject([{ state, attempts: 1, last_status: status, due_at: new Date(START) }]);
    await sender.close();
    expect(sender.counters).toEqual({ pending: 0, delivered: 0, failed: 0, [state]: 1 });
  });

  test('tries again after the configured pause, a fifth more or less, so that not all come at once', async () => {
    const { url } = await receiver(503);
    const { start, lines } = await callbacksTo(url, 20, {
      'gateway.callbacks.backoff': [1000, 5000],
      'gateway.callbacks.circuit.failures': 100,
    });
    const sender = start();
    await expect.poll(async () => (await rows()).filter(({ last_status }) => last_status === 503)).toHaveLength(20);
    const pauses = (await rows()).map(({ due_at }) => secondsUntil(due_at));
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(800);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(1200);
    expect(Math.max(...pauses) - Math.min(...pauses)).toBeGreaterThan(20);
    await sender.close();
    expect(sender.counters).toEqual({ pending: 20, delivered: 0, failed: 0 });
    expect(lines[0]).toMatch(/^callback tried again at 2026-03-03T16:1\d:\d\d\.\d{3}Z: the receiver answered 503$/);
  });

  test('holds an attempt for its time-out and half a minute, in which no other gateway makes it', async () => {
    const { url, calls, hangUp } = await receiver(0);
    const { start } = await callbacksTo(url, 1, { 'gateway.callbacks.timeout': 20 });
    start();
    await expect.poll(() => calls.length).toBe(1);
    expect((await rows()).map(({ state, attempts, due_at }) => [state, attempts, secondsUntil(due_at)])).toEqual([['pending', 1, 50]]);
    hangUp();
  });

  test('looks at its interval until it is closed', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    const { url, calls } = await receiver(200);
    const { start } = await callbacksTo(url, 1, { 'gateway.callbacks.poll_interval': 30 });
    const due = (at: number) => mesh.db.run("UPDATE callbacks SET state = 'pending', due_at = ?", [new Date(at)]);
    await due(Date.parse(START) + 1);
    const sender = start();
    await due(Date.parse(START));
    await vi.advanceTimersByTimeAsync(30_000);
    await expect.poll(() => calls.length).toBe(1);
    await sender.close();
    await due(Date.parse(START));
    await vi.advanceTimersByTimeAsync(120_000);
    expect(calls).toHaveLength(1);
    expect(await rows()).toMatchObject([{ state: 'pending' }]);
  });

  test('takes nothing more when it was closed, and waits for what is under way', async () => {
    const { url, calls } = await receiver(200);
    const { start } = await callbacksTo(url, 1);
    const sender = start();
    await sender.close();
    expect(calls).toHaveLength(1);
    expect(await rows()).toMatchObject([{ state: 'delivered' }]);
    await mesh.db.run("UPDATE callbacks SET state = 'pending', due_at = ?", [new Date(START)]);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    sender.ring(newJobId(0));
    expect([vi.getTimerCount(), calls.length]).toEqual([0, 1]);
  });
});
