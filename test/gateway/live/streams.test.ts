/** How many event streams a key and a user may have, of both kinds together. */
import { expect, test } from 'vitest';
import { type Caller, gatewayMesh } from '../mesh.ts';
import { listen } from './event-source.ts';

const mesh = gatewayMesh({ 'gateway.events.max_per_key': 3, 'gateway.events.max_per_user': 2 });
const events = (caller: Caller) => listen(`${mesh.gateway.url}/v1/events`, caller);
const statuses = async (caller: Caller, times: number): Promise<number[]> => {
  const all: number[] = [];
  for (let time = 0; time < times; time++) all.push((await events(caller)).status);
  return all;
};

test('a key has so many streams, then 429 with the quota and when to come again', async () => {
  const [one, other] = [await mesh.caller('read'), await mesh.caller('read')];
  expect(await statuses(one, 4)).toEqual([200, 200, 200, 429]);
  const refused = await one.get('/v1/events');
  expect(refused).toMatchObject({
    status: 429,
    body: { code: 'events.too_many_of_key', quota: 'gateway.events.max_per_key', detail: expect.stringContaining('3 event streams open') },
  });
  expect(refused.headers.get('retry-after')).toBe('10');
  expect((await events(other)).status).toBe(200);
});

test('a user has so many with all keys that are only for users', async () => {
  const [one, two] = [await mesh.caller('user:ada'), await mesh.caller('user:ada')];
  expect([...(await statuses(one, 1)), ...(await statuses(two, 2))]).toEqual([200, 200, 429]);
  expect((await two.get('/v1/events')).body).toMatchObject({ code: 'events.too_many_of_user', quota: 'gateway.events.max_per_user' });
  expect((await events(await mesh.caller('user:bob'))).status).toBe(200);
});

test('streams of single jobs count as well', async () => {
  const caller = await mesh.caller('read');
  const { body } = await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', analyse: false });
  const path = `/v1/jobs/${body.jobs[0].id}/events`;
  for (let stream = 0; stream < 3; stream++) expect((await listen(`${mesh.gateway.url}${path}`, caller)).status).toBe(200);
  expect((await caller.get(path)).body).toMatchObject({ status: 429, code: 'events.too_many_of_key' });
  expect((await events(caller)).status).toBe(429);
});

test('a stream that is closed makes room', async () => {
  const caller = await mesh.caller('read');
  const [first] = [await events(caller), await events(caller), await events(caller)];
  expect((await events(caller)).status).toBe(429);
  first?.close();
  await expect.poll(async () => (await events(caller)).status).toBe(200);
});
