/** The list of symbols to choose from: those with a ranking, then those that are held. */
import { beforeEach, expect, test } from 'vitest';
import { gatewayMesh } from '../mesh.ts';
import { publishRuns, withoutRankings } from '../routes/ranking-rows.ts';

const mesh = gatewayMesh();
withoutRankings(mesh);
const hold = (user: string, ...symbols: string[]) =>
  mesh.operator.put(`/v1/users/${user}/portfolio`, { positions: symbols.map((symbol) => ({ symbol, quantity: 1, cost: 10 })) });
const listed = async (caller: Pick<typeof mesh.operator, 'get'> = mesh.operator) =>
  (await caller.get('/v1/rankings/symbols')).body.symbols.map(
    ({ symbol, held, rankings }: { symbol: string; held: boolean; rankings: unknown[] }) => [symbol, held, rankings.length],
  );

beforeEach(() => mesh.db.run('DELETE FROM holdings'));

test('ranked symbols stand first with their modes, those that are only held behind them', async () => {
  await publishRuns(mesh.db, ['entry', 'monitor']);
  await hold('alice', 'AAPL', 'ACME');
  expect(await listed()).toEqual([
    ['ACME', true, 2],
    ['AAPL', true, 0],
  ]);
  const [{ rankings, simulated }] = (await mesh.operator.get('/v1/rankings/symbols')).body.symbols;
  expect(rankings.map(({ mode }: { mode: string }) => mode).sort()).toEqual(['entry', 'monitor']);
  expect(simulated).toBe((await mesh.operator.get('/v1/rankings?symbol=ACME&mode=entry')).body.simulated);
});

test('a key of a user sees what that user holds, and nothing of others', async () => {
  await hold('alice', 'AAPL');
  await hold('bob', 'IBM');
  expect(await listed(await mesh.caller('user:alice'))).toEqual([['AAPL', true, 0]]);
});
