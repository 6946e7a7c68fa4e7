import { expect, test } from 'vitest';
import { gatewayMesh } from '../mesh.ts';
import { publishRuns, withoutRankings } from './ranking-rows.ts';

const mesh = gatewayMesh();
withoutRankings(mesh);
const ASK = '/functions/v1/trigger-ranking-job';
const READ = '/functions/v1/options-rankings';

test('a ranking that is asked for by the older path is the job of the newer one', async () => {
  const older = await mesh.operator.post(ASK, { symbol: 'aapl', mode: 'entry', priority: 2 });
  expect(older).toMatchObject({
    status: 202,
    body: {
      message: expect.any(String),
      symbol: 'AAPL',
      jobId: expect.any(String),
      estimatedCompletionSeconds: null,
      queuePosition: 1,
      priority: 2,
    },
  });
  const newer = await mesh.operator.post('/v1/rankings', { symbol: 'AAPL', mode: 'entry' });
  expect(newer).toMatchObject({ status: 200, body: { jobId: older.body.jobId } });
  expect((await mesh.operator.post(ASK, { symbol: 'AAPL', mode: 'entry' })).status).toBe(200);
  expect((await mesh.operator.get(`/jobs/${older.body.jobId}`)).body).toMatchObject({ job_id: older.body.jobId, status: 'blocked' });
});

test('the older path reads the same document', async () => {
  await publishRuns(mesh.db);
  for (const query of [
    'symbol=acme',
    'symbol=ACME&mode=entry&side=put&signal=greeks&sort=greeks_score&limit=7',
    'symbol=ACME&mode=exit&side=call',
  ]) {
    const newer = await mesh.operator.get(`/v1/rankings?${query}`);
    const older = await mesh.operator.get(`${READ}?${query}`);
    expect([older.status, older.body]).toEqual([200, newer.body]);
    expect(newer.body.totalRanks).toBeGreaterThan(0);
  }
});

test('of exit mode users see their own positions by the older path too', async () => {
  await publishRuns(mesh.db, ['exit']);
  const { body } = await (await mesh.caller('user:alice')).get(`${READ}?symbol=ACME&mode=exit`);
  expect(new Set(body.ranks.map((rank: { user_id: string }) => rank.user_id))).toEqual(new Set(['alice']));
  expect(body.total).toBeNull();
});

test.each([
  ['strategy', 'symbol=ACME&strategy=entry'],
  ['sort', 'symbol=ACME&sort=best'],
  ['mode', 'symbol=ACME&mode=all'],
  ['symbol', 'mode=entry'],
])('a query whose %s is not right is 400 and named', async (field, query) => {
  expect(await mesh.operator.get(`${READ}?${query}`)).toMatchObject({ status: 400, body: { errors: [{ in: 'query', field }] } });
});

test('a body with what only the newer path takes is 400', async () => {
  expect(await mesh.operator.post(ASK, { symbol: 'AAPL', user: 'alice' })).toMatchObject({
    status: 400,
    body: { errors: [{ in: 'body', field: 'user' }] },
  });
});

test('an unknown symbol is 404, a key is needed', async () => {
  expect(await mesh.operator.get(`${READ}?symbol=NOPE`)).toMatchObject({ status: 404, body: { code: 'symbol.unknown' } });
  expect((await mesh.anonymous.get(`${READ}?symbol=NOPE`)).status).toBe(401);
  expect((await mesh.anonymous.post(ASK, { symbol: 'NOPE' })).status).toBe(401);
});
