/** A notifier as it runs, on a real database and a real mail server; its clock is the test's. */
import { afterAll, beforeEach, onTestFinished } from 'vitest';
import { startNotifierService } from '../../services/notifier/service.ts';
import type { Bus } from '../../services/platform/bus/bus.ts';
import { type Clock, ManualClock } from '../../services/platform/clock.ts';
import type { Config } from '../../services/platform/config/load.ts';
import type { Database } from '../../services/platform/database/database.ts';
import type { RunningService } from '../../services/platform/lifecycle.ts';
import { type NotifyEvent, tell } from '../../services/platform/outbox.ts';
import { type MessageRow, recentMessages } from '../../services/platform/registry/told.ts';
import { silent } from '../broker/peers.ts';
import { configOf } from '../scheduler/configuration.ts';
import { databaseOfFile, emptyTables } from '../support/database.ts';
import { type MailServer, startMailServer } from './mail-server.ts';

export const NOON = '2026-06-02T12:00:00Z';

export interface NotifierMesh {
  readonly db: Database;
  readonly mail: MailServer;
  clock: ManualClock;
  config(routes: readonly object[], changes?: Record<string, unknown>): Config;
  /** Runs a notifier until the end of the test. */
  start(routes: readonly object[], changes?: Record<string, unknown>, clock?: Clock): Promise<RunningService>;
  /** Commits events. */
  commit(...events: Partial<NotifyEvent>[]): Promise<void>;
  messages(): Promise<MessageRow[]>;
}

const TABLES = [
  'notify_events',
  'notify_messages',
  'notify_deliveries',
  'notify_repeats',
  'notify_users',
  'notify_stops',
  'alerts',
  'jobs',
  'job_subscribers',
];

export async function notifierMesh(): Promise<NotifierMesh> {
  const { db } = await databaseOfFile();
  const mail = await startMailServer();
  afterAll(() => mail.stop());
  const bus = { state: 'online', report: () => ({ state: 'online', missing: [], counters: {} }) } as unknown as Bus;
  const mesh: NotifierMesh = {
    db,
    mail,
    clock: new ManualClock(NOON),
    config: (routes, changes = {}) =>
      configOf({
        ...{ 'notify.routes': routes, 'notify.poll_interval': 0.05, 'notify.backoff': [0.05], 'notify.email.from': 'mesh@example.com' },
        ...{ 'notify.email.smtp_host': '127.0.0.1', 'notify.email.smtp_port': mail.port, 'notify.email.smtp_tls': 'none' },
        ...{ 'notify.email.answer_timeout': 5, ...changes },
      }),
    async start(routes, changes, clock = mesh.clock) {
      const config = mesh.config(routes, changes);
      const service = await startNotifierService({
        ...{ service: 'notifier', instance: 'notifier-1', config, dataFolder: '/nowhere', log: silent, clock, db, bus },
      });
      onTestFinished(() => service.drain());
      return service;
    },
    commit: (...events) =>
      db.transaction(async (tx) =>
        tell(
          tx,
          events.map((event) => ({
            ...{
              name: 'alert.raised',
              severity: 'warning',
              subject: 'alert:no_worker',
              details: { alert: 'no_worker', text: 'nobody works' },
            },
            ...{ at: new Date(mesh.clock.now().epochMilliseconds), ...event },
          })),
        ),
      ),
    messages: async () => (await recentMessages(db, { limit: 1_000 })).reverse(),
  };
  beforeEach(async () => {
    mesh.clock = new ManualClock(NOON);
    await emptyTables(db, TABLES);
    // Without a leader the notifier would tell of that, too.
    await db.run("REPLACE INTO leases (name, holder, until) VALUES ('scheduler', 'scheduler-1', '2036-01-01')");
    mail.received.length = 0;
    mail.answer(() => 'take');
    await mail.stop();
    await mail.start();
  });
  return mesh;
}
