/** What a key, and a user, may have at once or within an hour over HTTP. Over a quota the answer is 429, with the configuration key of the limit. */
import type { JobRequest } from '../../ledger/enqueue/enqueue.ts';
import type { Config } from '../../platform/config/load.ts';
import type { Database } from '../../platform/database/database.ts';
import { RefusedError } from '../http/problems.ts';
import { type Asker, createJobQuotas, type JobQuotas, keyAsker, userAsker } from '../jobs/quotas.ts';
import type { Caller } from './access.ts';
import { requestWindows } from './request-windows.ts';

export interface Quotas {
  readonly jobs: JobQuotas;
  /** Whose quotas of waiting jobs a request uses: those of the key, and of the user that it names. */
  askersOf(caller: Caller, request: JobRequest): Asker[];
  /** Counts callbacks that a key asks for. Errors: `RefusedError('quota.callbacks')`. */
  countCallbacks(caller: Caller, callbacks: number): void;
}

const HOUR_MS = 3_600_000;

export function createQuotas(db: Database, { gateway: { quotas } }: Pick<Config, 'gateway'>): Quotas {
  const windows = requestWindows(HOUR_MS);
  return {
    jobs: createJobQuotas(db),
    askersOf: ({ id }, { user }) => [keyAsker(id, quotas), ...(user === undefined ? [] : [userAsker(user, quotas)])],
    countCallbacks({ id, name }, callbacks) {
      if (callbacks === 0) return;
      const { requests: counted, endsInMs } = windows.count(id, callbacks);
      if (counted <= quotas.callbacks_per_hour) return;
      windows.uncount(id, callbacks);
      const quota = 'gateway.quotas.callbacks_per_hour';
      throw new RefusedError(
        429,
        'quota.callbacks',
        `key "${name}" has asked for ${counted - callbacks} callbacks within the hour, and for ${callbacks} now: more than ${quotas.callbacks_per_hour} (${quota})`,
        { retryAfterSeconds: Math.ceil(endsInMs / 1000), quota },
      );
    },
  };
}
