/**
 * Alerts: raised once when a limit is crossed, cleared once when it is kept again; one that concerns others meanwhile (`subjects`) is told anew, with its old `since`. There is one limit and no second, lower one to clear at; instead a change must
 * be seen at two looks in a row, so a value that crosses its limit for a moment, or swings about it, raises nothing. The state is a row of `alerts` and outlives the
 * process; the topic `alerts/{name}` carries the same row, retained.
 */
import type { Bus } from '../platform/bus/bus.ts';
import type { Database } from '../platform/database/database.ts';
import { TransientError } from '../platform/errors.ts';
import type { Logger } from '../platform/log/log.ts';
import { type Severity, tell } from '../platform/outbox.ts';
import { isOfBroker } from './broker-alerts.ts';
import type { LimitCheck } from './thresholds.ts';

/** Looks in a row that must agree before the state changes. */
const CONFIRMATIONS = 2;
const TEXT_LIMIT = 500;

interface Alert {
  name: string;
  state: 'raised' | 'cleared';
  value: number;
  threshold: number;
  since: Date;
  text: string;
}

export interface Alerts {
  /** Takes the checks made at `now`: commits the changed alerts, then publishes those that the broker does not have yet. Errors: those of the database. */
  look(judged: readonly LimitCheck[], now: Date): Promise<void>;
  /** The broker may have lost its retained messages: publishes all states again at the next look, with their old `since`. */
  restate(): void;
  /** Another scheduler may have led meanwhile: the next look begins with the states in the table. */
  forget(): void;
}

interface AlertParts {
  sql: Database;
  bus: Pick<Bus, 'publish' | 'state'>;
  log: Logger;
  /** Whether the configuration has routes for alerts: then each change is written to the outbox too. */
  tells?: boolean;
}

export function createAlerts({ sql, bus, log, tells = false }: AlertParts): Alerts {
  const confirmations = new Map<string, number>();
  /** Whom each raised alert names. */
  const named = new Map<string, string | undefined>();
  let known: Map<string, Alert> | undefined;
  const unpublished = new Set<string>();

  /** The broker publishes its own alerts; from here they could only overwrite a newer state. */
  function publishLater(name: string): void {
    if (!isOfBroker(name)) unpublished.add(name);
  }

  async function load(): Promise<Map<string, Alert>> {
    const rows = await sql.rows<Alert>('SELECT name, state, value, threshold, since, text FROM alerts');
    for (const { name } of rows) publishLater(name);
    return new Map(rows.map((row) => [row.name, row]));
  }

  async function change(alerts: Map<string, Alert>, check: LimitCheck, now: Date): Promise<void> {
    const { name, beyond, value, threshold, text, subjects, severity = 'warning' } = check;
    const state = beyond ? 'raised' : 'cleared';
    const before = alerts.get(name);
    const since = before?.state === state ? before.since : now;
    const alert: Alert = { name, state, value, threshold, since, text: text.slice(0, TEXT_LIMIT) };
    await store(sql, alert, now, tells ? severity : undefined);
    alerts.set(name, alert);
    named.set(name, beyond ? subjects : undefined);
    confirmations.delete(name);
    publishLater(name);
    log[beyond ? 'warn' : 'info']({ alert: name, value, threshold }, `alert ${name} ${state}: ${alert.text}`);
  }

  async function publish(alerts: ReadonlyMap<string, Alert>): Promise<void> {
    for (const name of unpublished) {
      if (bus.state === 'offline') return;
      const { since, ...alert } = alerts.get(name) as Alert;
      try {
        await bus.publish('alert', { ...alert, since: since.toISOString() });
        unpublished.delete(name);
      } catch (error) {
        if (!(error instanceof TransientError)) throw error;
        log.warn({ alert: name, code: error.code }, `alert ${name} is published at the next look: ${error.message}`);
        return;
      }
    }
  }

  return {
    async look(judged, now) {
      known ??= await load();
      for (const one of judged) {
        const raised = known.get(one.name)?.state === 'raised';
        const sameSubjects = !raised || one.subjects === named.get(one.name);
        if (one.beyond === raised && sameSubjects) {
          confirmations.delete(one.name);
          continue;
        }
        const seen = (confirmations.get(one.name) ?? 0) + 1;
        confirmations.set(one.name, seen);
        if (seen >= CONFIRMATIONS) await change(known, one, now);
      }
      await publish(known);
    },
    restate() {
      for (const name of known?.keys() ?? []) publishLater(name);
    },
    forget() {
      known = undefined;
      unpublished.clear();
      confirmations.clear();
      named.clear();
    },
  };
}

/** Commits a state. With a severity it is written to the outbox too. */
function store(
  db: Database,
  { name, state, value, threshold, since, text }: Alert,
  now: Date,
  severity: Severity | undefined,
): Promise<void> {
  return db.transaction(async (tx) => {
    // Before its event: the notifier locks this row to see whether the alert lasts.
    await tx.run(
      `INSERT INTO alerts (name, state, value, threshold, since, text) VALUES (?)
       ON DUPLICATE KEY UPDATE state = VALUES(state), value = VALUES(value), threshold = VALUES(threshold), since = VALUES(since), text = VALUES(text)`,
      [[name, state, value, threshold, since, text]],
    );
    if (severity === undefined) return;
    tell(tx, [
      { name: `alert.${state}`, severity, subject: `alert:${name}`, details: { alert: name, value, threshold, since, text }, at: now },
    ]);
  });
}
