// The real worker service over the source of fault-source.ts. When the file NODE_FAULT_FREEZE exists, the process stops itself (SIGSTOP) before the next commit,
// with the rows of its jobs locked. Arguments: data folder, instance, then --set texts.
import { existsSync, rmSync } from 'node:fs';
import { loadFor } from '../../../services/cli/session.ts';
import type { Database } from '../../../services/platform/database/database.ts';
import { runService } from '../../../services/platform/lifecycle.ts';
import { startWorkerService } from '../../../services/worker/service.ts';
import { faultSources } from './fault-source.ts';

const [, , dataFolder, instance, ...set] = process.argv as string[];
const freeze = process.env.NODE_FAULT_FREEZE as string;

const freezing = (db: Database): Database => ({
  ...db,
  transaction: (work) =>
    db.transaction(async (tx) => {
      const result = await work(tx);
      if (existsSync(freeze)) {
        rmSync(freeze);
        process.kill(process.pid, 'SIGSTOP');
      }
      return result;
    }),
});

process.exitCode = await runService('worker', {
  loaded: loadFor({ data: dataFolder, env: 'demo', set }).loaded,
  dataFolder: dataFolder as string,
  instance,
  start: (context) =>
    startWorkerService({ ...context, db: freezing(context.db) }, faultSources, undefined, new URL('./fault-isolated.ts', import.meta.url)),
});
