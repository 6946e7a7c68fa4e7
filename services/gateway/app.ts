/** What every part of the gateway stands on: the server's type, and what routes are made of. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance, RawServerDefault } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Announcer } from '../jobs/announce.ts';
import type { Enqueuer } from '../jobs/enqueuer.ts';
import type { Estimator } from '../jobs/estimate.ts';
import type { Change, Ledger } from '../jobs/job.ts';
import type { Bus } from '../platform/bus.ts';
import type { Clock } from '../platform/clock.ts';
import type { Config } from '../platform/config/load.ts';
import type { Database } from '../platform/database.ts';
import type { Logger } from '../platform/log.ts';
import type { CallbackSender } from './callback-sender.ts';
import type { Live } from './live.ts';

export type App = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, Logger, ZodTypeProvider>;

export interface Parts {
  config: Config;
  clock: Clock;
  log: Logger;
  db: Database;
  bus: Bus;
  ledger: Ledger;
  announcer: Announcer;
  enqueuer: Enqueuer;
  estimator: Estimator;
  live: Live;
  callbacks: CallbackSender;
  /** Tells the world what is committed. Nobody waits for it: a broker that hangs must not hold an answer up. */
  tell(changes: readonly Change[]): void;
}
