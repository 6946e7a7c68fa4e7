/** Clients of the streams as they come and go, with the configuration as shipped but for the number of clients. */
import fastify from 'fastify';
import { expect, onTestFinished, test, vi } from 'vitest';
import { openStream } from '../../../services/gateway/live/sse.ts';
import type { Draft } from '../../../services/platform/messages.ts';
import { type Caller, gatewayMesh } from '../mesh.ts';
import { listen } from './event-source.ts';

const mesh = gatewayMesh({ 'gateway.events.max_clients': 2 });
const events = (caller: Caller, query = '', headers: Record<string, string> = {}) =>
  listen(`${mesh.gateway.url}/v1/events${query}`, caller, headers);
const landed = (symbol: string): Draft<'data'> => ({
  ...{ symbol, kind: 'bars', source: 'yahoo_finance', as_of: '2026-03-03T16:00:00Z', rows: 1 },
});
/** How many clients the gateway has. */
const clients = async () => /stockmesh_event_streams (\d+)/.exec((await mesh.anonymous.get('/metrics')).body)?.[1];
const ask = async (symbol: string, user?: string): Promise<string> => {
  const body = { type: 'fetch', symbol, analyse: false, ...(user === undefined ? {} : { user }) };
  return (await mesh.operator.post('/v1/jobs', body)).body.jobs[0].id;
};

test('a client that goes makes room for another, and is counted no longer', async () => {
  const first = await events(mesh.operator, '?types=alert');
  const second = await events(mesh.operator, '?types=alert');
  await expect.poll(clients).toBe('2');
  expect(await mesh.operator.get('/v1/events')).toMatchObject({ status: 503, body: { code: 'events.too_many' } });
  first.close();
  await expect.poll(clients).toBe('1');
  await expect.poll(async () => (await events(mesh.operator, '?types=alert')).status).toBe(200);
  second.close();
});

test('a stream shows a sign of life only now and then, and tells the reader when to come back', async () => {
  await expect.poll(clients).toBe('0');
  const source = await events(mesh.operator, '?types=data');
  for (let messages = 1; messages <= 20; messages++) {
    await mesh.bus.publish('data', landed('AAPL'));
    await expect.poll(() => source.of('data').length).toBe(messages);
  }
  expect(source.comments).toBe(0);
  source.close();

  const id = await ask('AAPL');
  const job = await listen(`${mesh.gateway.url}/v1/jobs/${id}/events`, mesh.operator);
  await expect.poll(() => job.of('state').length).toBe(1);
  await mesh.operator.post(`/v1/jobs/${id}/cancel`);
  await job.ended;
  expect([job.of('end').length, job.comments]).toEqual([1, 0]);

  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  const app = fastify();
  onTestFinished(() => app.close());
  app.get('/', async (_, reply) => openStream(reply, { heartbeatMs: 3_600_000, maxBehind: 1_000 }).end());
  const answer = await fetch(await app.listen({ host: '127.0.0.1', port: 0 }));
  // HTML standard, 9.2.6: `retry` is in milliseconds.
  expect(await answer.text()).toBe('retry: 2000\n\n');
  // A reader that has gone gets no signs of life.
  await expect.poll(() => vi.getTimerCount()).toBe(0);
  expect(Object.fromEntries(answer.headers)).toMatchObject({
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
  });
});

test('who has heard nothing but the beginning of a stream misses nothing either when it comes back', async () => {
  await expect.poll(clients).toBe('0');
  const first = await events(mesh.operator, '?types=data');
  await expect.poll(() => first.heard.length).toBe(1);
  first.close();
  await mesh.bus.publish('data', landed('MISSED'));
  const other = await events(mesh.operator, '?types=data');
  await mesh.bus.publish('data', landed('LATER'));
  await expect.poll(() => other.of('data').map(({ symbol }) => symbol)).toContain('LATER');
  const second = await events(mesh.operator, '?types=data', { 'last-event-id': first.lastEventId! });
  await expect
    .poll(() => second.heard.map(({ event, data }) => [event, data.symbol]))
    .toEqual([
      ['data', 'MISSED'],
      ['data', 'LATER'],
    ]);
  for (const source of [other, second]) source.close();
});

test("a key of a user hears of the states of the jobs that a login has caused, which are named in that user's answer alone", async () => {
  await expect.poll(clients).toBe('0');
  const source = await events(await mesh.caller('user:alice'), '?types=status,portfolio');
  await expect.poll(clients).toBe('1');
  const [own, foreign] = [await ask('OWN'), await ask('FOREIGN')];
  const answer = (user_id: string, id: string): Draft<'portfolio'> => ({
    ...{ user_id, at: '2026-03-03T16:00:00Z', total: 1, queued: 1, fresh: 0, outdated: 0, missing: 0, unknown: 0, joined: 0 },
    text: '1 of 1 symbols queued',
    jobs: [
      {
        ...{ id, symbol: 'AAPL', type: 'fetch', priority: 1, queue: 'foreground', score: 0.5, coalesced: false },
        why: { text: 'a login' },
      },
    ],
    skipped: [],
  });
  await mesh.bus.publish('portfolio', answer('bob', foreign));
  await mesh.bus.publish('portfolio', answer('alice', own));
  await expect.poll(() => source.of('portfolio').length).toBe(1);
  for (const id of [foreign, own]) await mesh.operator.post(`/v1/jobs/${id}/cancel`);
  await expect.poll(() => source.of('status').map(({ id, state }) => [id, state])).toEqual([[own, 'cancelled']]);
  source.close();
});

test('jobs that were started again are announced as new ones are', async () => {
  const monitor = mesh.connect('monitor');
  const heard: string[] = [];
  await monitor.subscribe('job', {}, ({ body }) => void heard.push(body.symbol!)).ready;
  const id = await ask('ONE');
  await expect.poll(() => heard).toEqual(['ONE']);
  await mesh.operator.post(`/v1/jobs/${id}/cancel`);
  await mesh.operator.post(`/v1/jobs/${id}/retry`);
  await expect.poll(() => heard).toEqual(['ONE', 'ONE']);
  await mesh.operator.post(`/v1/jobs/${id}/cancel`);
  expect((await mesh.operator.post('/v1/jobs/redrive', { state: 'cancelled' })).body.redriven).toEqual([id]);
  await expect.poll(() => heard).toEqual(['ONE', 'ONE', 'ONE']);
});

test('a status of a job that is named like an event of its own harms no stream', async () => {
  const id = await ask('MSFT');
  const job = await listen(`${mesh.gateway.url}/v1/jobs/${id}/events`, mesh.operator);
  const all = await events(mesh.operator, '?types=status');
  await expect.poll(() => job.of('state').length).toBe(1);
  await mesh.bus.publish('status', { id: 'error', type: 'fetch', state: 'running', attempt: 1, at: '2026-03-03T16:00:00Z' });
  await expect.poll(() => all.of('status').length).toBe(1);
  await mesh.operator.post(`/v1/jobs/${id}/cancel`);
  await job.ended;
  expect(job.of('end').length).toBe(1);
  all.close();
});
