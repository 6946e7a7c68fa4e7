/** Publishes what this worker has committed. What cannot be published is logged: the ledger has the truth, and polling finds it. */
import type { Announcer } from '../ledger/announce.ts';
import type { Change, Ledger } from '../ledger/job.ts';
import { type Parent, partsOf, waitingParents } from '../ledger/parts.ts';
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
  /** Publishes the item counts of a running job, and those of the jobs of which it is a part; never rejects. */
  progress(job: ClaimedJob): Promise<void>;
}

export function createPublisher(options: PublisherOptions): Publisher {
  const { announcer, bus, log } = options;
  const logged = (publishing: Promise<unknown>): Promise<void> =>
    publishing.then(
      () => undefined,
      (error: unknown) => log.warn({ code: codeOf(error) }, `could not publish: ${messageOf(error)}`),
    );
  const parents = parentsOfJobs(options);
  return {
    committed: (changes, dataMessages = []) =>
      logged(Promise.all([announcer.changed(changes), ...dataMessages.map((message) => bus.publish('data', message))])),
    progress: (job) => logged(Promise.all([publishProgress(options, job), parents.publish(job)])),
  };
}

async function publishProgress({ bus, ledger, workerId }: PublisherOptions, { id, type, attempt }: ClaimedJob): Promise<void> {
  const progress = progressOf(await countItems(ledger.db, id));
  await bus.publish('status', { ...statusOf(ledger, { type, id, attempt }), state: 'running', worker: workerId, progress });
}

function statusOf(ledger: Ledger, { id, type, attempt }: Pick<ClaimedJob, 'id' | 'type' | 'attempt'>) {
  return { id, type: type as Draft<'status'>['type'], attempt, at: ledger.clock.now().toString({ smallestUnit: 'millisecond' }) };
}

type Progress = NonNullable<Draft<'status'>['progress']>;

function progressOf({ pending: _, ...counts }: Awaited<ReturnType<typeof countItems>>): Progress {
  return counts;
}

/** How long it is remembered of which jobs a job is a part, in milliseconds: a part ends an item every few tenths of a second, and comes to another job once in its life. */
const REMEMBERED_MS = 10_000;

interface Parents {
  at: number;
  waiting: Promise<readonly Parent[]>;
}

/** The progress of jobs that wait for their parts. */
function parentsOfJobs({ bus, ledger }: PublisherOptions): { publish(job: ClaimedJob): Promise<void> } {
  const known = new WeakMap<ClaimedJob, Parents>();
  /** Parents that are being counted, and whether another item was committed meanwhile. */
  const counting = new Map<string, { again: boolean }>();

  function waitingFor(job: ClaimedJob): Promise<readonly Parent[]> {
    const now = performance.now();
    const before = known.get(job);
    if (before !== undefined && now - before.at < REMEMBERED_MS) return before.waiting;
    const read = { at: now, waiting: waitingParents(ledger.db, job.id) };
    known.set(job, read);
    read.waiting.catch(() => known.delete(job));
    return read.waiting;
  }

  /** One count at a time of a parent, whose parts may commit together. */
  async function publishOne(parent: Parent): Promise<void> {
    const running = counting.get(parent.id);
    if (running !== undefined) {
      running.again = true;
      return;
    }
    const mine = { again: true };
    counting.set(parent.id, mine);
    try {
      while (mine.again) {
        mine.again = false;
        const progress = progressOf(await countItems(ledger.db, parent.id, ...(await partsOf(ledger.db, parent.id))));
        const { symbol } = parent;
        // What its parts do it does: for whoever watches it, it runs.
        await bus.publish('status', { ...statusOf(ledger, parent), ...(symbol !== null && { symbol }), state: 'running', progress });
      }
    } finally {
      counting.delete(parent.id);
    }
  }

  return {
    async publish(job) {
      // Every part has a dependent. A job that nobody waits for costs no query.
      if (!job.hasDependents) return;
      await Promise.all((await waitingFor(job)).map(publishOne));
    },
  };
}
