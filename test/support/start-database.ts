// Starts the embedded database over the folder given, as a process of its own that a test may kill: prints one JSON line when it is ready, then stays.
import { pino } from 'pino';
import { startDatabase } from '../../sql/embedded.ts';

const passwords = { root: 'root-secret', migrate: 'migrate-secret', service: 'service-secret', read: 'read-secret' };
const database = await startDatabase({ dataDir: process.argv[2]!, passwords, log: pino({ level: 'silent' }), durable: false });
process.once('SIGTERM', async () => {
  await database.stop();
  process.exit(0);
});
setInterval(() => {}, 60_000);
// Last: whoever reads it may say stop at once.
console.log(JSON.stringify({ pid: database.pid, uid: process.getuid?.() }));
