/** `GET /v1/jobs/{id}/events`: the states of one job, until it has ended. */
import { z } from 'zod';
import { isLive } from '../../ledger/job.ts';
import { callerOf } from '../auth/access.ts';
import type { WatchKey } from '../auth/key-watch.ts';
import { type SeenJob, visibleJob } from '../auth/visible-job.ts';
import type { App, Parts } from '../http/app.ts';
import { jobId, problems, streamToken } from '../http/schemas.ts';
import { frameOf } from '../live/sse.ts';

/** Pauses between reads of the ledger. A message triggers a read at once; without messages the stream is only later. */
const READ_ONLINE_MS = 2_000;
const READ_OFFLINE_MS = 500;

export function jobEventRoutes(app: App, { db, live, bus, log, streams }: Parts, watchKey: WatchKey): void {
  const open = new Set<() => void>();
  let isEnding = false;
  app.addHook('preClose', async () => {
    isEnding = true;
    for (const wake of open) wake();
  });

  app.route({
    method: 'GET',
    url: '/v1/jobs/:id/events',
    config: { access: 'key', takesToken: true },
    // An answer to HEAD would never end.
    exposeHeadRoute: false,
    schema: {
      operationId: 'streamJob',
      summary: 'The states and the progress of one job, as server-sent events',
      description: 'Begins with `state` as it is now; a `state` or `progress` follows at every change, `end` after the last one.',
      tags: ['live'],
      params: z.strictObject({ id: jobId }),
      querystring: z.strictObject({ token: streamToken }),
      response: { 200: { content: { 'text/event-stream': { schema: z.string() } } }, ...problems },
    },
    async handler(request, reply) {
      const caller = callerOf(request);
      const { id } = request.params;
      let unwatch = (): void => {};
      let isClosed = false;
      let changed = Promise.withResolvers<void>();
      const wake = (): void => changed.resolve();
      open.add(wake);
      // Listens first: a change during the read triggers another read.
      const stopListening = live.onStatus(id, wake);
      try {
        let { job } = await visibleJob(db, caller, id);
        const stream = streams.open(reply, caller);
        unwatch = watchKey(caller, stream.end);
        void stream.closed.then(() => {
          isClosed = true;
          wake();
        });
        let sent = '';
        for (;;) {
          const now = JSON.stringify(stateOf(job));
          if (now !== sent) stream.send(frameOf(sent === '' || !isSameState(sent, job) ? 'state' : 'progress', stateOf(job)));
          sent = now;
          if (!isLive(job.state) || isEnding) break;
          await wait(changed.promise);
          if (isClosed) return;
          changed = Promise.withResolvers<void>();
          ({ job } = await visibleJob(db, caller, id));
        }
        if (!isLive(job.state)) stream.send(frameOf('end', { id, state: job.state }));
        stream.end();
      } catch (error) {
        // Before the stream is open the error is an ordinary answer; afterwards the client reconnects by itself.
        if (!reply.raw.headersSent) throw error;
        log.warn({ jobId: id, err: error }, 'the event stream of a job was closed after an error');
        reply.raw.destroy();
      } finally {
        stopListening();
        open.delete(wake);
        unwatch();
      }
    },
  });

  async function wait(change: Promise<void>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, bus.state === 'online' ? READ_ONLINE_MS : READ_OFFLINE_MS);
    await Promise.race([change, promise]);
    clearTimeout(timer);
  }
}

function stateOf({ id, type, symbol, state, attempt, max_attempts, worker, reason, items, started_at, ended_at }: SeenJob) {
  return { id, type, symbol, state, attempt, max_attempts, worker, reason, items, started_at, ended_at };
}

function isSameState(sent: string, job: SeenJob): boolean {
  const before = JSON.parse(sent) as { state: string; attempt: number };
  return before.state === job.state && before.attempt === job.attempt;
}
