/** `POST /v1/events/login`: a login for hooks that speak HTTP, committed by this process. It needs the database and no broker. */

import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { isPast } from '../../logins/admission.ts';
import { readCommittedLogin } from '../../logins/commit.ts';
import { InputError, TransientError } from '../../platform/errors.ts';
import { countUnknownFields, SCHEMAS } from '../../platform/messages.ts';
import { demand, mayFor } from '../auth/access.ts';
import type { App, Parts } from '../http/app.ts';
import { pageOf } from '../http/page.ts';
import { answerProblem, refusalOf } from '../http/problems.ts';
import { instant, problems, userId } from '../http/schemas.ts';
import { traceparentOf } from '../http/traceparent.ts';

const ANSWER = z.object({
  userId: z.string(),
  at: instant,
  ...z
    .object({
      total: z.int().describe('Symbols held and watched'),
      queued: z.int().describe('Of these: symbols with queued jobs'),
      fresh: z.int().describe('Of these: fresh already'),
      outdated: z.int().describe('Of these: the sources were asked lately and have nothing newer'),
      missing: z.int().describe('Of these: the sources were asked lately and have nothing at all'),
      unknown: z.int().describe('Of these: the answer of the sources was a failure, and they are not asked again yet'),
      decisions: z
        .array(z.looseObject({ symbol: z.string() }))
        .describe('A symbol each, with the jobs that it caused or joined, or why it caused none'),
      truncated: z.boolean().describe('true when there are more decisions than fit into a megabyte: the first ones are here'),
    })
    .partial().shape,
});

export function loginRoutes(app: App, { config, clock, db, admission, loginRefusals }: Parts): void {
  const { login_timeout } = config.gateway;
  app.route({
    method: 'POST',
    url: '/v1/events/login',
    config: { access: 'login' },
    schema: {
      operationId: 'signIn',
      summary: 'A user has signed in',
      description:
        'Answers 202 when the login and its jobs are committed, also while the broker is away. After a 503 send the same event again, with the same `at`: a login of the same user and moment counts once. Fields that are not known are left out. A key with the scope `login` alone gets `userId` and `at`: what the user holds is not for it.',
      tags: ['events'],
      // Loose: the unknown fields are counted.
      body: SCHEMAS.login.extend({ userId }).loose(),
      response: { 202: ANSWER, ...problems },
    },
    errorHandler(error, request, reply) {
      const refusal = refusalOf(error);
      const { caller, headers } = request;
      if (refusal !== undefined) {
        if (caller === undefined) loginRefusals.count(refusal.code);
        else loginRefusals.add({ ...refusal, account: caller.name, bytes: Number(headers['content-length']) || undefined });
      }
      answerProblem(error, request, reply);
    },
    async handler(request, reply) {
      const { userId: user, at: given, sessionId } = request.body;
      const caller = demand(request, 'login', user);
      // As clients of HTTP send it by themselves; the field is for hooks that publish the same event over MQTT as well.
      const traceparent = request.body.traceparent ?? traceparentOf(request);
      admission.counters.unknownFields += countUnknownFields(request.body);
      const now = clock.now().epochMilliseconds;
      const at = new Date(given ?? now);
      if (!isPast(at.getTime(), now))
        throw new InputError('login.bad_time', `body "at" is ${given}: a login lies at most a minute ahead; leave it out for now`);
      const over = new AbortController();
      const late = delay(login_timeout * 1000, undefined, { signal: over.signal }).then(
        () => undefined,
        () => undefined,
      );
      const event = { userId: user, at: at.toISOString(), traceparent, ...(sessionId === undefined ? {} : { sessionId }) };
      const committed = await Promise.race([
        admission.admitLogin(event, caller.id).then((answer) => readCommittedLogin(db, answer)),
        late,
      ]).finally(() => over.abort());
      if (committed === undefined)
        throw new TransientError(
          'login.unanswered',
          `the login was not committed within ${login_timeout} s: the database is slow or does not answer. Send it again with "at": "${at.toISOString()}"`,
        );
      if (!mayFor(caller, 'jobs', user)) return reply.code(202).send({ userId: user, at });
      const { rows: decisions, next } = pageOf(committed.decisions, committed.decisions.length, ({ symbol }) => symbol);
      return reply.code(202).send({ userId: user, at, ...committed, decisions, truncated: next !== null });
    },
  });
}
