import { expect, test } from 'vitest';
import { ranking } from '../../../services/gateway/routes/ranking-schemas.ts';
import { MODES, RANK_COLUMN } from '../../../services/market/options/scoring/parts.ts';
import { type Answer, gatewayMesh } from '../mesh.ts';
import { SIMULATED, withoutRankings, withWorker } from './ranking-rows.ts';

const mesh = gatewayMesh(SIMULATED);
withoutRankings(mesh);
withWorker(mesh);
const PATH = '/v1/rankings';

async function made(query: string): Promise<Answer['body']> {
  let body: Answer['body'];
  await expect
    .poll(
      async () => {
        body = (await mesh.operator.get(`${PATH}?${query}`)).body;
        return body.run_at ?? body.state?.text;
      },
      { timeout: 10_000 },
    )
    .toMatch(/^\d{4}-.*Z$/);
  return body;
}

test('from the request to the published run, in every mode, with one fetch of the bars', async () => {
  await mesh.operator.put('/v1/users/alice/positions', { positions: [] });
  for (const mode of MODES) {
    const { status, body } = await mesh.operator.post(PATH, { symbol: 'AAPL', mode });
    expect(status).toBe(202);
    const run = await made(`symbol=AAPL&mode=${mode}`);
    expect(run).toMatchObject({ symbol: 'AAPL', mode, simulated: true, source: 'simulated', job_id: body.jobId, state: null });
    expect(ranking.safeParse(run).error).toBeUndefined();
    if (mode === 'exit') expect(run).toMatchObject({ total: 0, totalRanks: 0, ranks: [] });
    else {
      expect(run.ranks).toHaveLength(50);
      const ranks = run.ranks.map((rank: Record<string, number>) => rank[RANK_COLUMN[mode]]);
      expect(ranks).toEqual(ranks.toSorted((a: number, b: number) => b - a));
    }
    expect(await mesh.operator.post(PATH, { symbol: 'AAPL', mode })).toMatchObject({
      status: 200,
      body: { jobId: body.jobId, state: 'completed' },
    });
  }
  expect(await mesh.db.rows('SELECT type, COUNT(*) AS jobs FROM job_states GROUP BY type ORDER BY type')).toEqual([
    { type: 'fetch', jobs: 1 },
    { type: 'rank', jobs: 3 },
  ]);
});

test('the positions that a user put are ranked in exit mode, with target and stop', async () => {
  await mesh.operator.post(PATH, { symbol: 'MSFT', mode: 'entry' });
  const [best, next] = (await made('symbol=MSFT&mode=entry')).ranks;
  const position = { contract: best.contract, quantity: 2, entry_price: best.mid / 2, stop: 0.3 };
  await mesh.operator.put('/v1/users/alice/positions', { positions: [position] });
  await mesh.operator.put('/v1/users/bob/positions', { positions: [{ contract: next.contract, quantity: 1, entry_price: next.mid }] });
  await mesh.operator.post(PATH, { symbol: 'MSFT', mode: 'exit' });
  const all = await made('symbol=MSFT&mode=exit');
  expect(all.ranks.map((rank: Record<string, unknown>) => rank.user_id).toSorted()).toEqual(['alice', 'bob']);
  const alice = await mesh.caller('user:alice');
  const { body } = await alice.get(`${PATH}?symbol=MSFT&mode=exit`);
  expect(body.ranks).toMatchObject([
    {
      user_id: 'alice',
      contract: best.contract,
      entry_price: best.mid / 2,
      stop_pct: 30,
      exit_rank: expect.any(Number),
      signals: expect.arrayContaining(['take_profit']),
    },
  ]);
});

test('many symbols are ranked', async () => {
  const symbols = ['A', 'B', 'C', 'D'];
  const { status, body } = await mesh.operator.post(PATH, { symbols, mode: 'monitor' });
  expect([status, body.rankings.length]).toEqual([202, 4]);
  for (const symbol of symbols) expect((await made(`symbol=${symbol}&limit=1`)).ranks).toMatchObject([{ underlying: symbol, place: 1 }]);
});

test('two hundred requests for the same while it is being made are one job', async () => {
  const answers = await Promise.all(Array.from({ length: 200 }, () => mesh.operator.post(PATH, { symbol: 'IBM', mode: 'entry' })));
  expect(new Set(answers.map(({ body }) => body.jobId)).size).toBe(1);
  expect(answers.filter(({ status }) => status === 202)).toHaveLength(1);
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(199);
  await made('symbol=IBM&mode=entry');
  expect(await mesh.db.rows("SELECT COUNT(*) AS runs FROM option_runs WHERE symbol = 'IBM'")).toEqual([{ runs: 1 }]);
});
