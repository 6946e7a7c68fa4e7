/** What one caller can take of the stored files and of the queues by asking for downloads, and how large an answer can become. */
import { PassThrough } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { beforeEach, describe, expect, test } from 'vitest';
import { closing, createHistoryFiles } from '../../../services/gateway/history/files.ts';
import { storeAbsences } from '../../../services/history/manifest.ts';
import { planOf } from '../../../services/history/plan.ts';
import { absence } from '../../history/manifest-rows.ts';
import { type Caller, gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh({
  'gateway.events.max_per_key': 1,
  'gateway.quotas.jobs_per_key': 10,
  'queue.priority_queues.foreground.max_jobs': 30,
});
const DECADE = { root: 'AAPL', start_date: '2014-01-01', end_date: '2023-12-31', schema: 'quote', interval: '15m' };
// A key of its own for each test: its quota is reckoned up in the gateway.
let caller: Caller;
beforeEach(async () => {
  caller = await mesh.caller('admin');
});

test('three years without a file and with the longest reasons are read in pages below a megabyte', async () => {
  const reason = 'r'.repeat(2_000);
  const [from, to] = ['2021-01-01', '2023-12-31'];
  const plan = planOf({ asset: 'option', schema: 'quote', interval: '15m', root: 'AAPL', from, to });
  const absences = plan.map(({ object }) => absence(object.key, { state: 'failed', reason }));
  for (let start = 0; start < absences.length; start += 500)
    await mesh.db.transaction((tx) => storeAbsences(tx, absences.slice(start, start + 500)));
  const days: { date: string; state: string }[] = [];
  let largest = 0;
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page = cursor === '' ? '' : `&cursor=${cursor}`;
    const { body } = await caller.get(`/v1/history/coverage?root=AAPL&dataset=option&schema=quote&from=${from}&to=${to}${page}`);
    days.push(...body.days);
    largest = Math.max(largest, JSON.stringify(body).length);
    // Trading days of 2021, 2022 and 2023: 252, 251 and 250 (NYSE).
    expect(body.counts.failed).toBe(753);
    cursor = body.next;
  }
  expect(largest).toBeLessThan(1_000_000);
  expect(new Set(days.map(({ date }) => date)).size).toBe(3 * 365);
  expect(days.length).toBe(3 * 365);
});

test('a key that asks for long downloads with the highest priority leaves room in foreground for the requests of others', async () => {
  const roots = ['AAPL', 'MSFT', 'GOOG', 'AMZN', 'META'];
  for (const root of roots) {
    const { status } = await caller.post('/v1/historical/option', { ...DECADE, root, priority: 1 });
    expect(status).toBe(202);
  }
  const other = await mesh.caller('jobs');
  const { status } = await other.post('/v1/jobs', { type: 'fetch', symbol: 'NVDA', priority: 1, analyse: false });
  expect(status).toBe(202);
});

test('a request that waits for the end of its job counts as an open stream of its key', async () => {
  const path = '/v1/historical/option?mode=sync';
  const first = caller.post(path, { ...DECADE, start_date: '2023-12-29' });
  await expect.poll(async () => (await caller.get('/v1/jobs?type=history')).body.jobs.length).toBe(1);
  const second = await caller.post(path, { ...DECADE, start_date: '2023-12-28' });
  expect([second.status, second.body.quota]).toEqual([429, 'gateway.events.max_per_key']);
  const [{ id }] = (await caller.get('/v1/jobs?type=history')).body.jobs;
  await caller.post(`/v1/jobs/${id}/cancel`);
  expect((await first).body.status).toBe('cancelled');
  // Its place is free again.
  const stop = new AbortController();
  const headers = { authorization: `Bearer ${caller.key}` };
  const stream = await fetch(`${mesh.gateway.url}/v1/events`, { headers, signal: stop.signal });
  stop.abort();
  expect(stream.status).toBe(200);
});

test('the work for a caller that has gone before it begins is ended at once', () => {
  const raw = new PassThrough();
  raw.destroy();
  expect(closing({ raw } as unknown as FastifyReply).aborted).toBe(true);
});

describe('questions to the stored files', () => {
  const alice = { id: 'a', name: 'alice', scopes: ['read'] };
  const bob = { id: 'b', name: 'bob', scopes: ['read'] };
  const none = {} as Parameters<typeof createHistoryFiles>[0];

  test('an export that is not read holds up no other caller', async () => {
    const files = createHistoryFiles(none, none, 2);
    const unread = Promise.withResolvers<void>();
    const running = files.exporting(alice, () => unread.promise);
    expect(await files.exporting(bob, async () => 'done')).toBe('done');
    unread.resolve();
    await running;
  });

  test('one caller has so many at once, one after the other; more are 429 with the quota', async () => {
    const files = createHistoryFiles(none, none, 2);
    const gate = Promise.withResolvers<void>();
    const order: string[] = [];
    const running = [
      files.exporting(alice, async () => {
        await gate.promise;
        order.push('first');
      }),
      files.exporting(alice, async () => order.push('second')),
    ];
    await expect(files.exporting(alice, async () => order.push('third'))).rejects.toMatchObject({
      ...{ status: 429, code: 'quota.history', quota: 'gateway.quotas.history_questions' },
    });
    gate.resolve();
    await Promise.all(running);
    expect(order).toEqual(['first', 'second']);
    expect(await files.exporting(alice, async () => 'again')).toBe('again');
  });

  test('several keys of one user are one caller', async () => {
    const files = createHistoryFiles(none, none, 1);
    const gate = Promise.withResolvers<void>();
    const running = files.exporting({ ...alice, scopes: ['user:ada'] }, () => gate.promise);
    await expect(files.exporting({ ...bob, scopes: ['user:ada'] }, async () => 'done')).rejects.toMatchObject({ code: 'quota.history' });
    gate.resolve();
    await running;
  });
});
