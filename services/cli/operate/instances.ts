/** `stockmesh drain` and `reload`: one service finishes its work and ends, or starts again. */
import { setTimeout as delay } from 'node:timers/promises';
import { nowOf } from '../../ledger/job.ts';
import { type Instance, listInstances } from '../../platform/registry/instances.ts';
import { aliveInstance, type InstanceAction, tellInstance } from '../../platform/registry/tell-instance.ts';
import { cliActor } from '../actor.ts';
import { FAILURE } from '../output/failure.ts';
import { plural } from '../output/numbers.ts';
import { print, printJson } from '../output/print.ts';
import { showProgress } from '../output/progress.ts';
import { type GlobalOptions, type Session, withSession } from '../session.ts';
import { confirmed } from './confirm.ts';

interface Options extends GlobalOptions {
  yes?: boolean | undefined;
  /** `--no-wait` makes it false. */
  wait: boolean;
  json?: boolean | undefined;
}

const POLL_MS = 200;
/** How long a supervisor may take to start a service again. */
const STARTED_AGAIN_MS = 60_000;

/** Errors: `InputError('instance.unknown' | 'instance.unconfirmed')`, `TransientError` where the broker does not take the message. */
export async function tell(action: InstanceAction, name: string, options: Options): Promise<number> {
  return withSession(options, async (session) => {
    const alive = await listInstances(session.db, since(session));
    const before = aliveInstance(alive, name);
    if (!options.yes && !(await confirmed('instance.unconfirmed', question(action, before)))) return FAILURE;
    const started = performance.now();
    await tellInstance(session.db, await session.bus(), cliActor(), { instance: name, action });
    const outcome = options.wait ? await outcomeOf(session, action, alive, before, options.json) : 'told';
    const seconds = (performance.now() - started) / 1000;
    if (options.json)
      printJson({ ok: outcome !== 'not started again', instance: name, action, outcome, seconds: options.wait ? seconds : null });
    else print(sentence(before, outcome, seconds));
    return outcome === 'not started again' ? FAILURE : 0;
  });
}

const since = ({ ledger }: Session): Date => new Date(nowOf(ledger).getTime() - ledger.leaseSeconds * 1000);

function question(action: InstanceAction, { instance, service, running }: Instance): { happens: string; question: string } {
  const work = running === 0 ? 'it has no work' : `it finishes ${plural(running, 'job')} or hands them back`;
  const then =
    action === 'drain'
      ? 'it ends; what watches over it ("up", systemd, a container engine) starts another one unless it is stopped there'
      : 'it starts again';
  return {
    happens: `${service} ${instance} would be told to stop: ${work}, then ${then}`,
    question: `${service} ${instance} stops: ${work}, then ${then}. Go on?`,
  };
}

type Outcome = 'told' | 'ended' | 'started again' | 'not started again';

/** Waits until the process has left the list of instances, and after a reload until its service has one that was not there before: most get a new name at each start. */
async function outcomeOf(
  session: Session,
  action: InstanceAction,
  before: readonly Instance[],
  told: Instance,
  quiet = false,
): Promise<Outcome> {
  const progress = showProgress({ quiet });
  progress.waiting(`${told.instance} finishes its work`);
  const known = new Set(before.map((one) => one.session));
  try {
    for (let goneAt: number | undefined; ; await delay(POLL_MS)) {
      const alive = await listInstances(session.db, since(session));
      if (alive.some((one) => one.session === told.session)) continue;
      if (action === 'drain') return 'ended';
      if (alive.some((one) => one.service === told.service && !known.has(one.session))) return 'started again';
      if (goneAt === undefined) progress.waiting(`${told.service} starts again`);
      goneAt ??= performance.now();
      if (performance.now() - goneAt > STARTED_AGAIN_MS) return 'not started again';
    }
  } finally {
    progress.end();
  }
}

function sentence({ instance, service }: Instance, outcome: Outcome, seconds: number): string {
  const who = `${service} ${instance}`;
  if (outcome === 'told') return `${who} was told`;
  if (outcome === 'not started again')
    return `${who} has ended, and nothing has started it again in ${STARTED_AGAIN_MS / 1000} s: its supervisor must start it again after exit code 75`;
  return `${who} has ${outcome}, after ${seconds.toFixed(1)} s`;
}
