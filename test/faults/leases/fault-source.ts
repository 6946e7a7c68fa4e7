/**
 * A market source whose symbols say what becomes of the process that asks for them. Each request is written to the file NODE_FAULT_STARTS as
 * `start <symbol> <pid>`.
 *
 *   KILL…   the process is killed by SIGKILL, as the kernel does when memory runs out
 *   ABORT…  the process aborts, as Node does when its heap is full
 *   HANG…   the process blocks for ever
 *   GATE…   the answer comes when the file NODE_FAULT_GATE exists
 *   others  the answer comes after 200 ms: long enough to be hit by what a neighbour does
 */
import { appendFileSync, existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { type FailoverSource, failoverSource } from '../../../services/market/sources/failover-source.ts';
import { simulatedSource } from '../../../services/market/sources/simulated.ts';
import type { MarketSource } from '../../../services/market/sources/source.ts';
import type { Clock } from '../../../services/platform/clock.ts';

const [starts, gate] = [process.env.NODE_FAULT_STARTS as string, process.env.NODE_FAULT_GATE as string];
const ANSWER_MS = 200;
/** Its neighbours have begun, and none has ended. */
const FAULT_MS = 100;

export async function faultSources({ clock }: { clock: Clock }): Promise<{ all: FailoverSource; real: FailoverSource }> {
  const market = simulatedSource({ seed: 1, clock });
  const faulty: MarketSource = {
    name: 'simulated',
    async bars(symbol, range, signal) {
      appendFileSync(starts, `start ${symbol} ${process.pid}\n`);
      if (symbol.startsWith('GATE')) while (!existsSync(gate)) await delay(10, undefined, { signal });
      else if (/^(KILL|ABORT|HANG)/.test(symbol)) await delay(FAULT_MS);
      else await delay(ANSWER_MS, undefined, { signal });
      if (symbol.startsWith('KILL')) process.kill(process.pid, 'SIGKILL');
      if (symbol.startsWith('ABORT')) process.abort();
      while (symbol.startsWith('HANG'));
      return market.bars(symbol, range, signal);
    },
  };
  const chain = failoverSource({ sources: [faulty], clock, timeoutMs: 600_000, breaker: { failures: 1_000, openMs: 1 } });
  return { all: chain, real: chain };
}
