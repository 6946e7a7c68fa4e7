import { expect, test } from 'vitest';
import { ranking } from '../../../services/gateway/routes/ranking-schemas.ts';
import { claim } from '../../../services/ledger/run/claim.ts';
import { complete, fail } from '../../../services/ledger/run/complete.ts';
import { PermanentError } from '../../../services/platform/errors.ts';
import { gatewayMesh } from '../mesh.ts';
import { withoutRankings } from './ranking-rows.ts';

const mesh = gatewayMesh();
withoutRankings(mesh);
const PATH = '/v1/rankings';
const post = (body: unknown) => mesh.operator.post(PATH, body);
const get = (query: string) => mesh.operator.get(`${PATH}?${query}`);
const bySymbol = { symbol: 'AAPL', mode: 'entry' };

const query = 'symbol=AAPL&mode=entry';
const empty = { run_at: null, totalRanks: 0, ranks: [], next: null };

test('a symbol that was never asked for is 404', async () => {
  expect(await get(query)).toMatchObject({
    status: 404,
    body: { code: 'symbol.unknown', detail: expect.stringContaining('POST /v1/rankings') },
  });
});

test('one that is known otherwise was never ranked', async () => {
  await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', analyse: false });
  const { status, body } = await get(query);
  expect([status, body]).toMatchObject([
    200,
    { ...empty, state: { state: 'never', job: null, text: expect.stringContaining('never asked for') } },
  ]);
  expect(ranking.safeParse(body).error).toBeUndefined();
});

test('one that is asked for is pending, and its job is named', async () => {
  const { jobId } = (await post(bySymbol)).body;
  const { body } = await get(query);
  expect(body).toMatchObject({ ...empty, state: { state: 'pending', job: { id: jobId, state: 'blocked' } } });
  expect(ranking.safeParse(body).error).toBeUndefined();
});

test('one that failed says why, and to others not who asked', async () => {
  const { jobId } = (await post({ ...bySymbol, user: 'bob' })).body;
  const [fetching] = (await claim(mesh.ledger, 'w1', 1)).jobs;
  await complete(mesh.ledger, 'w1', [{ job: fetching!, result: {} }]);
  const [job] = (await claim(mesh.ledger, 'w1', 1)).jobs;
  await fail(mesh.ledger, 'w1', [{ job: job!, error: new PermanentError('chain.empty', 'AAPL has no option contracts') }]);
  const { body } = await get(query);
  expect(body).toMatchObject({
    ...empty,
    state: {
      state: 'failed',
      job: { id: jobId, state: 'failed', reason: 'AAPL has no option contracts', user: 'bob' },
      text: expect.stringContaining('AAPL has no option contracts'),
    },
  });
  const alice = await mesh.caller('user:alice');
  expect((await alice.get(`${PATH}?${query}`)).body.state).toMatchObject({ state: 'failed', job: { user: null } });
});
