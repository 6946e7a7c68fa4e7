/** Admits logins with what it publishes and logs kept. */
import { pino } from 'pino';
import { ledgerOf } from '../../services/job-types/ledger.ts';
import { createAnnouncer } from '../../services/ledger/announce.ts';
import { createAdmission } from '../../services/logins/admission.ts';
import type { Bus } from '../../services/platform/bus/bus.ts';
import { type Config, loadConfig } from '../../services/platform/config/load.ts';
import type { Database } from '../../services/platform/database/database.ts';
import { type Draft, encodeMessage } from '../../services/platform/messages.ts';
import type { TopicKind } from '../../services/platform/topics.ts';
import type { LedgerFixture } from './ledger-fixture.ts';

const { config } = loadConfig({ env: {} });

export interface AdmissionOptions {
  db?: Database;
  config?: Config;
  /** Whether each instance hears every login. */
  heardByAll?: boolean;
  bus?: Partial<Pick<Bus, 'state' | 'publish' | 'onState'>>;
}

/** Admits into the test's ledger; what it publishes is checked as the bus does and kept. */
export function admissionInto(
  fixture: LedgerFixture,
  { db = fixture.db, config: rules = config, heardByAll = false, bus: changes = {} }: AdmissionOptions = {},
) {
  const published: { kind: TopicKind; message: Draft<TopicKind> }[] = [];
  const lines: { level: number; msg: string }[] = [];
  const bus = {
    state: 'online' as Bus['state'],
    publish: async <K extends TopicKind>(kind: K, message: Draft<K>) => {
      encodeMessage(kind, message);
      published.push({ kind, message });
    },
    ...changes,
  };
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const ledger = ledgerOf(db, fixture.clock, rules);
  const announcer = createAnnouncer({ bus, sql: db, clock: fixture.clock, log });
  return {
    ...createAdmission({ ledger, announcer, bus, config: rules, log, instance: 'pp1', heardByAll: () => heardByAll }),
    bus,
    published,
    lines,
  };
}

/** The defaults with these `max_jobs`. */
export const withLimits = (limits: Record<'foreground' | 'background_fetch' | 'background_analysis', number>): Config => ({
  ...config,
  queue: {
    ...config.queue,
    priority_queues: {
      foreground: { ...config.queue.priority_queues.foreground, max_jobs: limits.foreground },
      background_fetch: { ...config.queue.priority_queues.background_fetch, max_jobs: limits.background_fetch },
      background_analysis: { ...config.queue.priority_queues.background_analysis, max_jobs: limits.background_analysis },
    },
  },
});
