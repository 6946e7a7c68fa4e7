/** Alerts that last are told again, once an interval, by whichever notifier looks first. */
import { type Database, fromJson } from '../../platform/database/database.ts';
import { type NotifyEvent, tell } from '../../platform/outbox.ts';
import { againAt, type Route } from '../routes.ts';

const BATCH = 100;

/** Writes the events of alerts that are due to be told again. */
export async function repeatLasting(db: Database, routes: readonly Route[], now: Date): Promise<void> {
  const due = await db.rows(`SELECT 1 FROM notify_repeats FORCE INDEX (ix_due) WHERE due_at <= ? LIMIT 1`, [now]);
  if (due.length === 0) return;
  await db.transaction(async (tx) => {
    const rows = await tx.rows<{ route: string; subject: string; event: unknown; times: number }>(
      `SELECT route, subject, event, times FROM notify_repeats FORCE INDEX (ix_due) WHERE due_at <= ? ORDER BY due_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED`,
      [now],
    );
    if (rows.length === 0) return;
    // Locked: an alert that is cleared at this moment waits, so that its clearing is told after this.
    const raised = await tx.rows<{ name: string }>(
      "SELECT name FROM alerts WHERE name IN (?) AND state = 'raised' ORDER BY name LOCK IN SHARE MODE",
      [rows.map(({ subject }) => subject.slice('alert:'.length))],
    );
    const lasting = new Set(raised.map(({ name }) => `alert:${name}`));
    const nextOf = new Map(routes.map((route) => [route.name, againAt(route, now)]));
    for (const [route, group] of Map.groupBy(rows, (row) => row.route)) {
      const next = nextOf.get(route);
      const [again, over] = [true, false].map((value) =>
        group.filter(({ subject }) => (next !== undefined && lasting.has(subject)) === value),
      );
      if (over !== undefined && over.length > 0)
        tx.later('DELETE FROM notify_repeats WHERE route = ? AND subject IN (?)', [route, over.map(({ subject }) => subject)]);
      if (again === undefined || again.length === 0 || next === undefined) continue;
      tx.later('UPDATE notify_repeats SET due_at = ?, times = times + 1 WHERE route = ? AND subject IN (?)', [
        ...[next, route, again.map(({ subject }) => subject)],
      ]);
      tell(
        tx,
        again.map(({ event, times }) => {
          const { details, ...kept } = fromJson(event) as Omit<NotifyEvent, 'at' | 'route'>;
          return { ...kept, details: { ...details, told_before: times + 1 }, at: now, route };
        }),
      );
    }
  });
}
