/** `POST /v1/events/login`: the same as the MQTT event, for hooks that speak HTTP. */
import { z } from 'zod';
import { loginAnswer } from '../../logins/login-answer.ts';
import { InputError, TransientError } from '../../platform/errors.ts';
import { SCHEMAS } from '../../platform/messages.ts';
import { demand } from '../auth/access.ts';
import type { App, Parts } from '../http/app.ts';
import { instant, problems, userId } from '../http/schemas.ts';

/** What portfolio-priority takes as a moment of its own; others it counts as now. */
const AHEAD_MS = 60_000;
const BACK_MS = 86_400_000;

export function loginRoutes(app: App, { config, clock, db, bus, live }: Parts): void {
  const { login_timeout } = config.gateway;
  app.route({
    method: 'POST',
    url: '/v1/events/login',
    config: { access: 'key' },
    schema: {
      summary: 'A user has signed in',
      description:
        'Answers 202 when the login and its jobs are committed. After a 503 send the same event again, with the same `at`: a login of the same user and moment counts once.',
      tags: ['events'],
      body: SCHEMAS.login.omit({ v: true }).extend({ userId }).strict(),
      response: {
        202: z.object({
          userId: z.string(),
          at: instant,
          total: z.int().describe('Symbols held and watched'),
          queued: z.int().describe('Of these: to be made fresh'),
          fresh: z.int().describe('Of these: fresh already'),
          decisions: z
            .array(z.looseObject({ symbol: z.string() }))
            .describe('A symbol each, with the jobs that it caused or joined, or why it caused none'),
        }),
        ...problems,
      },
    },
    async handler(request, reply) {
      const { userId: user, at: given, sessionId } = request.body;
      demand(request, 'jobs', user);
      const now = clock.now().epochMilliseconds;
      const at = new Date(given ?? now);
      if (at.getTime() > now + AHEAD_MS || at.getTime() < now - BACK_MS)
        throw new InputError(
          'login.bad_time',
          `body "at" is ${given}: a login lies at most a day back and a minute ahead; leave it out for now`,
        );
      const signal = AbortSignal.timeout(login_timeout * 1000);
      // Listens first, so that the answer is not missed.
      const bell = live.answerTo(user, signal);
      await bus.publish('login', { userId: user, at: at.toISOString(), ...(sessionId === undefined ? {} : { sessionId }) });
      const answer = await loginAnswer(db, user, at, bell, signal);
      if (answer === undefined)
        throw new TransientError(
          'login.unanswered',
          `the login was not committed within ${login_timeout} s: is the service portfolio-priority running? Send it again with "at": "${at.toISOString()}"`,
        );
      return reply.code(202).send({ userId: user, at, ...answer, decisions: answer.decisions as { symbol: string }[] });
    },
  });
}
