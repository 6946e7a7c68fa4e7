/** The faults: what is ended when, under which load, and whether it is promised that no acknowledged login is lost. */
import type { BrokerName } from './brokers.ts';
import type { Load } from './load.ts';
import type { FaultMesh, Target } from './mesh.ts';

export interface FaultCase {
  name: string;
  broker: BrokerName;
  /** False: a loss is reported and is no failure. The broker's documentation says so. */
  promised: boolean;
  hook: 'QoS 1' | 'QoS 2' | 'HTTP';
  /** What runs before the first round. */
  running: readonly Target[];
  /** A broker that has never seen a session, and new services, at each round. */
  fresh?: boolean;
  /** The fault and its repair, under load: resolves when everything is back. */
  strike(mesh: FaultMesh, load: Load): Promise<void>;
}

/** Logins that are sent before a fault, and while a short one lasts: a fault falls at another point of the batches in each round. */
const before = (load: Load): Promise<void> => load.more(20 + Math.floor(Math.random() * 40));
const SHORT = 20;
/** About three seconds. */
const LONG = 300;

type Signal = 'SIGTERM' | 'SIGKILL';
const SIGNALS: readonly Signal[] = ['SIGTERM', 'SIGKILL'];

/** Ends the targets one after the other and starts them in the same order. */
function restart(targets: readonly Target[], signal: Signal, away = SHORT): FaultCase['strike'] {
  return async (mesh, load) => {
    await before(load);
    for (const target of targets) await mesh.end(target, signal);
    await load.more(away);
    for (const target of targets) await mesh.start(target);
    await before(load);
  };
}

/** The service is away, logins queue, then the broker restarts, then the service comes back. */
function brokerWhileAbsent(signal: Signal): FaultCase['strike'] {
  return async (mesh, load) => {
    await before(load);
    await mesh.end('portfolio-priority', 'SIGKILL');
    await load.more(SHORT * 2);
    await mesh.end('broker', signal);
    await mesh.start('broker');
    await load.more(SHORT);
    await mesh.start('portfolio-priority');
    await before(load);
  };
}

async function firstStart(mesh: FaultMesh, load: Load): Promise<void> {
  await load.more(SHORT * 4);
  await mesh.start('portfolio-priority');
  await before(load);
}

/** HTTP logins must be answered while the broker is away. */
async function brokerAway(mesh: FaultMesh, load: Load): Promise<void> {
  await before(load);
  await mesh.end('broker', 'SIGKILL');
  await load.more(SHORT * 2);
  load.stop();
  await load.finish(AWAY_TIMEOUT_MS);
  await mesh.start('broker');
}
const AWAY_TIMEOUT_MS = 10_000;

/** Of two priority services one leaves and does not come back. */
function oneLeaves(signal: Signal): FaultCase['strike'] {
  return async (mesh, load) => {
    await mesh.start('second priority');
    await before(load);
    await mesh.end('second priority', signal);
    await load.more(SHORT * 2);
  };
}

const LISTENING: readonly Target[] = ['portfolio-priority', 'worker'];
const ALL: readonly Target[] = ['all services'];

function casesOf(broker: BrokerName): FaultCase[] {
  const common = { broker, promised: true, hook: 'QoS 1', running: LISTENING } as const;
  const twice = (make: (signal: Signal) => FaultCase): FaultCase[] => SIGNALS.map(make);
  const durable = broker === 'embedded';
  return [
    ...(['portfolio-priority', 'worker', 'scheduler', 'gateway'] as const).flatMap((target) =>
      twice((signal) => ({
        ...common,
        name: `${broker}: ${signal} of ${target}`,
        hook: target === 'gateway' ? 'HTTP' : 'QoS 1',
        running: target === 'scheduler' || target === 'worker' ? ALL : target === 'gateway' ? [...LISTENING, 'gateway'] : LISTENING,
        strike: restart([target], signal),
      })),
    ),
    ...twice((signal) => ({ ...common, name: `${broker}: ${signal} of all services`, running: ALL, strike: restart(ALL, signal) })),
    ...twice((signal) => ({ ...common, name: `${broker}: ${signal} of the broker`, strike: restart(['broker'], signal) })),
    ...twice((signal) => ({
      ...common,
      name: `${broker}: ${signal} of portfolio-priority and the broker`,
      promised: durable || signal === 'SIGTERM',
      strike: restart(['portfolio-priority', 'broker'], signal),
    })),
    ...twice((signal) => ({
      ...common,
      name: `${broker}: ${signal} of the broker while portfolio-priority is away`,
      promised: durable || signal === 'SIGTERM',
      strike: brokerWhileAbsent(signal),
    })),
    { ...common, name: `${broker}: portfolio-priority away for long`, strike: restart(['portfolio-priority'], 'SIGKILL', LONG) },
    {
      ...common,
      name: `${broker}: first start, logins before the first subscription`,
      promised: durable,
      running: ['worker'],
      fresh: true,
      strike: firstStart,
    },
    ...twice((signal) => ({
      ...common,
      name: `${broker}: ${signal} of one of two portfolio-priority, for good`,
      strike: oneLeaves(signal),
    })),
    ...twice((signal) => ({
      ...common,
      name: `${broker}: QoS 2, ${signal} of portfolio-priority`,
      hook: 'QoS 2',
      strike: restart(['portfolio-priority'], signal),
    })),
    ...twice((signal) => ({
      ...common,
      name: `${broker}: QoS 2, ${signal} of the broker`,
      hook: 'QoS 2',
      strike: restart(['broker'], signal),
    })),
    { ...common, name: `${broker}: HTTP, the broker away`, hook: 'HTTP', running: [...LISTENING, 'gateway'], strike: brokerAway },
    ...twice((signal) => ({
      ...common,
      name: `${broker}: ${signal} of stockmesh up, and its next start`,
      running: ['up'],
      strike: restart(['up'], signal),
    })),
  ];
}

export const CASES: readonly FaultCase[] = [...casesOf('embedded'), ...casesOf('mosquitto')];
