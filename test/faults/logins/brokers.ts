/** The brokers of the fault suite, each a process that can be killed and started again on its port. */
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { accountsOf, loadAccess } from '../../../broker/access.ts';
import { type RunningMosquitto, startMosquitto } from '../../../broker/mosquitto.ts';
import type { Secrets } from '../../../services/platform/machine/datafolder.ts';
import { endProcess, startProcess } from '../processes.ts';

export type BrokerName = 'embedded' | 'mosquitto';

export interface BrokerProcess {
  start(): Promise<void>;
  end(signal: NodeJS.Signals): Promise<void>;
}

const BROKER = fileURLToPath(new URL('./broker-process.ts', import.meta.url));

export function embeddedBroker(dataFolder: string, port: number): BrokerProcess {
  let child: ChildProcess | undefined;
  return {
    async start() {
      child = await startProcess(BROKER, [dataFolder, String(port)]);
    },
    async end(signal) {
      if (child !== undefined) await endProcess(child, signal);
    },
  };
}

/** With the shipped configuration. `folder`: where it keeps its sessions; one that does not exist yet is a broker without any. */
export function mosquittoBroker(folder: string, port: number, { mqtt }: Pick<Secrets, 'mqtt'>): BrokerProcess {
  let running: Promise<RunningMosquitto> | undefined;
  return {
    async start() {
      running = startMosquitto({
        folder,
        port,
        // As shipped: a session that was never saved is a first start after a kill.
        savesEachChange: true,
        access: loadAccess(),
        accounts: accountsOf(mqtt),
      });
      await running;
    },
    async end(signal) {
      const broker = await running;
      if (broker === undefined) return;
      running = undefined;
      process.kill(broker.pid, signal);
      await broker.close();
    },
  };
}
