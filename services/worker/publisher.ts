/** Publishes what this worker has committed. What cannot be published is logged: the ledger has the truth, and polling finds it. */
import type { Announcer } from '../ledger/announce.ts';
import type { Change, Ledger } from '../ledger/job.ts';
import type { ClaimedJob } from '../ledger/run/claim.ts';
import { countItems } from '../ledger/run/items.ts';
import type { Bus } from '../platform/bus/bus.ts';
import { codeOf, messageOf } from '../platform/errors.ts';
import type { Logger } from '../platform/log/log.ts';
import type { Draft } from '../platform/messages.ts';

export interface PublisherOptions {
  announcer: Announcer;
  bus: Pick<Bus, 'publish'>;
  ledger: Ledger;
  workerId: string;
  log: Logger;
}

export interface Publisher {
  /** Publishes new job states and data messages; never rejects. */
  committed(changes: readonly Change[], dataMessages?: readonly Draft<'data'>[]): Promise<void>;
  /** Publishes the item counts of a running job; never rejects. */
  progress(job: ClaimedJob): Promise<void>;
}

export function createPublisher(options: PublisherOptions): Publisher {
  const { announcer, bus, log } = options;
  const logged = (publishing: Promise<unknown>): Promise<void> =>
    publishing.then(
      () => undefined,
      (error: unknown) => log.warn({ code: codeOf(error) }, `could not publish: ${messageOf(error)}`),
    );
  return {
    committed: (changes, dataMessages = []) =>
      logged(Promise.all([announcer.changed(changes), ...dataMessages.map((message) => bus.publish('data', message))])),
    progress: (job) => logged(publishProgress(options, job)),
  };
}

async function publishProgress({ bus, ledger, workerId }: PublisherOptions, job: ClaimedJob): Promise<void> {
  const { done, failed, skipped, no_data, total } = await countItems(ledger.db, job.id);
  await bus.publish('status', {
    id: job.id,
    type: job.type as Draft<'status'>['type'],
    state: 'running',
    attempt: job.attempt,
    worker: workerId,
    progress: { done, total, failed, skipped, no_data },
    at: ledger.clock.now().toString({ smallestUnit: 'millisecond' }),
  });
}
