/** `stockmesh cancel`, `retry`, `redrive`: changes jobs by hand and announces the changes. */

import { cancel as cancelJob, type RedriveFilter, recordRedrive, redrive as redriveJobs, retry as retryJob } from '../../ledger/control.ts';
import { parseJobId } from '../../ledger/id.ts';
import type { Change } from '../../ledger/job.ts';
import { parseSymbol } from '../../market/symbol.ts';
import { COMMAND } from '../../platform/command-name.ts';
import { TransientError } from '../../platform/errors.ts';
import { recordChange } from '../../platform/registry/audit.ts';
import { cliActor } from '../actor.ts';
import { plural } from '../output/numbers.ts';
import { print, printJson } from '../output/print.ts';
import { type GlobalOptions, reachable, type Session, withSession } from '../session.ts';

type Options = GlobalOptions & { json?: boolean | undefined };

/** Errors: `InputError('job.invalid_id' | 'job.unknown' | 'job.ended')`. */
export async function cancel(text: string, options: Options): Promise<number> {
  const id = parseJobId(text);
  return withSession(options, async (session) => {
    const changes = await cancelJob(session.ledger, id, 'cancelled by hand', (tx) =>
      recordChange(tx, cliActor(), { action: 'job.cancel', target: `job:${id}` }),
    );
    const worker = changes[0]?.worker;
    const announced = await announce(session, changes, async () => {
      const bus = await session.bus();
      const running = changes.flatMap((change) => (change.worker === undefined ? [] : [{ instance: change.worker, job_id: change.id }]));
      await Promise.all(running.map((one) => bus.publish('control', { ...one, action: 'cancel' })));
    });
    if (options.json) printJson({ ok: true, announced: announced, changes: changes.map(changeOf) });
    else {
      print(
        `job ${id} is cancelled${worker === undefined ? '' : `; ${worker}, which runs it, ${announced ? 'was told' : 'sees it at its next heartbeat'}`}`,
      );
      printOthers(changes);
    }
    return 0;
  });
}

/** Errors: `InputError('job.invalid_id' | 'job.unknown' | 'job.live' | 'job.superseded')`. */
export async function retry(text: string, options: Options): Promise<number> {
  const id = parseJobId(text);
  return withSession(options, async (session) => {
    const changes = await retryJob(session.ledger, id, (tx) => recordChange(tx, cliActor(), { action: 'job.retry', target: `job:${id}` }));
    const announced = await announce(session, changes);
    if (options.json) printJson({ ok: true, announced: announced, changes: changes.map(changeOf) });
    else print(`job ${id} is ${changes[0]?.state ?? 'ready'} again${announced ? '' : notAnnounced}; "${COMMAND} job ${id}" shows it`);
    return 0;
  });
}

/** Starts all ended jobs of a kind again, five hundred a transaction. Errors: `InputError('symbol.invalid')`. */
export async function redrive({
  type,
  symbol,
  state,
  ...options
}: Options & { type?: string | undefined; symbol?: string | undefined; state: NonNullable<RedriveFilter['state']> }): Promise<number> {
  const filter: RedriveFilter = { type, state, symbol: symbol === undefined ? undefined : parseSymbol(symbol) };
  return withSession(options, async (session) => {
    const changes: Change[] = [];
    const superseded: string[] = [];
    let announced = true;
    for (let more = true; more; ) {
      const part = await redriveJobs(session.ledger, filter, (tx, redriven) => recordRedrive(tx, cliActor(), filter, redriven));
      announced = (await announce(session, part.changes)) && announced;
      changes.push(...part.changes);
      superseded.push(...part.superseded);
      more = part.more;
    }
    if (options.json) printJson({ ok: true, announced: announced, redriven: changes.map(({ id }) => id), superseded });
    else {
      print(
        changes.length === 0 && superseded.length === 0
          ? `no job is ${state.replaceAll('_', ' ')}: nothing to do`
          : `${plural(changes.length, 'job starts', 'jobs start')} again${announced ? '' : notAnnounced}`,
      );
      if (superseded.length > 0)
        print(
          `${plural(superseded.length, 'job was', 'jobs were')} left as ${superseded.length === 1 ? 'it is' : 'they are'}: another live job does the same work`,
        );
    }
    return 0;
  });
}

const notAnnounced = ' (the broker cannot be reached: the workers find it the next time they poll the database)';

/** Announces committed changes. False when the broker cannot be reached: the workers find the changes by polling. */
async function announce(session: Session, changes: readonly Change[], more: () => Promise<void> = async () => {}): Promise<boolean> {
  if (changes.length === 0) return true;
  if (!(await reachable(await session.bus()))) return false;
  try {
    await Promise.all([session.announcer().then((announcer) => announcer.changed(changes)), more()]);
    return true;
  } catch (error) {
    if (!(error instanceof TransientError)) throw error;
    return false;
  }
}

function changeOf({ id, type, symbol, state, attempt, worker, reason }: Change) {
  return { id, type, symbol, state, attempt, worker: worker ?? null, reason: reason ?? null };
}

function printOthers([, ...others]: readonly Change[]): void {
  for (const { id, type, state } of others) print(`${type} ${id} is ${state} because of it`);
}
