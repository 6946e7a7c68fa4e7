/** d. What a long queue costs: claims and enqueues while 1,000 to 1,000,000 jobs wait. */
import { claim } from '../../services/ledger/run/claim.ts';
import { complete } from '../../services/ledger/run/complete.ts';
import { type Database, openDatabase } from '../../services/platform/database/database.ts';
import { payload } from './contenders/contender.ts';
import { clearLedger, ledgerProducer, openLedger } from './contenders/ledger.ts';
import type { Bench } from './report/bench.ts';
import { figure, print, progress, table } from './report/report.ts';
import { type Spread, spread } from './report/statistics.ts';

interface Measured {
  waiting: number;
  claim1: Spread;
  claim10: Spread;
  enqueue: Spread;
}

export async function growthSection(bench: Bench): Promise<unknown> {
  const sizes = bench.quick ? [1_000, 10_000] : [1_000, 100_000, 1_000_000];
  const samples = bench.quick ? 50 : 300;
  const stockmesh = await bench.ledger();
  const root = openDatabase({ ...stockmesh.root, maxConnections: 1 });
  const measured: Measured[] = [];
  for (const waiting of sizes) {
    await clearLedger(stockmesh.root);
    progress(`d. growth: storing ${figure(waiting)} jobs`);
    await storeWaiting(root, waiting);
    progress(`d. growth: measuring with ${figure(waiting)} jobs waiting`);
    measured.push({ waiting, ...(await measure(bench, samples)) });
  }
  await clearLedger(stockmesh.root);
  await root.close();
  progress('');

  print(
    `\nd. Growth: milliseconds with so many jobs waiting, ${samples} samples each; one caller, each claim's jobs are completed before the next\n`,
  );
  print(
    table(
      ['waiting', 'claim 1: p50', 'p99', 'claim 10: p50', 'p99', 'enqueue 1: p50', 'p99', 'max'],
      measured.map(({ waiting, claim1, claim10, enqueue }) => [
        waiting,
        claim1.p50,
        claim1.p99,
        claim10.p50,
        claim10.p99,
        enqueue.p50,
        enqueue.p99,
        enqueue.max,
      ]),
    ),
  );
  return measured;
}

async function measure(bench: Bench, samples: number): Promise<Omit<Measured, 'waiting'>> {
  const stockmesh = await bench.ledger();
  const address = { ...stockmesh, broker: undefined };
  const { ledger, close } = await openLedger(address, 'claimer');
  const producer = await ledgerProducer(address);
  const claiming = async (size: number): Promise<number> => {
    const started = performance.now();
    const { jobs } = await claim(ledger, 'grower', size);
    const ms = performance.now() - started;
    if (jobs.length !== size) throw new Error(`claimed ${jobs.length} of ${size}`);
    await complete(
      ledger,
      'grower',
      jobs.map((job) => ({ job, result: {} })),
    );
    return ms;
  };
  const enqueueing = async (number: number): Promise<number> => {
    const started = performance.now();
    await producer.one(payload(number));
    return performance.now() - started;
  };
  const claim1: number[] = [];
  const claim10: number[] = [];
  const enqueue: number[] = [];
  // The first ones load pages and compile code.
  for (let sample = -20; sample < samples; sample++) {
    const one = await claiming(1);
    const ten = await claiming(10);
    // As many as were claimed, so that the number of waiting jobs stays.
    const added = await enqueueing(sample);
    await producer.many(Array.from({ length: 10 }, (_, index) => payload(index)));
    if (sample < 0) continue;
    claim1.push(one);
    claim10.push(ten);
    enqueue.push(added);
  }
  await producer.close();
  await close();
  return { claim1: spread(claim1), claim10: spread(claim10), enqueue: spread(enqueue) };
}

const CHUNK = 50_000;

/** As many ready jobs as the ledger would hold after that many enqueues, made by the server itself (MariaDB's sequence tables). */
export async function storeWaiting(root: Database, jobs: number): Promise<void> {
  const body = JSON.stringify(payload(0));
  const first = Date.now() - 3_600_000;
  for (let from = 0; from < jobs; from += CHUNK) {
    const to = Math.min(jobs, from + CHUNK) - 1;
    // UUIDv7: 48 bits of milliseconds, the version, a counter, the variant, the rest at random.
    await root.run(
      `INSERT INTO jobs (id, queue, priority, max_attempts, type, symbol, enqueued_at, payload, why, triggered_by)
       SELECT UNHEX(CONCAT(LPAD(HEX(? + seq DIV 4), 12, '0'), '7', LPAD(HEX(seq MOD 4), 3, '0'), '8', SUBSTR(MD5(seq), 1, 15))),
              'foreground', 10000 + 9999 - seq MOD 5000, 4, 'fetch', CONCAT('S', seq MOD 500), UTC_TIMESTAMP(3), ?, '{"text":"bench"}', 'user_login'
         FROM seq_${from}_to_${to}`,
      [first, body],
    );
  }
  await root.run(
    'INSERT INTO ready (queue, priority, job_id, type, due_at) SELECT queue, priority, id, type, UTC_TIMESTAMP(3) + INTERVAL 1 DAY FROM jobs ORDER BY queue, priority, id',
  );
  await root.run('ANALYZE TABLE jobs, ready');
}
