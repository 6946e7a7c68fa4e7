// A worker as a process of its own, whose jobs never end: it is there to be killed. Argument: JSON of `HeldWorker`.

import { pino } from 'pino';
import { failoverSource } from '../../../services/market/sources/failover-source.ts';
import type { MarketSource } from '../../../services/market/sources/source.ts';
import { connectBus } from '../../../services/platform/bus/bus.ts';
import { systemClock } from '../../../services/platform/clock.ts';
import { type DatabaseOptions, openDatabase } from '../../../services/platform/database/database.ts';
import { startHeartbeat } from '../../../services/platform/registry/heartbeat.ts';
import { startWorkerService } from '../../../services/worker/service.ts';
import { configOf } from '../../scheduler/configuration.ts';

export interface HeldWorker {
  database: DatabaseOptions;
  broker: { port: number; password: string };
  folder: string;
  changes: Record<string, unknown>;
}

const { database, broker, folder, changes } = JSON.parse(process.argv[2] as string) as HeldWorker;
const silentSource: MarketSource = { name: 'simulated', bars: () => new Promise(() => {}) };
const silent = pino({ level: 'silent' });
const [service, instance] = ['worker', 'worker-held'];
const bus = connectBus({
  ...{ ...broker, username: 'service' },
  ...{ service, instance, version: '0.1.0', log: silent },
});
const context = {
  ...{ service, instance, config: configOf(changes), dataFolder: folder, log: silent, clock: systemClock, bus },
  db: openDatabase({ ...database, maxConnections: 4 }),
};
await startWorkerService(context, async ({ clock }) => {
  const chain = failoverSource({ sources: [silentSource], clock, timeoutMs: 600_000, breaker: { failures: 1_000, openMs: 1 } });
  return { all: chain, real: chain };
});
await bus.online();
await startHeartbeat(context);
process.send?.('ready');
