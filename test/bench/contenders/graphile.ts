/** Graphile Worker with the settings of its own performance page: a local queue of 500 and batched completions; one more connection than its default for bulk loads. */
import { Logger, makeWorkerUtils, run } from 'graphile-worker';
import type { Consumer, ConsumerOptions, Payload, Producer } from './contender.ts';

const TASK = 'fetch';
const POOL = 25;
/** Errors only: it writes a line a job otherwise. */
const logger = new Logger(() => (level, message) => {
  if (level === 'error') process.stderr.write(`Graphile Worker: ${message}\n`);
});

export async function graphileProducer({ connectionString }: { connectionString: string }): Promise<Producer> {
  const utils = await makeWorkerUtils({ connectionString, maxPoolSize: POOL, logger });
  await utils.migrate();
  const count = (text: string) =>
    utils.withPgClient(async (client) =>
      Number((await client.query<{ jobs: string }>(`SELECT count(*) AS jobs FROM ${text}`)).rows[0]?.jobs),
    );
  return {
    async one(payload) {
      await utils.addJob(TASK, payload);
    },
    async many(payloads) {
      await utils.addJobs(payloads.map((payload) => ({ identifier: TASK, payload })));
    },
    unfinished: () => count('graphile_worker._private_jobs'),
    clear: () => utils.withPgClient(async (client) => void (await client.query('TRUNCATE graphile_worker._private_jobs'))),
    close: async () => utils.release(),
  };
}

export async function graphileConsumer(
  { connectionString }: { connectionString: string },
  { concurrency, purpose, started }: ConsumerOptions,
): Promise<Consumer> {
  const runner = await run({
    logger,
    noHandleSignals: true,
    taskList: {
      [TASK]: async (payload) => {
        started(payload as Payload);
      },
    },
    preset: {
      worker: {
        connectionString,
        concurrentJobs: concurrency,
        maxPoolSize: POOL,
        ...(purpose === 'throughput' ? { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } : {}),
      },
    },
  });
  return { stop: () => runner.stop() };
}
