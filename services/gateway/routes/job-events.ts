/** `GET /v1/jobs/{id}/events`: one job as it goes, until it has ended. */
import { z } from 'zod';
import { isLive } from '../../ledger/job.ts';
import type { JobDetail } from '../../ledger/read/jobs.ts';
import { callerOf } from '../auth/access.ts';
import { visibleJob } from '../auth/visible-job.ts';
import type { App, Parts } from '../http/app.ts';
import { jobId, problems } from '../http/schemas.ts';
import { frameOf, openStream } from '../live/sse.ts';

/** Pauses between looks into the ledger: the messages tell first, and nothing is missed without them. */
const LOOK_ONLINE_MS = 2_000;
const LOOK_AWAY_MS = 500;

export function jobEventRoutes(app: App, { config, db, live, bus, log }: Parts): void {
  const { max_behind, heartbeat } = config.gateway.events;
  const ending = new AbortController();
  app.addHook('preClose', async () => ending.abort());

  app.route({
    method: 'GET',
    url: '/v1/jobs/:id/events',
    config: { access: 'key' },
    schema: {
      summary: 'The states and the progress of one job, as server-sent events',
      description: 'Begins with `state` as it is now; a `state` or `progress` follows at every change, `end` after the last one.',
      tags: ['live'],
      params: z.strictObject({ id: jobId }),
      response: { 200: { content: { 'text/event-stream': { schema: z.string() } } }, ...problems },
    },
    async handler(request, reply) {
      const caller = callerOf(request);
      const { id } = request.params;
      let bell = Promise.withResolvers<void>();
      // Listens first: what changes while the ledger is read is looked at once more.
      const silence = live.onStatus(id, () => bell.resolve());
      try {
        let job = await visibleJob(db, caller, id);
        const stream = openStream(reply, { heartbeatMs: heartbeat * 1000, maxBehind: max_behind });
        const over = stream.closed.then(() => true as const);
        let said = '';
        for (;;) {
          const now = JSON.stringify(stateOf(job));
          if (now !== said) stream.send(frameOf(said === '' || !isSameState(said, job) ? 'state' : 'progress', stateOf(job)));
          said = now;
          if (!isLive(job.state) || ending.signal.aborted) break;
          if (await Promise.race([over, wait(bell.promise)])) return;
          bell = Promise.withResolvers<void>();
          job = await visibleJob(db, caller, id);
        }
        if (!isLive(job.state)) stream.send(frameOf('end', { id, state: job.state }));
        stream.end();
      } catch (error) {
        // Before the stream is open it is an answer like any other; afterwards the client comes back by itself.
        if (!reply.raw.headersSent) throw error;
        log.warn({ jobId: id, err: error }, 'event stream of a job cut');
        reply.raw.destroy();
      } finally {
        silence();
      }
    },
  });

  async function wait(bell: Promise<void>): Promise<false> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, bus.state === 'online' ? LOOK_ONLINE_MS : LOOK_AWAY_MS);
    const stop = (): void => resolve();
    ending.signal.addEventListener('abort', stop);
    await Promise.race([bell, promise]);
    // The signal lives as long as the gateway, and a stream waits thousands of times.
    ending.signal.removeEventListener('abort', stop);
    clearTimeout(timer);
    return false;
  }
}

function stateOf({ id, type, symbol, state, attempt, max_attempts, worker, reason, items, started_at, ended_at }: JobDetail) {
  return { id, type, symbol, state, attempt, max_attempts, worker, reason, items, started_at, ended_at };
}

function isSameState(said: string, job: JobDetail): boolean {
  const before = JSON.parse(said) as { state: string; attempt: number };
  return before.state === job.state && before.attempt === job.attempt;
}
