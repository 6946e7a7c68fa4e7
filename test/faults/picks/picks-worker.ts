// The real worker service, which ends itself (SIGKILL) at one point of a paid call or of the commit of its report, once for each file in the folder NODE_FAULT_PICKS:
// the name of the file begins with the name of the point. Arguments: data folder, instance, then --set texts.
import { readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { loadFor } from '../../../services/cli/session.ts';
import type { Database, Transaction } from '../../../services/platform/database/database.ts';
import { runService } from '../../../services/platform/lifecycle.ts';
import { startWorkerService } from '../../../services/worker/service.ts';

const [, , dataFolder, instance, ...set] = process.argv as string[];
const folder = process.env.NODE_FAULT_PICKS as string;

/** Of several processes one gets each file. */
function dieAt(point: string): void {
  const token = readdirSync(folder).find((name) => name.startsWith(`${point} `));
  if (token === undefined) return;
  try {
    unlinkSync(join(folder, token));
  } catch {
    return;
  }
  process.kill(process.pid, 'SIGKILL');
}

const SENT = "UPDATE spend SET state = 'sent'";
const ANSWERED = "UPDATE spend SET state = 'answered'";

const mortal = (db: Database): Database => ({
  ...db,
  get long() {
    return db.long;
  },
  async run(sql, params) {
    if (sql.startsWith(SENT)) dieAt('reserved');
    if (sql.startsWith(ANSWERED)) dieAt('arrived');
    const result = await db.run(sql, params);
    if (sql.startsWith(SENT)) dieAt('sent');
    if (sql.startsWith(ANSWERED)) dieAt('stored');
    return result;
  },
  transaction: (work) =>
    db.transaction(async (tx) => {
      let isReport = false;
      const watched: Transaction = {
        ...tx,
        later(sql, params) {
          isReport ||= sql.startsWith('INSERT INTO weekly_reports');
          tx.later(sql, params);
        },
      };
      const result = await work(watched);
      if (isReport) dieAt('parsed');
      return result;
    }),
});

process.exitCode = await runService('worker', {
  loaded: loadFor({ data: dataFolder, env: 'demo', set }).loaded,
  dataFolder: dataFolder as string,
  instance,
  start: (context) => startWorkerService({ ...context, db: mortal(context.db) }),
});
