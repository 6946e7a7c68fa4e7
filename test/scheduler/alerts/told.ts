/** Alerts as they reach a person: the leader's checks over a real database, a real notifier, and a real mail server. */
import { afterAll, beforeEach } from 'vitest';
import type { Ledger } from '../../../services/ledger/job.ts';
import { readMeshMetrics } from '../../../services/ledger/read/metrics.ts';
import { freshnessRules } from '../../../services/market/freshness/freshness.ts';
import { readHeldFreshness } from '../../../services/market/freshness/held.ts';
import { startNotifierService } from '../../../services/notifier/service.ts';
import type { Bus } from '../../../services/platform/bus/bus.ts';
import type { Config } from '../../../services/platform/config/load.ts';
import { createAlerts } from '../../../services/scheduler/alerts.ts';
import { staleData } from '../../../services/scheduler/stale.ts';
import { checkLimits, type LimitCheck } from '../../../services/scheduler/thresholds.ts';
import { createWatch } from '../../../services/scheduler/watch/watch.ts';
import { silent } from '../../broker/peers.ts';
import { startMailServer } from '../../notifier/mail-server.ts';
import { emptyTables } from '../../support/database.ts';
import { configOf } from '../configuration.ts';
import { type Fixture, fixture, silentBus } from '../mesh.ts';
import { clearedMail, raisedMail } from './mails.ts';

export interface Told extends Fixture {
  readonly config: Config;
  readonly work: Ledger;
  /** Two looks of the leader, at the present time of the clock. */
  look(): Promise<void>;
  /** The text of the newest mail about an alert, once it has come. Raised: with its meaning and the way out. */
  raised(name: string): Promise<string>;
  cleared(name: string): Promise<string>;
}

const OF_OPERATIONS = ['notify_events', 'notify_messages', 'notify_deliveries', 'notify_repeats', 'source_health', 'source_budget'];
const OTHERS = ['login_answers', 'callbacks', 'spend', 'backups'];

/** `dataFolder`: whose disk is looked at. `beside`: the checks of what the leader hears from a broker. */
export async function alertsAsTold(
  changes: Record<string, unknown> = {},
  { dataFolder = '/nowhere', beside = () => [] }: { dataFolder?: string; beside?: () => LimitCheck[] } = {},
): Promise<Told> {
  const mail = await startMailServer();
  afterAll(() => mail.stop());
  const config = configOf({
    ...{ 'notify.poll_interval': 0.05, 'notify.email.from': 'mesh@example.com', 'notify.email.smtp_tls': 'none' },
    ...{ 'notify.email.smtp_host': '127.0.0.1', 'notify.email.smtp_port': mail.port },
    'notify.routes': [{ name: 'operators', on: ['alert.raised', 'alert.cleared'], to: { email: ['ops@example.com'] } }],
    ...changes,
  });
  const on = fixture();
  let leader: { alerts: ReturnType<typeof createAlerts>; watch: ReturnType<typeof createWatch> };
  beforeEach(async () => {
    await emptyTables(on.db, [...OF_OPERATIONS, ...OTHERS]);
    mail.received.length = 0;
    const bus = silentBus() as unknown as Pick<Bus, 'publish' | 'state'>;
    leader = {
      alerts: createAlerts({ sql: on.db, bus, log: silent, tells: true }),
      watch: createWatch(on.ledger(config), config, dataFolder),
    };
    const notifier = await startNotifierService({
      ...{ service: 'notifier', instance: 'notifier-1', config, dataFolder, log: silent, clock: on.clock, db: on.db },
      bus: { state: 'online', report: () => ({ state: 'online', missing: [], counters: {} }) } as unknown as Bus,
    });
    return () => notifier.drain();
  });
  // The clock of the fixture is another one in each test.
  const mesh: Omit<Told, keyof Fixture> & ThisType<Told> = {
    config,
    get work() {
      return on.ledger(config);
    },
    async look() {
      for (let nth = 0; nth < 2; nth++) {
        const at = new Date(on.clock.now().epochMilliseconds);
        const metrics = await readMeshMetrics(on.db, at, on.ledger(config));
        const held = await readHeldFreshness(on.db, on.clock.now(), freshnessRules(config).thresholds);
        const checks = checkLimits(metrics, staleData(held, config.portfolio), config);
        await leader.alerts.look([...checks, ...(await leader.watch.checks(metrics)), ...beside()], at);
      }
    },
    raised: (name) => raisedMail(mail, name),
    cleared: (name) => clearedMail(mail, name),
  };
  return Object.create(on, Object.getOwnPropertyDescriptors(mesh)) as Told;
}
