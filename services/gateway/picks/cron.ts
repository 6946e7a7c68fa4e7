/** `POST /v1/cron/weekly-picks`: the weekly run, for a scheduler outside of stockmesh. */

import { createHash, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { weeklyRun } from '../../job-types/picks/weekly.ts';
import { inTrace } from '../../ledger/enqueue/traced.ts';
import { weekOf } from '../../picks/report/week.ts';
import type { App, Parts } from '../http/app.ts';
import { RefusedError } from '../http/problems.ts';
import { problems } from '../http/schemas.ts';
import { traceparentOf } from '../http/traceparent.ts';

export function cronRoutes(app: App, { config, clock, db, ledger, enqueuer }: Parts): void {
  app.route({
    method: 'POST',
    url: '/v1/cron/weekly-picks',
    // Its secret is none of the keys: it may start the run of the week and nothing else.
    config: { access: 'open' },
    schema: {
      operationId: 'startWeeklyPicks',
      summary: 'Start the weekly run',
      description:
        'With `Authorization: Bearer` and picks.cron_secret. A report for each user who has none this week; sent twice it is one run.',
      tags: ['picks'],
      response: { 202: z.object({ week_of: z.string(), queued: z.int(), joined: z.int(), refused: z.int() }), ...problems },
    },
    async handler(request, reply) {
      if (!isSecret(request.headers.authorization, config.picks.cron_secret))
        throw new RefusedError(
          401,
          'cron.bad_secret',
          'send "Authorization: Bearer" and the value of picks.cron_secret (CRON_SECRET), which must be set',
        );
      const requests = await weeklyRun({ db, clock }, config, {
        cause: 'scheduled_update',
        rules: config.jobs.priority_rules,
        by: 'weekly picks',
      });
      const answers =
        requests.length === 0
          ? []
          : await inTrace('request', { parent: traceparentOf(request) }, (commitTraced) =>
              commitTraced(requests, () => enqueuer.enqueueTogether(requests)),
            );
      const own = answers.filter((_, index) => requests[index]?.type === 'picks');
      const count = (outcome: string): number => own.filter((answer) => answer.outcome === outcome).length;
      return reply
        .code(202)
        .send({ week_of: weekOf(ledger.clock.now()), queued: count('queued'), joined: count('joined'), refused: count('refused') });
    },
  });
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Compared in constant time: digests have one length, whatever was sent. Without a secret nobody is let in. */
function isSecret(header: string | undefined, secret: string | null): boolean {
  const given = /^Bearer (.+)$/i.exec(header ?? '')?.[1] ?? '';
  return timingSafeEqual(digest(given), digest(secret ?? '')) && secret !== null && secret !== '';
}
