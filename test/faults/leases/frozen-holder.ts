// Opens the database as every service does, locks the rows of all running jobs, says so and stops itself (SIGSTOP). Arguments: data folder, then --set texts.
import { loadFor } from '../../../services/cli/session.ts';
import { databaseOptions } from '../../../services/platform/connections.ts';
import { openDatabase } from '../../../services/platform/database/database.ts';

const [, , dataFolder, ...set] = process.argv as string[];
const { config } = loadFor({ data: dataFolder, env: 'demo', set }).loaded;
const db = openDatabase(databaseOptions(config, dataFolder as string, 'service'));
await db.transaction(async (tx) => {
  await tx.rows("SELECT id FROM job_states WHERE state = 'running' ORDER BY id FOR UPDATE");
  process.send?.('locked', undefined, undefined, () => process.kill(process.pid, 'SIGSTOP'));
  await new Promise(() => setInterval(() => {}, 1000));
});
