// Starts the scheduler service as a process of its own that a test may kill: its options are JSON in the first argument.
import { tmpdir } from 'node:os';
import { pino } from 'pino';
import { connectBus } from '../../services/platform/bus/bus.ts';
import { systemClock } from '../../services/platform/clock.ts';
import { type DatabaseOptions, openDatabase } from '../../services/platform/database/database.ts';
import { startHeartbeat } from '../../services/platform/registry/heartbeat.ts';
import { startSchedulerService } from '../../services/scheduler/service.ts';
import { configOf } from './configuration.ts';

export interface Options {
  instance: string;
  database: DatabaseOptions;
  broker: { port: number; username: string; password: string };
  changes: Record<string, unknown>;
}

const { instance, database, broker, changes } = JSON.parse(process.argv[2]!) as Options;
const log = pino({ level: 'silent' });
const db = openDatabase(database);
const bus = connectBus({ ...broker, service: 'scheduler', instance, version: '0.1.0', log });
const context = { service: 'scheduler', instance, config: configOf(changes), log, clock: systemClock, dataFolder: tmpdir(), db, bus };
const heartbeat = await startHeartbeat(context);
const running = await startSchedulerService(context);
await bus.online();
console.log('ready');
process.once('SIGTERM', async () => {
  await running.drain();
  await heartbeat.retire();
  await bus.close();
  await db.close();
});
