import { afterAll, expect, test } from 'vitest';
import { longTest } from '../../support/long.ts';
import type { Addresses } from '../contenders/contender.ts';
import { stopAll } from '../processes/servers.ts';
import { createBench } from '../report/bench.ts';
import { measureAll } from './section.ts';

afterAll(stopAll);

const fresh = { stale: 0, writes: { symbols: 9 }, fresh: { max: expect.toSatisfy(Number.isFinite) } };

test('the short form of stockmesh alone: every symbol becomes fresh, none twice', { timeout: 120_000 }, async () => {
  const bench = createBench({ quick: true, rounds: 1, workers: 1, set: [] });
  // No server of a peer, and none for the sections that have no mesh.
  const alone = { ...bench, addresses: async () => ({}) as Addresses };

  const { rounds } = await measureAll(alone, { users: 12, symbols: 9, each: 3, rounds: 1, killRounds: 0, killWaitMs: 0 });

  expect([...rounds.keys()]).toEqual(['stockmesh']);
  expect(rounds.get('stockmesh')).toMatchObject([{ ...fresh, writes: { symbols: 9, twice: 0 } }]);
});

// Peers whose servers are not installed are left out, as in the bench.
longTest(
  'the short form: every contestant makes every symbol fresh, and stockmesh loses no login when a worker is killed',
  {
    timeout: 300_000,
  },
  async () => {
    const bench = createBench({ quick: true, rounds: 1, workers: 2, set: [] });

    const { rounds, kills } = await measureAll(bench, { users: 12, symbols: 9, each: 3, rounds: 1, killRounds: 1, killWaitMs: 30_000 });

    const addresses = await bench.contenders();
    expect([...rounds.keys()]).toEqual(addresses);
    for (const [round] of rounds.values()) expect(round).toMatchObject(fresh);
    expect(rounds.get('stockmesh')?.[0]?.writes.twice).toBe(0);
    expect(kills.get('stockmesh')?.[0]).toMatchObject({ logins: 12, lost: 0, staleSymbols: 0 });
  },
);
