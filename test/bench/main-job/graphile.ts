/**
 * The main job on Graphile Worker, as its documentation recommends: `addJobs` with a `jobKey` and the place in the queue preserved (Job key: throttling), rows in a
 * transaction on a connection of its pool (Task executors: `withPgClient`). It has no event that other processes hear: the transaction that writes the rows tells them by
 * NOTIFY. A key does not hold back a second job while the first one runs, so each job looks first whether its symbol is still stale. Neither a local queue nor batched
 * completions (Performance): jobs of a local queue count as running, so each login would add them again, and a batch of completions meets a deadlock with keys that are
 * being added, after which the worker stops.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Logger, makeWorkerUtils, run, type WorkerUtils } from 'graphile-worker';
import { CONCURRENCY } from './contestant.ts';
import { isStalePostgres, postgresReader, type Query, stalePostgres, storePostgres } from './market-postgres.ts';
import type { Application, PeerOptions, PeerWorker } from './peer.ts';
import { symbolWork } from './symbol-work.ts';

const TASK = 'refresh';
const CHANNEL = 'symbol_fresh';
const WORKER_POOL = CONCURRENCY + 25;
/** One to listen, one for everything else: logins that add the same keys on several connections meet deadlocks, of a second each. Measured: with 25 it takes three times as long. */
const APPLICATION_POOL = 2;
const DEADLOCK = '40P01';
const TRIES = 50;

const logger = new Logger(() => (level, message) => {
  if (level === 'error') process.stderr.write(`Graphile Worker: ${message}\n`);
});

export async function graphileUtils({ addresses }: Pick<PeerOptions, 'addresses'>, pool = APPLICATION_POOL): Promise<WorkerUtils> {
  const { connectionString } = addresses['Graphile Worker'] as { connectionString: string };
  return makeWorkerUtils({ connectionString, maxPoolSize: pool, logger });
}

/** One statement on a connection of the pool. */
export function queryWith({ withPgClient }: Pick<WorkerUtils, 'withPgClient'>): Query {
  return (text, values) => withPgClient((client) => client.query(text, values) as never);
}

export async function graphileApplication({ addresses, newest }: PeerOptions): Promise<Application> {
  const utils = await graphileUtils({ addresses });
  const query = queryWith(utils);
  const closed = Promise.withResolvers<void>();
  const listening = Promise.withResolvers<void>();
  let onFresh: (symbol: string) => void = () => {};
  const listener = utils.withPgClient(async (client) => {
    client.on('notification', ({ payload }) => onFresh(payload ?? ''));
    await client.query(`LISTEN ${CHANNEL}`);
    listening.resolve();
    await closed.promise;
    await client.query(`UNLISTEN ${CHANNEL}`);
  });
  await listening.promise;
  return {
    onFresh: (call) => {
      onFresh = call;
    },
    stale: (user) => stalePostgres(query, user, newest),
    async enqueue(symbols) {
      const jobs = symbols.map((symbol) => ({ identifier: TASK, payload: { symbol }, jobKey: symbol }));
      for (let tries = 1; ; tries++)
        try {
          await utils.addJobs(jobs, true);
          return;
        } catch (error) {
          // Two logins with the same symbols may lock the jobs in another order.
          if ((error as { code?: string }).code !== DEADLOCK || tries === TRIES) throw error;
          await delay(Math.random() * 50);
        }
    },
    async close() {
      closed.resolve();
      await listener;
      await utils.release();
    },
  };
}

export async function graphileWorker({ addresses, newest }: PeerOptions): Promise<PeerWorker> {
  const { connectionString } = addresses['Graphile Worker'] as { connectionString: string };
  // Made once; the helpers of all jobs reach the same pool.
  let work: ReturnType<typeof symbolWork> | undefined;
  const runner = await run({
    logger,
    noHandleSignals: true,
    taskList: {
      [TASK]: async (payload, helpers) => {
        work ??= symbolWork(postgresReader(queryWith(helpers)));
        const { symbol } = payload as { symbol: string };
        const rows = (await isStalePostgres(queryWith(helpers), symbol, newest)) ? await work(symbol) : undefined;
        await helpers.withPgClient(async (client) => {
          try {
            await client.query('BEGIN');
            if (rows !== undefined) await storePostgres((text, values) => client.query(text, values) as never, rows);
            await client.query(`SELECT pg_notify('${CHANNEL}', $1)`, [symbol]);
            await client.query('COMMIT');
          } catch (error) {
            await client.query('ROLLBACK');
            throw error;
          }
        });
      },
    },
    preset: {
      worker: {
        connectionString,
        concurrentJobs: CONCURRENCY,
        maxPoolSize: WORKER_POOL,
      },
    },
  });
  return { stop: () => runner.stop() };
}
