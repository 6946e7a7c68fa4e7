/** The answer to a request of ten years of quotes: the first one after a start, and later ones. The whole mesh runs as `stockmesh up` starts it. */
import { createKey } from '../../services/gateway/auth/keys.ts';
import { loadConfig } from '../../services/platform/config/load.ts';
import { databaseOptions } from '../../services/platform/connections.ts';
import { openDatabase } from '../../services/platform/database/database.ts';
import { startMesh } from './main-job.ts';
import type { Bench } from './report/bench.ts';
import { figure, print, progress, table, verdicts } from './report/report.ts';
import { median, spread } from './report/statistics.ts';

const AIM_MS = 100;
const REQUESTS = 20;
const SETTINGS = ['history.sources=simulated', 'stock_jobs.data_fetch.simulated.enabled=true'];

export async function historyRequestSection(bench: Pick<Bench, 'rounds' | 'set'>): Promise<unknown> {
  const cold: number[] = [];
  const warm: number[] = [];
  const processor: Record<'gateway' | 'database', number[]> = { gateway: [], database: [] };
  for (let round = 1; round <= bench.rounds; round++) {
    progress(`history-request: starting the mesh, ${round} of ${bench.rounds}`);
    const mesh = await startMesh(`history-request-${round}`, 1, [...SETTINGS, ...bench.set]);
    const { config } = loadConfig({ environment: 'development', files: [] });
    const db = openDatabase({ ...databaseOptions(config, mesh.dataFolder, 'service'), maxConnections: 1 });
    const { key } = await createKey(db, { name: 'bench', scopes: ['admin'] }, new Date());
    await db.close();
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
    for (let sample = 0; sample <= REQUESTS; sample++) {
      const body = JSON.stringify({ root: `T${sample}`, start_date: '2016-01-04', end_date: '2025-12-31', schema: 'quote' });
      const before = mesh.processor();
      const began = performance.now();
      const answer = await fetch(`${mesh.url}/v1/historical/option`, { method: 'POST', headers, body });
      const { job_id } = (await answer.json()) as { job_id: string };
      (sample === 0 ? cold : warm).push(performance.now() - began);
      const after = mesh.processor();
      for (const name of ['gateway', 'database'] as const) processor[name].push((after[name] ?? 0) - (before[name] ?? 0));
      if (answer.status !== 202) throw new Error(`the download was answered with ${answer.status}`);
      // The workers rest, so that a request has the machine to itself.
      await fetch(`${mesh.url}/v1/jobs/${job_id}/cancel`, { method: 'POST', headers });
    }
    await mesh.stop();
  }
  progress('');
  const [first, later] = [spread(cold), spread(warm)];
  print('\nhistory-request. Ten years of quotes (2,514 objects) asked for over HTTP: milliseconds from the request to its 202\n');
  print(
    table(
      ['', 'p50', 'max', 'requests'],
      [
        ['the first after a start', first.p50, first.max, String(cold.length)],
        ['later ones', later.p50, later.max, String(warm.length)],
      ],
    ),
  );
  const [gateway, database] = [median(processor.gateway), median(processor.database)];
  print(
    `  Processor milliseconds of one in the middle: gateway ${figure(gateway)}, database ${figure(database)}; the counter steps by 10 ms.`,
  );
  print(`\n${verdicts([{ aim: `p50 under ${AIM_MS} ms`, measured: `${later.p50.toFixed(0)} ms`, met: later.p50 < AIM_MS }])}`);
  return { first, later, processor: { gateway, database } };
}
