/** One NATS server, or three nodes of a cluster, each on a machine of its own, with the configuration that is shipped. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { loadAccess } from '../../../broker/access.ts';
import { natsConfig } from '../../../broker/nats.ts';
import { findProgram } from '../../../services/platform/machine/programs.ts';
import { endProcess } from '../processes.ts';
import type { Machine } from './network.ts';
import type { Node } from './nodes.ts';

const READY_MS = 180_000;
const LOOK_MS = 200;

/** The shipped configuration with this node's folder, and an address that the other machines reach. */
export const configOf = (nodes: 1 | 3, folder: string): string =>
  natsConfig(loadAccess(), nodes).replace('/var/lib/nats/stockmesh', folder).replace('"127.0.0.1:1883"', '"0.0.0.0:1883"') +
  'http: "0.0.0.0:8222"\n';

/** What the configuration takes from the environment. Each is read as a value of the configuration, so it is quoted for it. */
export function environmentOf(
  name: string,
  addresses: readonly string[],
  passwords: Readonly<Record<string, string>>,
): Record<string, string> {
  const [secret] = Object.values(passwords) as [string];
  const own = Object.entries(passwords).map(([role, password]) => [`${role.toUpperCase().replaceAll('-', '_')}_PASSWORD`, password]);
  const values: Record<string, unknown> = {
    ...Object.fromEntries(own),
    NODE_NAME: name,
    CLUSTER_PASSWORD: secret,
    CLUSTER_ROUTES: addresses.map((address) => `nats-route://node:${encodeURIComponent(secret)}@${address}:6222`),
  };
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, JSON.stringify(value)]));
}

/** Whether the server says that it works, and that its copies are as new as those of the leaders. */
async function isHealthy(address: string): Promise<boolean> {
  try {
    const answer = await fetch(`http://${address}:8222/healthz`, { signal: AbortSignal.timeout(2_000) });
    await answer.body?.cancel();
    return answer.ok;
  } catch (error) {
    if (error instanceof TypeError || error instanceof DOMException) return false;
    throw error;
  }
}

function nodeOf(machine: Machine, config: string, env: Record<string, string>): Node & { begin(): void } {
  let child: ChildProcess | undefined;
  const whole = async (): Promise<void> => {
    const end = performance.now() + READY_MS;
    while (!(await isHealthy(machine.address))) {
      if (performance.now() > end || child?.exitCode !== null) throw new Error(`the broker node with ${config} is not ready`);
      await delay(LOOK_MS);
    }
  };
  const begin = (): void => {
    const [command, args] = machine.command(findProgram(['nats-server']) as string, ['-c', config, '-l', `${config}.log`]);
    child = spawn(command, args, { stdio: 'ignore', detached: true, env: { ...process.env, ...env } });
  };
  return {
    ...{ name: machine.address, machine, begin, whole },
    async start() {
      begin();
      await whole();
    },
    // SIGTERM of a server acknowledges what it does not keep.
    async end(signal) {
      if (child !== undefined) await endProcess(child, signal === 'SIGTERM' ? 'SIGUSR2' : signal);
    },
  };
}

/** As `startDatabases`. */
export async function startBrokers(
  home: string,
  machines: readonly Machine[],
  passwords: Readonly<Record<string, string>>,
  started: Node[],
): Promise<Node[]> {
  const addresses = machines.map(({ address }) => address);
  const nodes = machines.map((machine, index) => {
    const folder = join(home, `mq${index + 1}`);
    mkdirSync(folder, { recursive: true });
    const config = join(folder, 'nats-server.conf');
    writeFileSync(config, configOf(machines.length === 1 ? 1 : 3, join(folder, 'store')), { mode: 0o600 });
    return nodeOf(machine, config, environmentOf(`mq${index + 1}`, addresses, passwords));
  });
  started.push(...nodes);
  // Three of them need each other to elect a leader.
  for (const node of nodes) node.begin();
  await Promise.all(nodes.map((node) => node.whole()));
  return nodes;
}
