/** h. Rankings over HTTP: how long reading one takes at a steady rate, and how long it takes from asking for one to reading it. The whole mesh runs as `stockmesh up` starts it. */
import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { createKey } from '../../services/gateway/auth/keys.ts';
import { loadConfig } from '../../services/platform/config/load.ts';
import { databaseOptions } from '../../services/platform/connections.ts';
import { openDatabase } from '../../services/platform/database/database.ts';
import { startMesh } from './main-job.ts';
import type { Bench } from './report/bench.ts';
import { figure, print, progress, table, verdicts } from './report/report.ts';
import { spread, timed } from './report/statistics.ts';

const CONTRACTS = 4_500;
const RATE = 200;
const AIM_MS = 50;
const AIM_PUBLISHED_MS = 1_000;
const LOOK_MS = 5;
const LONGEST_MS = 60_000;
const SETTINGS = [
  'stock_jobs.data_fetch.sources=simulated',
  'stock_jobs.data_fetch.simulated.enabled=true',
  'ranking.chains.sources=simulated',
  `ranking.chains.simulated.contracts=${CONTRACTS}`,
];

export async function gatewaySection(bench: Pick<Bench, 'quick' | 'workers' | 'set'>): Promise<unknown> {
  const seconds = bench.quick ? 2 : 10;
  const samples = bench.quick ? 3 : 20;
  progress('h. rankings over HTTP: starting the mesh');
  const mesh = await startMesh('gateway', bench.workers, [...SETTINGS, ...bench.set]);
  const { config } = loadConfig({ environment: 'development', files: [] });
  const db = openDatabase({ ...databaseOptions(config, mesh.dataFolder, 'service'), maxConnections: 1 });
  const { key } = await createKey(db, { name: 'bench', scopes: ['admin'] }, new Date());
  const ask = client(mesh.url, key);

  const published: number[] = [];
  for (let sample = 0; sample <= samples; sample++) {
    progress(`h. rankings over HTTP: from asking to reading, ${sample} of ${samples}`);
    const took = await timed(() => ranked(ask, `NEW${sample}`, 'entry'));
    // The first one after a start is not counted.
    if (sample > 0) published.push(took);
  }
  const fifty = '/v1/rankings?symbol=NEW1&mode=entry&limit=50';
  let different = 0;
  const paths: Record<string, () => string> = {
    '50 ranks': () => fifty,
    '50 ranks, each explained': () => `${fifty}&why=true`,
    // No two requests are alike, so none is answered with what another one was.
    '50 ranks, sorted and filtered anew': () => `${fifty}&sort=greeks_score&min_rank=0.${++different}`,
    '50 jobs': () => '/v1/jobs?limit=50',
  };
  const reading = [];
  for (const [name, path] of Object.entries(paths)) {
    progress(`h. rankings over HTTP: ${name}`);
    await steadily(() => ask('GET', path()), 1);
    const before = mesh.processor();
    const took = await steadily(() => ask('GET', path()), seconds);
    const { gateway = 0, database = 0 } = mesh.processor();
    const each = (now: number, then = 0): number => (now - then) / took.length;
    reading.push({ name, ms: spread(took), gateway: each(gateway, before.gateway), database: each(database, before.database) });
  }
  progress('');
  await db.close();
  await mesh.stop();

  const made = spread(published);
  print(
    `\nh. Rankings over HTTP: ${RATE} requests a second for ${seconds} s; milliseconds, from the moment a request is due to the end of its answer\n`,
  );
  print(
    table(
      ['', 'p50', 'p90', 'p99', 'max', 'gateway', 'database'],
      reading.map(({ name, ms, gateway, database }) => [name, ms.p50, ms.p90, ms.p99, ms.max, gateway, database]),
    ),
  );
  print('  Gateway, database: processor milliseconds of a request; the counter steps by 10 ms.\n');
  print(
    table(
      [`from POST to the published run of ${figure(CONTRACTS)} contracts`, 'p50', 'p90', 'p99', 'max'],
      [[`${samples} symbols, their bars fetched first`, made.p50, made.p90, made.p99, made.max]],
    ),
  );
  const slowest = Math.max(...reading.map(({ ms }) => ms.p99));
  print(
    `\n${verdicts([
      { aim: `lists of 50 p99 under ${AIM_MS} ms`, measured: `${figure(slowest)} ms`, met: slowest < AIM_MS },
      {
        aim: `from POST to published p50 under ${AIM_PUBLISHED_MS} ms`,
        measured: `${figure(made.p50)} ms`,
        met: made.p50 < AIM_PUBLISHED_MS,
      },
    ])}`,
  );
  return { rate: RATE, seconds, reading, contracts: CONTRACTS, published: made };
}

type Ask = (method: string, path: string, body?: object) => Promise<string>;

/** Keeps its connections open, as browsers and dashboards do. */
function client(url: string, key: string): Ask {
  const agent = new Agent({ keepAlive: true });
  return (method, path, body) => {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const headers = { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) };
    const sent = request(`${url}${path}`, { agent, method, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        if ((response.statusCode ?? 500) < 300) resolve(text);
        else reject(new Error(`${method} ${path}: ${response.statusCode} ${text}`));
      });
    });
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
    return promise;
  };
}

/** Starts a request whenever one is due, whether or not the others have ended: a server that falls behind shows it. */
async function steadily(send: () => Promise<unknown>, seconds: number): Promise<number[]> {
  const count = RATE * seconds;
  const began = performance.now();
  const pending: Promise<number>[] = [];
  while (pending.length < count) {
    for (let due = began + (pending.length * 1000) / RATE; pending.length < count && due <= performance.now(); due += 1000 / RATE) {
      const dueAt = due;
      pending.push(send().then(() => performance.now() - dueAt));
    }
    await delay(1);
  }
  return Promise.all(pending);
}

/** Asks for a ranking and looks for it until it is there. */
async function ranked(ask: Ask, symbol: string, mode: string): Promise<void> {
  await ask('POST', '/v1/rankings', { symbol, mode });
  for (const began = performance.now(); ; await delay(LOOK_MS)) {
    const { run_at, state } = JSON.parse(await ask('GET', `/v1/rankings?symbol=${symbol}&mode=${mode}&limit=50`));
    if (run_at !== null) return;
    if (state.state === 'failed' || performance.now() - began > LONGEST_MS) throw new Error(state.text);
  }
}
