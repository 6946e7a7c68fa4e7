/** The commands that ask for jobs. Each job type defines its own; here its requests are submitted and the answer is printed. */

import { createJobQuotas, userAsker } from '../../gateway/jobs/quotas.ts';
import type { CliForm } from '../../job-types/job-type.ts';
import type { Origin } from '../../job-types/request.ts';
import { enqueueWith, type JobRequest } from '../../ledger/enqueue/enqueue.ts';
import { acceptedJson, type Refusal, submit } from '../../ledger/enqueue/submit.ts';
import { inTrace } from '../../ledger/enqueue/traced.ts';
import { FAILURE } from '../output/failure.ts';
import { print, printJson } from '../output/print.ts';
import { type Column, plain, table } from '../output/table.ts';
import { conclude, untilEnded, type WaitOptions, withWatch } from '../output/wait.ts';
import { type GlobalOptions, reachable, type Session, withSession } from '../session.ts';

export interface RequestOptions extends GlobalOptions, WaitOptions {
  wait?: boolean | undefined;
}

/**
 * Submits the requests of a command line, and prints the jobs, or with `--wait` their results. The exit code: 1 when a request was refused, or its job failed.
 * Errors: `InputError` of the form, before anything is connected; those of `withSession`.
 */
export async function requestJobs(form: CliForm, args: readonly string[], options: RequestOptions): Promise<number> {
  const { user, make, prepare } = form.requests(args, options as never);
  return withSession(options, async (session) => {
    const { config } = session.loaded;
    const prepared = (await prepare?.({ config, db: session.db, signal: AbortSignal.timeout(options.timeout * 1000) })) ?? [];
    // Beside the JSON document, which stands alone on standard output.
    for (const line of prepared) options.json ? process.stderr.write(`${plain(line)}\n`) : print(plain(line));
    const origin: Origin = { cause: 'user_request', rules: config.jobs.priority_rules, user };
    const requests = await make({ config, clock: session.clock, db: session.db, origin });
    return options.wait ? submitAndWait(session, requests, options) : submitOnly(session, requests, options);
  });
}

async function submitOnly(session: Session, requests: readonly JobRequest[], { json }: RequestOptions): Promise<number> {
  const bus = await session.bus();
  await reachable(bus);
  const { accepted, refused } = await submitFrom(session, requests);
  const announced = bus.state !== 'offline';
  const jobs = accepted.map(acceptedJson);
  if (json) printJson({ ok: refused.length === 0, announced, jobs, refused: refused.map(refusalOf) });
  else {
    if (jobs.length > 0) print(table(jobs, COLUMNS));
    if (!announced) print('the broker cannot be reached: the workers find these jobs the next time they poll the database');
  }
  for (const { symbol, reason } of refused.map(refusalOf))
    process.stderr.write(`stockmesh: ${symbol === null ? '' : `${symbol}: `}refused: ${plain(reason)}\n`);
  return refused.length === 0 ? 0 : FAILURE;
}

function submitAndWait(session: Session, requests: readonly JobRequest[], options: RequestOptions): Promise<number> {
  return withWatch(session, options, async (watch) => {
    const { accepted, refused } = await submitFrom(session, requests);
    const jobs = await untilEnded(session, watch, [...new Set(accepted.map(({ answer }) => answer.id))]);
    const elapsedMs = Math.round(performance.now() - watch.startedAt);
    return conclude(session, { jobs, refused: refused.map(refusalOf), elapsedMs }, options, {});
  });
}

/** A user has the same quota as over HTTP; a request without one has none. */
export async function submitFrom({ ledger, announcer, loaded, startTracing }: Session, requests: readonly JobRequest[]) {
  const within = await createJobQuotas(ledger.db).admit(
    requests,
    ({ user }) => (user === undefined ? [] : [userAsker(user, loaded.config.gateway.quotas)]),
    (index) => requests[index]?.symbol,
  );
  await startTracing();
  const { accepted, refused } = await submit(
    within.admitted.map((index) => requests[index] as JobRequest),
    (all) =>
      inTrace('command', {}, async (commitTraced) => {
        const commit = () =>
          ledger.db.transaction(async (tx) => {
            const enqueued = await enqueueWith(tx, ledger, all);
            within.record(tx, enqueued);
            return enqueued;
          });
        const answers = await commitTraced(all, commit);
        await (await announcer()).enqueued(answers);
        return answers;
      }),
  );
  return { accepted, refused: [...within.refused, ...refused] };
}

const refusalOf = ({ request, reason }: Refusal) => ({ symbol: request.symbol ?? null, reason });

const COLUMNS: Column<ReturnType<typeof acceptedJson>>[] = [
  { title: 'ID', value: ({ id }) => id },
  { title: 'SYMBOL', value: ({ symbol }) => symbol },
  { title: 'TYPE', value: ({ type }) => type },
  { title: 'PRIORITY', value: ({ priority }) => priority, align: 'right', optional: 2 },
  { title: 'QUEUE', value: ({ queue }) => queue, optional: 3 },
  {
    title: 'OUTCOME',
    value: ({ outcome, state }) => (outcome === 'joined' ? `joined a ${state} job` : outcome),
    optional: 1,
    flexible: 16,
  },
];
