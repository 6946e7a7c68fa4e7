/** The faults of a cluster: what is killed, restarted or cut off under load, and how it comes back. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ClusterMesh } from './mesh.ts';
import type { Node } from './nodes.ts';

export interface ClusterCase {
  name: string;
  /** Needs more than one node. */
  cluster?: boolean;
  /** The fault and its repair, under load. `round` chooses the node: each has its turn. Resolves when everything is whole again. */
  strike(mesh: ClusterMesh, round: number): Promise<void>;
}

/** Long enough for the other nodes to give one up: Galera does after 5 s, and to go on without it. */
const AWAY_MS = 12_000;

const nodesOf = (mesh: ClusterMesh, kind: 'database' | 'broker'): readonly Node[] => (kind === 'database' ? mesh.databases : mesh.brokers);
const turn = (nodes: readonly Node[], round: number): Node => nodes[round % nodes.length] as Node;
const whole = (nodes: readonly Node[]): Promise<unknown> => Promise.all(nodes.map((node) => node.whole()));

async function kill(nodes: readonly Node[], round: number): Promise<void> {
  const node = turn(nodes, round);
  await node.end('SIGKILL');
  await delay(AWAY_MS);
  await node.start();
  await whole(nodes);
}

async function roll(nodes: readonly Node[]): Promise<void> {
  for (const node of nodes) {
    await node.end('SIGTERM');
    await node.start();
    await whole(nodes);
    await Promise.all(nodes.map((one) => one.spare?.()));
  }
}

async function cutOff(nodes: readonly Node[], round: number): Promise<void> {
  const { machine } = turn(nodes, round);
  machine.cutOff();
  await delay(AWAY_MS);
  machine.join();
  await whole(nodes);
}

/** Two of three are cut off, from each other too: none of the three may go on. */
async function loseQuorum(nodes: readonly Node[], round: number): Promise<void> {
  const away = [turn(nodes, round), turn(nodes, round + 1)];
  for (const { machine } of away) machine.cutOff();
  await delay(AWAY_MS);
  for (const { machine } of away) machine.join();
  await whole(nodes);
}

const SIGNALS = { restarted: 'SIGTERM', killed: 'SIGKILL' } as const;

export const CASES: readonly ClusterCase[] = [
  ...(['database', 'broker'] as const).flatMap((kind): ClusterCase[] => [
    { name: `${kind}: a node is killed`, strike: (mesh, round) => kill(nodesOf(mesh, kind), round) },
    { name: `${kind}: rolling restart`, strike: (mesh) => roll(nodesOf(mesh, kind)) },
    { name: `${kind}: a node is cut off`, strike: (mesh, round) => cutOff(nodesOf(mesh, kind), round) },
    { name: `${kind}: quorum lost and back`, cluster: true, strike: (mesh, round) => loseQuorum(nodesOf(mesh, kind), round) },
  ]),
  ...(['restarted', 'killed'] as const).map(
    (how): ClusterCase => ({
      name: `services: each is ${how} in turn`,
      async strike({ services }) {
        for (const service of services) {
          await service.end(SIGNALS[how]);
          await service.start();
        }
      },
    }),
  ),
];
