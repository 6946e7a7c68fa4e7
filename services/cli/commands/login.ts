/** `stockmesh login`: signs a user in and shows what comes of it. The login is committed by this process, as the gateway does it, so it needs the database and no broker. */

import { once } from 'node:events';
import { nowOf } from '../../ledger/job.ts';
import type { Admission } from '../../logins/admission.ts';
import type { CommittedLogin } from '../../logins/commit.ts';
import { countsText } from '../../market/freshness/freshness.ts';
import { holdingsOf } from '../../market/portfolios/holdings.ts';
import { COMMAND } from '../../platform/command-name.ts';
import { TransientError } from '../../platform/errors.ts';
import { parseUser } from '../../platform/user-id.ts';
import { print, printJson } from '../output/print.ts';
import { conclude, untilEnded, type WaitOptions, type Watch, withWatch } from '../output/wait.ts';
import { type GlobalOptions, reachable, type Session, withSession } from '../session.ts';

/** Errors: `InputError('user.invalid' | 'user.unknown' | 'symbol.invalid')`, `TransientError('database.unavailable' | 'login.unanswered')`. */
export async function login(name: string, options: GlobalOptions & WaitOptions & { wait?: boolean | undefined }): Promise<number> {
  const user = parseUser(name);
  return withSession(options, async (session) => {
    await holdingsOf(session.db, user);
    return options.wait ? signInAndWait(session, [user], options) : loginOnly(session, user, options);
  });
}

async function loginOnly(session: Session, user: string, { json }: WaitOptions): Promise<number> {
  const announced = await reachable(await session.bus());
  const at = nowOf(session);
  const admission = await openAdmission(session);
  const { total, queued, fresh, outdated, missing, unknown, text } = await admission.admitLogin({ userId: user, at: at.toISOString() });
  await admission.idle();
  if (json) printJson({ user, published_at: at, ok: true, announced, total, queued, fresh, outdated, missing, unknown });
  else {
    print(`login of ${user} is committed: ${text}; "${COMMAND} jobs --user ${user}" shows the jobs`);
    if (!announced) print('the broker is away: the workers find these jobs when they next look into the ledger');
  }
  return 0;
}

/** Loaded when a login comes: other commands do not need it. */
async function openAdmission({ ledger, loaded, announcer, bus }: Session): Promise<Admission> {
  const [{ createAdmission }, { pino }] = await Promise.all([import('../../logins/admission.ts'), import('pino')]);
  return createAdmission({
    ledger,
    announcer: await announcer(),
    bus: await bus(),
    config: loaded.config,
    log: pino({ level: 'silent' }),
  });
}

/** Signs users in at the same moment, follows the jobs of their logins, and prints the results. Resolves with the exit code. */
export async function signInAndWait(session: Session, users: readonly string[], options: WaitOptions): Promise<number> {
  const [admission, { readCommittedLogin }] = await Promise.all([openAdmission(session), import('../../logins/commit.ts')]);
  return withWatch(session, options, async (watch) => {
    const at = nowOf(session);
    const startedAt = performance.now();
    watch.progress.waiting('committing the login');
    const signIn = async (user: string): Promise<CommittedLogin & { user: string }> => {
      const answer = await admission.admitLogin({ userId: user, at: at.toISOString() });
      return { user, ...(await readCommittedLogin(session.db, answer)) };
    };
    const answers = await Promise.race([Promise.all(users.map(signIn)), tooLate(watch.signal, options.timeout)]);
    return followJobs(session, { ...watch, startedAt }, at, answers, options);
  });
}

async function tooLate(signal: AbortSignal, seconds: number): Promise<never> {
  if (!signal.aborted) await once(signal, 'abort');
  throw new TransientError('login.unanswered', `the login was not committed within ${seconds} s: the database is slow or does not answer`);
}

/** Follows the jobs of committed logins to their end and prints the results. */
async function followJobs(
  session: Session,
  watch: Watch,
  at: Date,
  answers: readonly (CommittedLogin & { user: string })[],
  options: WaitOptions,
): Promise<number> {
  const sum = (key: 'total' | 'queued' | 'fresh' | 'outdated' | 'missing' | 'unknown'): number =>
    answers.reduce((total, answer) => total + answer[key], 0);
  const decisions = answers.flatMap((answer) => answer.decisions);
  const ids = decisions.flatMap(({ fetch, analysis }) => [fetch?.id ?? [], analysis?.id ?? []].flat());
  const skipped = decisions.flatMap(({ symbol, fresh, outdated, missing, unknown }) => {
    const reason = fresh ?? outdated ?? missing ?? unknown;
    return reason === undefined ? [] : [{ symbol, reason }];
  });
  const refused = decisions.flatMap(({ symbol, refused: reason }) => (reason === undefined ? [] : [{ symbol, reason }]));
  const joined = decisions.filter(
    ({ fetch, analysis }) => [fetch, analysis].every((job) => job?.coalesced !== false) && (fetch ?? analysis) !== undefined,
  ).length;
  watch.progress.onNote(
    `${sum('queued')} of ${sum('total')} symbols queued, ${countsText({ fresh: sum('fresh'), outdated: sum('outdated'), missing: sum('missing'), unknown: sum('unknown') })}${joined > 0 ? `, ${joined} shared with earlier requests` : ''}`,
  );
  const jobs = await untilEnded(session, watch, [...new Set(ids)]);
  const ends = jobs.flatMap(({ fresh_after_ms }) => fresh_after_ms ?? []);
  const elapsedMs = jobs.length === 0 ? Math.round(performance.now() - watch.startedAt) : Math.max(0, ...ends);
  const users = answers.map(({ user }) => user);
  return conclude(session, { jobs, skipped, refused, elapsedMs }, options, {
    ...(users.length === 1 ? { user: users[0] } : { users }),
    published_at: at,
    total: sum('total'),
    queued: sum('queued'),
    fresh: sum('fresh'),
    outdated: sum('outdated'),
    missing: sum('missing'),
    unknown: sum('unknown'),
    joined,
  });
}
