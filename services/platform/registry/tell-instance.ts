import type { Bus } from '../bus/bus.ts';
import type { Database } from '../database/database.ts';
import { InputError } from '../errors.ts';
import { type Actor, recordChange } from './audit.ts';
import type { Instance } from './instances.ts';

/** What a service can be told: to finish its work and end, or to do that and start again. */
export type InstanceAction = 'drain' | 'reload';

/** Longest list of names in an error. */
const MOST_NAMED = 20;

/** The one of a name among those that are alive. Errors: `InputError('instance.unknown')`. */
export function aliveInstance(alive: readonly Instance[], instance: string): Instance {
  const found = alive.find((one) => one.instance === instance);
  if (found !== undefined) return found;
  const names = alive.slice(0, MOST_NAMED).map((one) => one.instance);
  throw new InputError(
    'instance.unknown',
    `no instance ${JSON.stringify(instance)} is alive; ${names.length === 0 ? 'none is' : `these are: ${names.join(', ')}${alive.length > names.length ? ', …' : ''}`}`,
  );
}

/** Tells an instance over the broker. Errors: those of `Bus.publish`. */
export async function tellInstance(
  db: Database,
  bus: Bus,
  actor: Actor,
  { instance, action }: { instance: string; action: InstanceAction },
): Promise<void> {
  // Noted first: a service that was ended and of which the log says nothing is worse than one that the broker did not reach.
  await db.transaction(async (tx) => recordChange(tx, actor, { action: `instance.${action}`, target: `instance:${instance}` }));
  await bus.publish('control', { instance, action });
}
