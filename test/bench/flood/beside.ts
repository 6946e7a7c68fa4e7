/** i. How long a login waits for its acknowledgement at the embedded broker while the clients of another account send as fast as they can. */
import { setTimeout as delay } from 'node:timers/promises';
import mqtt from 'mqtt';
import { FLOODS } from '../processes/flood-process.ts';
import { startBrokerProcess, startFloodProcess } from '../processes/processes.ts';
import type { Bench } from '../report/bench.ts';
import { print, progress, table } from '../report/report.ts';
import { monotonicMs, percentile } from '../report/statistics.ts';

const CLIENTS = 20;
/** Milliseconds between two logins. */
const PAUSE_MS = 50;

export async function floodSection({ quick }: Bench): Promise<unknown> {
  const logins = quick ? 20 : 160;
  const results: Record<string, { p50: number; p95: number; max: number; alive: number }> = {};
  const { port, password } = await startBrokerProcess();
  const join = (username: string, clientId: string) =>
    mqtt.connectAsync({ host: '127.0.0.1', port, username, password, clientId, protocolVersion: 4, keepalive: 0, reconnectPeriod: 0 });
  const service = await join('portfolio-priority', 'stockmesh-portfolio-priority-bench');
  await service.subscribeAsync('events/login', { qos: 1 });
  const hook = await join('hook', 'quiet');
  for (const kind of ['none', ...Object.keys(FLOODS)] as const) {
    progress(`i. logins beside a flood: ${kind}`);
    const flood = kind === 'none' ? undefined : await startFloodProcess({ kind, port, password, clients: CLIENTS });
    await delay(quick ? 0 : 1000);
    const waits: number[] = [];
    for (let login = 0; login < logins; login++) {
      const start = monotonicMs();
      await hook.publishAsync('events/login', JSON.stringify({ userId: `bench-${kind}-${login}` }), { qos: 1 });
      waits.push(monotonicMs() - start);
      await delay(PAUSE_MS);
    }
    const alive = (await flood?.stop()) ?? 0;
    results[kind] = { p50: percentile(waits, 0.5), p95: percentile(waits, 0.95), max: Math.max(...waits), alive };
  }
  await Promise.all([hook.endAsync(), service.endAsync()]);
  const headings = ['i. beside a flood of', 'clients left', 'p50 ms', 'p95 ms', 'max ms'];
  print(
    table(
      headings,
      Object.entries(results).map(([kind, { p50, p95, max, alive }]) => [kind, alive, p50, p95, max]),
    ),
  );
  return results;
}
