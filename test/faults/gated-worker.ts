// The real worker service with a market source that a test holds open: each request writes a line `start <symbol> <pid>` to the log file and answers once the
// gate file exists. Arguments: data folder, instance, log file, gate file, then --set texts.
import { appendFileSync, existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { loadFor } from '../../services/cli/session.ts';
import { failoverSource } from '../../services/market/sources/failover-source.ts';
import { simulatedSource } from '../../services/market/sources/simulated.ts';
import type { MarketSource } from '../../services/market/sources/source.ts';
import { runService } from '../../services/platform/lifecycle.ts';
import { startWorkerService } from '../../services/worker/service.ts';

const [, , dataFolder, instance, logFile, gate, ...set] = process.argv as string[];

process.exitCode = await runService('worker', {
  loaded: loadFor({ data: dataFolder, env: 'demo', set }).loaded,
  dataFolder: dataFolder as string,
  instance,
  start: (context) =>
    startWorkerService(context, async ({ clock }) => {
      const market = simulatedSource({ seed: 1, clock });
      const gated: MarketSource = {
        name: 'simulated',
        async bars(symbol, range, signal) {
          appendFileSync(logFile as string, `start ${symbol} ${process.pid}\n`);
          while (!existsSync(gate as string)) {
            signal.throwIfAborted();
            await delay(10);
          }
          return market.bars(symbol, range, signal);
        },
      };
      const chain = failoverSource({ sources: [gated], clock, timeoutMs: 600_000, breaker: { failures: 1_000, openMs: 1 } });
      return { all: chain, real: chain };
    }),
});
