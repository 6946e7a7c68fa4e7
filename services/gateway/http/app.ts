/** The server's type, and the parts that routes use. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance, RawServerDefault } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Announcer } from '../../ledger/announce.ts';
import type { Enqueuer } from '../../ledger/enqueue/enqueuer.ts';
import type { Change, Ledger } from '../../ledger/job.ts';
import type { Estimator } from '../../ledger/read/estimate.ts';
import type { Admission } from '../../logins/admission.ts';
import type { Bus } from '../../platform/bus/bus.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Config, LoadedConfig } from '../../platform/config/load.ts';
import type { Database } from '../../platform/database/database.ts';
import type { Logger } from '../../platform/log/log.ts';
import type { Refusals } from '../../platform/refusals.ts';
import type { Quotas } from '../auth/quotas.ts';
import type { HistoryFiles } from '../history/files.ts';
import type { HistorySources } from '../history/preview.ts';
import type { Live } from '../live/live.ts';
import type { Streams } from '../live/streams.ts';
import type { CallbackSender } from '../webhooks/callback-sender.ts';

export type App = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, Logger, ZodTypeProvider>;

export interface Parts {
  config: Config;
  /** Where each value comes from, where it was loaded. */
  loaded: LoadedConfig | undefined;
  clock: Clock;
  log: Logger;
  db: Database;
  bus: Bus;
  ledger: Ledger;
  announcer: Announcer;
  enqueuer: Enqueuer;
  /** Commits logins that come over HTTP. */
  admission: Pick<Admission, 'admitLogin' | 'counters' | 'waiting'>;
  loginRefusals: Refusals;
  estimator: Estimator;
  quotas: Quotas;
  live: Live;
  callbacks: CallbackSender;
  streams: Streams;
  history: HistoryFiles;
  historySources: HistorySources;
  /** Announces committed changes without waiting for the broker: one that hangs must not delay an answer. */
  announce(changes: readonly Change[]): void;
}
