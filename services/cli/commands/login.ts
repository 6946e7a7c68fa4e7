/** `stockmesh login`: tells the mesh that a user has signed in, as an application's hook does, and shows what comes of it. */

import type { KeptDecision } from '../../logins/answer.ts';
import { type LoginAnswer, loginAnswer } from '../../logins/login-answer.ts';
import { holdingsOf } from '../../market/portfolios/holdings.ts';
import type { Bus } from '../../platform/bus/bus.ts';
import { InputError, TransientError } from '../../platform/errors.ts';
import { SCHEMAS } from '../../platform/messages.ts';
import { print, printJson } from '../output/print.ts';
import { plain } from '../output/table.ts';
import { conclude, untilLanded, type WaitOptions, type Watch, withWatch } from '../output/wait.ts';
import { type GlobalOptions, reachable, type Session, withSession } from '../session.ts';

/** Errors: `InputError('user.invalid' | 'user.unknown')`, `TransientError('broker.unavailable' | 'login.unanswered')`. */
export async function login(name: string, options: GlobalOptions & WaitOptions & { wait?: boolean | undefined }): Promise<number> {
  const user = name.trim();
  if (!SCHEMAS.login.shape.userId.safeParse(user).success)
    throw new InputError('user.invalid', `user "${plain(name).slice(0, 80)}" is not 1 to 64 printable characters`);
  return withSession(options, async (session) => {
    await holdingsOf(session.db, user);
    return options.wait ? signInAndWait(session, [user], options) : loginOnly(session, user, options);
  });
}

async function loginOnly(session: Session, user: string, { json }: WaitOptions): Promise<number> {
  const at = new Date();
  await publish(await session.bus('hook'), user, at);
  if (json) printJson({ user, published_at: at, ok: true });
  else print(`login of ${user} is published on events/login; "stockmesh jobs --user ${user}" shows what it causes`);
  return 0;
}

async function publish(hook: Bus, user: string, at: Date): Promise<void> {
  if (!(await reachable(hook)))
    throw new TransientError(
      'broker.unavailable',
      `the broker cannot be reached (${hook.report().reason}); is stockmesh running? Start it with "npm start", or check queue.mqtt.* ("stockmesh config show queue.mqtt")`,
    );
  await hook.publish('login', { userId: user, at: at.toISOString() });
}

/** Signs users in at the same moment, follows all that this causes, and prints what landed. Resolves with the exit code. */
export async function signInAndWait(session: Session, users: readonly string[], options: WaitOptions): Promise<number> {
  const [bus, hook] = await Promise.all([session.bus(), session.bus('hook')]);
  const bells = new Map(users.map((user) => [user, Promise.withResolvers<void>()]));
  bus.subscribe('portfolio', {}, ({ body }) => bells.get(body.user_id)?.resolve());
  return withWatch(session, options, async (watch) => {
    await reachable(hook);
    const at = new Date();
    const startedAt = performance.now();
    await Promise.all(users.map((user) => publish(hook, user, at)));
    watch.progress.waiting('waiting for the answer of portfolio-priority');
    const answers = await Promise.all(
      [...bells].map(async ([user, bell]) => {
        const answer = await loginAnswer(session.db, user, at, bell.promise, watch.signal);
        if (answer === undefined)
          throw new TransientError(
            'login.unanswered',
            `nobody answered the login of ${user} within ${options.timeout} s: is the service portfolio-priority running? "stockmesh service portfolio-priority" starts one`,
          );
        return { user, ...answer, decisions: answer.decisions as KeptDecision[] };
      }),
    );
    return tell(session, { ...watch, startedAt }, at, answers, options);
  });
}

async function tell(
  session: Session,
  watch: Watch,
  at: Date,
  answers: readonly (Omit<LoginAnswer, 'decisions'> & { user: string; decisions: KeptDecision[] })[],
  options: WaitOptions,
): Promise<number> {
  const sum = (key: 'total' | 'queued' | 'fresh'): number => answers.reduce((total, answer) => total + answer[key], 0);
  const decisions = answers.flatMap((answer) => answer.decisions);
  const ids = decisions.flatMap(({ fetch, analysis }) => [fetch?.id ?? [], analysis?.id ?? []].flat());
  const skipped = decisions.flatMap(({ symbol, fresh: reason }) => (reason === undefined ? [] : [{ symbol, reason }]));
  const refused = decisions.flatMap(({ symbol, refused: reason }) => (reason === undefined ? [] : [{ symbol, reason }]));
  const joined = decisions.filter(
    ({ fetch, analysis }) => [fetch, analysis].every((job) => job?.coalesced !== false) && (fetch ?? analysis) !== undefined,
  ).length;
  watch.progress.onNote(
    `${sum('queued')} of ${sum('total')} symbols queued, ${sum('fresh')} fresh${joined > 0 ? `, ${joined} shared with somebody who asked before` : ''}`,
  );
  const jobs = await untilLanded(session, watch, [...new Set(ids)]);
  const ends = jobs.flatMap(({ fresh_after_ms }) => fresh_after_ms ?? []);
  const elapsedMs = jobs.length === 0 ? Math.round(performance.now() - watch.startedAt) : Math.max(0, ...ends);
  const users = answers.map(({ user }) => user);
  return conclude({ jobs, skipped, refused, elapsedMs }, options, {
    ...(users.length === 1 ? { user: users[0] } : { users }),
    published_at: at,
    total: sum('total'),
    queued: sum('queued'),
    fresh: sum('fresh'),
    joined,
  });
}
