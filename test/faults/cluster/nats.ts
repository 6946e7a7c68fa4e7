/** One NATS server, or three nodes of a cluster, each on a machine of its own, with the configuration that is shipped. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { loadAccess } from '../../../broker/access.ts';
import { natsConfig } from '../../../broker/nats.ts';
import { messageOf } from '../../../services/platform/errors.ts';
import { findProgram } from '../../../services/platform/machine/programs.ts';
import { endProcess } from '../processes.ts';
import type { Machine } from './network.ts';
import type { Node } from './nodes.ts';

const READY_MS = 60_000;
/** For copies that are as new as those of their leaders: NATS 2.9.10, which Debian 12 has, may say for good that a consumer "is not current". */
const CURRENT_MS = { whole: 20_000, spare: 180_000 };
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

/** What the server says is not right yet, with itself or also with its copies of streams and consumers; undefined when all is. */
async function sicknessOf(address: string, of: 'server' | 'copies'): Promise<string | undefined> {
  try {
    const answer = await fetch(`http://${address}:8222/healthz${of === 'server' ? '?js-server-only=true' : ''}`, {
      signal: AbortSignal.timeout(2_000),
    });
    const text = await answer.text();
    return answer.ok ? undefined : text;
  } catch (error) {
    if (error instanceof TypeError || error instanceof DOMException) return messageOf(error);
    throw error;
  }
}

function nodeOf(machine: Machine, config: string, env: Record<string, string>): Node & { begin(): void } {
  let child: ChildProcess | undefined;
  /** What is not right after so long; undefined as soon as all is. Errors: that of a process that has ended. */
  const sickAfter = async (of: 'server' | 'copies', ms: number): Promise<string | undefined> => {
    const end = performance.now() + ms;
    for (;;) {
      const sick = await sicknessOf(machine.address, of);
      const ended = child?.exitCode ?? child?.signalCode ?? null;
      if (ended !== null) throw new Error(`the broker node with ${config} has ended: ${ended}${lastLines()}`);
      if (sick === undefined || performance.now() > end) return sick;
      await delay(LOOK_MS);
    }
  };
  const lastLines = (): string => `\n${readFileSync(`${config}.log`, 'utf8').trimEnd().split('\n').slice(-5).join('\n')}`;
  const refuse = (sick: string | undefined): void => {
    if (sick !== undefined) throw new Error(`the broker node with ${config} is not ready: ${sick}${lastLines()}`);
  };
  const whole = async (): Promise<void> => {
    refuse(await sickAfter('server', READY_MS));
    await sickAfter('copies', CURRENT_MS.whole);
  };
  // To restart the next node before that lost 2,092 of 5,033 logins.
  const spare = async (): Promise<void> => refuse(await sickAfter('copies', CURRENT_MS.spare));
  const begin = (): void => {
    const [command, args] = machine.command(findProgram(['nats-server']) as string, ['-c', config, '-l', `${config}.log`]);
    child = spawn(command, args, { stdio: 'ignore', detached: true, env: { ...process.env, ...env } });
  };
  return {
    ...{ name: machine.address, machine, begin, whole, spare },
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
