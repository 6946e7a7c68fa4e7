/** The answers of the batches that this process has committed itself: published at once, without a look at their row, unless it comes late. */

import { type Ledger, nowOf } from '../ledger/job.ts';
import type { Bus } from '../platform/bus/bus.ts';
import { codeOf, messageOf } from '../platform/errors.ts';
import type { Logger } from '../platform/log/log.ts';
import type { PortfolioAnswer } from './answer.ts';
import { answerThese, forgetPending, LATE_MS, publishAnswers, takePending } from './pending-answers.ts';

/** Between two tries to delete the rows of what is published, while the database is away. */
const RETRY_MS = 500;
/** Batches that are looked for after an outage of the database or the broker. Those beyond are answered by whoever answers for others. */
const MOST_UNSURE = 200;

export type AnsweringBus = Pick<Bus, 'publish' | 'state'> & Partial<Pick<Bus, 'onState'>>;

export interface FirstAnswers {
  /** Publishes them, or leaves them until the broker is there. `started`: before the commit, by `performance.now()`. Errors: those of the database; the batch then stays pending. */
  publish(batch: { id: string; answers: readonly PortfolioAnswer[]; started: number }): Promise<void>;
  /** The transaction of this batch has failed, and may be committed all the same: its answers are looked for after the next one that succeeds. */
  unsure(id: string): void;
  /** Deletes what is answered a last time, if it could not be deleted yet. */
  stop(): Promise<void>;
}

export function createFirstAnswers({ ledger, bus, log }: { ledger: Ledger; bus: AnsweringBus; log: Logger }): FirstAnswers {
  /** Batches that are published and whose rows are not deleted yet. Another process would publish them again. */
  const published = new Set<string>();
  let unsure: string[] = [];
  let answering: Promise<unknown> | undefined;
  let retrying: NodeJS.Timeout | undefined;

  async function forget(): Promise<void> {
    clearTimeout(retrying);
    retrying = undefined;
    const ids = [...published];
    if (ids.length === 0) return;
    try {
      await forgetPending(ledger.db, ids);
      for (const id of ids) published.delete(id);
    } catch (error) {
      log.warn({ code: codeOf(error) }, `logins are answered, and their rows not deleted yet; trying again: ${messageOf(error)}`);
      retrying ??= setTimeout(() => void forget(), RETRY_MS).unref();
    }
  }

  async function answerUnsure(): Promise<void> {
    if (unsure.length === 0 || bus.state !== 'online') return;
    const ids = unsure;
    unsure = [];
    await answerThese(ledger, bus, ids, nowOf(ledger));
  }

  async function publishBatch({ id, answers, started }: Parameters<FirstAnswers['publish']>[0]): Promise<void> {
    if (answers.length === 0) return;
    // Logins that waited for a service come before all its subscriptions are granted.
    if (bus.state !== 'online') return addUnsure(id);
    if (performance.now() - started > LATE_MS && !(await takePending(ledger, id, nowOf(ledger)))) {
      log.info({ answers: answers.length }, `${answers.length} logins were committed so late that another process has answered them`);
      return;
    }
    if (!(await publishAnswers(bus, answers))) {
      log.info({ answers: answers.length }, `the broker did not take all of ${answers.length} answers: they are given again`);
      return;
    }
    published.add(id);
    await forget();
  }

  function addUnsure(id: string): void {
    unsure = [...unsure.slice(1 - MOST_UNSURE), id];
  }

  const stopListening = bus.onState?.((state) => {
    if (state !== 'online') return;
    answering = answerUnsure().catch((error) =>
      log.warn({ code: codeOf(error) }, `logins are committed and not answered yet; another process answers them: ${messageOf(error)}`),
    );
  });

  return {
    async publish(batch) {
      await publishBatch(batch);
      await answerUnsure();
    },
    unsure: addUnsure,
    async stop() {
      stopListening?.();
      await answering;
      await forget();
      clearTimeout(retrying);
    },
  };
}
