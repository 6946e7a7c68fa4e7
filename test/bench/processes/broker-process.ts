/** The embedded broker in a process of its own, as in `stockmesh up`, where it runs beside the services. Says its port when it listens. */
import { loadAccess } from '../../../broker/access.ts';
import { startBroker } from '../../../broker/embedded.ts';
import { silent } from './servers.ts';

const password = 'bench-broker';
const ownAccounts = ['hook', 'monitor', 'portfolio-priority', 'worker'].map((role) => [role, { password, role }]);

const broker = await startBroker({
  port: 0,
  accounts: { bench: { password, role: 'service' }, ...Object.fromEntries(ownAccounts) },
  access: loadAccess(),
  log: silent,
});
process.send?.({ port: broker.port });
// The bench is gone: nobody would say stop.
process.once('disconnect', () => process.exit());
process.once('message', async () => {
  await broker.close();
  process.disconnect?.();
});
