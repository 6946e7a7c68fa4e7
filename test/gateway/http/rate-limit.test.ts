import { expect, test } from 'vitest';
import { gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh({
  'gateway.rate_limit.requests': 5,
  'gateway.rate_limit.anonymous_requests': 3,
  'gateway.rate_limit.window': 600,
});

test('a key that asks too often gets 429 and when to come again, another key and the health check do not', async () => {
  const busy = await mesh.caller('read');
  const quiet = await mesh.caller('read');
  const statuses: number[] = [];
  for (let request = 0; request < 6; request++) statuses.push((await busy.get('/v1/alerts')).status);
  expect(statuses).toEqual([200, 200, 200, 200, 200, 429]);
  const refused = await busy.get('/v1/alerts');
  expect(refused.headers.get('content-type')).toBe('application/problem+json');
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(500);
  expect(refused.body).toMatchObject({
    code: 'request.too_many',
    status: 429,
    detail: expect.stringContaining('more than 5 requests within 600 s'),
  });
  expect((await quiet.get('/v1/alerts')).status).toBe(200);
  expect((await mesh.anonymous.get('/healthz')).status).toBe(200);
});

test('who shows no valid key is counted by address, and healthy all the same', async () => {
  const statuses: number[] = [];
  for (let request = 0; request < 5; request++) statuses.push((await mesh.anonymous.get('/v1/alerts')).status);
  expect(statuses).toEqual([401, 401, 401, 429, 429]);
  for (let request = 0; request < 5; request++) expect((await mesh.anonymous.get('/healthz')).status).toBe(200);
});
