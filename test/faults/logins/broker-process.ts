// The embedded broker as a process of its own that a test may kill, with the accounts of a data folder. Arguments: data folder, port.
import { pino } from 'pino';
import { accountsOf, loadAccess } from '../../../broker/access.ts';
import { startBroker } from '../../../broker/embedded.ts';
import { readSecrets } from '../../../services/platform/machine/datafolder.ts';

const [, , dataFolder, port] = process.argv as string[];
const broker = await startBroker({
  port: Number(port),
  access: loadAccess(),
  accounts: accountsOf(readSecrets(dataFolder as string).mqtt),
  log: pino({ level: 'silent' }),
});
// As `stockmesh up` ends it.
process.once('SIGTERM', () => void broker.close().then(() => process.exit(0)));
process.once('disconnect', () => process.exit(0));
process.send?.({ ready: true });
