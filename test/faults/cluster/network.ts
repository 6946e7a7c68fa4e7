/** Machines on this one: a network namespace each, with an address of its own, joined by a bridge. For Linux, as root. */
import { execFileSync } from 'node:child_process';

export interface Machine {
  readonly name: string;
  readonly address: string;
  /** The command line by which a program runs there. */
  command(program: string, args: readonly string[]): [string, string[]];
  /** Nothing goes in or out, and nobody is told: as with a cable that was pulled. */
  cutOff(): void;
  join(): void;
}

export interface Network {
  machines: Machine[];
  close(): void;
}

const ip = (text: string): void => void execFileSync('ip', text.split(' '), { stdio: ['ignore', 'ignore', 'pipe'] });

const pidsOn = (name: string): number[] =>
  execFileSync('ip', ['netns', 'pids', name], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line !== '')
    .map(Number);

/** Whether this process may make such networks here. */
export function hasNetworks(): boolean {
  const name = `stockmesh-${process.pid}`;
  try {
    ip(`netns add ${name}`);
    ip(`netns del ${name}`);
    return true;
  } catch {
    return false;
  }
}

/** Of 198.18.0.0/15, which is for tests of networks (RFC 2544). */
export function openNetwork(count: number): Network {
  const net = `198.18.${process.pid % 250}`;
  // Names of interfaces have 15 letters at most.
  const bridge = `smb${process.pid}`;
  ip(`link add ${bridge} type bridge`);
  ip(`addr add ${net}.1/24 dev ${bridge}`);
  ip(`link set ${bridge} up`);
  const machines = Array.from({ length: count }, (_, index) => openMachine(bridge, `sm${process.pid}n${index}`, `${net}.${index + 11}`));
  return {
    machines,
    close() {
      for (const { name } of machines) {
        // A node that was being restarted when everything was stopped: its namespace is gone otherwise, and the process is not.
        for (const pid of pidsOn(name)) process.kill(pid, 'SIGKILL');
        ip(`netns del ${name}`);
      }
      ip(`link del ${bridge}`);
    },
  };
}

function openMachine(bridge: string, name: string, address: string): Machine {
  ip(`netns add ${name}`);
  ip(`link add ${name} type veth peer name eth0 netns ${name}`);
  ip(`link set ${name} master ${bridge} up`);
  ip(`-n ${name} addr add ${address}/24 dev eth0`);
  ip(`-n ${name} link set eth0 up`);
  ip(`-n ${name} link set lo up`);
  return {
    name,
    address,
    command: (program, args) => ['ip', ['netns', 'exec', name, program, ...args]],
    // Out of the bridge and not down: an interface that is down would refuse connections of its own side at once.
    cutOff: () => ip(`link set ${name} nomaster`),
    join: () => ip(`link set ${name} master ${bridge}`),
  };
}
