/** g. How long ranking a chain takes, of the contracts' quotes, Greeks and history in memory to the rows that are kept. */

import { rankChain } from '../../services/market/options/ranking/rank.ts';
import { MODES } from '../../services/market/options/scoring/parts.ts';
import { holdings, inventMany } from '../market/options/chain/invented-chain.ts';
import type { Bench } from './report/bench.ts';
import { figure, print, progress, table, verdicts } from './report/report.ts';
import { spread } from './report/statistics.ts';

const CONTRACTS = 5000;
/** In exit mode every fiftieth contract is held. */
const HELD_EVERY = 50;
/** Of 50 ms for a whole chain; solving implied volatilities takes the rest. */
const AIM_MS = 15;

export async function rankingSection(bench: Pick<Bench, 'quick'>): Promise<unknown> {
  const runs = bench.quick ? 30 : 300;
  const measurements = MODES.map((mode) => {
    progress(`g. ranking: ${mode}`);
    const input = inventMany(CONTRACTS, { mode });
    const full = { ...input, positions: holdings(input, HELD_EVERY) };
    const wall: number[] = [];
    let kept = 0;
    const before = process.threadCpuUsage();
    for (let run = 0; run < runs; run++) {
      const started = performance.now();
      kept = rankChain(full).ranks.length;
      wall.push(performance.now() - started);
    }
    // Of all runs: the counter steps by the kernel's tick, which is as long as one of them.
    const { user, system } = process.threadCpuUsage(before);
    return { mode, kept, first: wall[0]!, wall: spread(wall), processor: (user + system) / 1000 / runs };
  });
  progress('');
  print(`\ng. Ranking a chain of ${figure(CONTRACTS)} contracts, ${runs} times; milliseconds\n`);
  print(
    table(
      ['mode', 'rows kept', 'first', 'p50', 'p90', 'p99', 'processor'],
      measurements.map(({ mode, kept, first, wall, processor }) => [mode, kept, first, wall.p50, wall.p90, wall.p99, processor]),
    ),
  );
  const slowest = Math.max(...measurements.map(({ wall }) => wall.p50));
  print(`\n${verdicts([{ aim: `under ${AIM_MS} ms (median)`, measured: `${figure(slowest)} ms`, met: slowest < AIM_MS }])}`);
  return { contracts: CONTRACTS, runs, modes: measurements };
}
