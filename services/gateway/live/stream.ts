/** `GET /v1/events`: the live stream, for dashboards and other programs. */
import { z } from 'zod';
import { rankType } from '../../job-types/rank/definition.ts';
import { listJobs } from '../../ledger/read/jobs.ts';
import { SymbolSchema } from '../../market/symbol.ts';
import type { Sql } from '../../platform/database/database.ts';
import { type Caller, callerOf, ownUsers } from '../auth/access.ts';
import type { WatchKey } from '../auth/key-watch.ts';
import type { App, Parts } from '../http/app.ts';
import { problems, streamToken } from '../http/schemas.ts';
import type { LiveClient } from './live.ts';
import { EVENT_TYPES, type EventType, type LiveEvent, type SeenEvent } from './recent-events.ts';
import type { Stream } from './sse.ts';

const types = z
  .string()
  .transform((text) => text.split(','))
  .pipe(z.array(z.enum(EVENT_TYPES)))
  .describe(`Event types, separated by commas: ${EVENT_TYPES.join(', ')}; all if not given`);

/** Jobs of a user that are read when a stream opens, and that are remembered at most. */
const KNOWN_JOBS = 1_000;
const MOST_JOBS = 10_000;

export function streamRoutes(app: App, { db, live, log, streams }: Parts, watchKey: WatchKey): void {
  const open = new Set<Stream>();
  app.addHook('preClose', async () => {
    for (const stream of open) stream.end();
  });

  app.route({
    method: 'GET',
    url: '/v1/events',
    config: { access: 'key', takesToken: true },
    // An answer to HEAD would never end.
    exposeHeadRoute: false,
    schema: {
      operationId: 'streamEvents',
      summary: 'The live stream',
      description:
        'Server-sent events: the messages of the mesh, each with the content of its MQTT topic. A new stream begins with `hello`, the present statistics, alerts and instances. A stream that comes back with `Last-Event-ID` gets the events that it missed, or `reset` when they are not kept any more. `broker` says that the gateway has lost the broker, from which all other events come, and that it has it again: what happened meanwhile was not heard. A reader that is too slow gets `cut` with the reason as its last event. With the key of a user you get the events of that user’s jobs and portfolio, and of the data of all symbols.',
      tags: ['live'],
      querystring: z.strictObject({ types: types.optional(), symbol: SymbolSchema.optional(), token: streamToken }),
      headers: z.object({ 'last-event-id': z.string().max(100).optional() }),
      response: { 200: { content: { 'text/event-stream': { schema: z.string() } } }, ...problems },
    },
    async handler(request, reply) {
      const caller = callerOf(request);
      const see = await visibleTo(caller, db);
      const { types: asked, symbol } = request.query;
      const stream = streams.open(reply, caller);
      open.add(stream);
      const unwatch = watchKey(caller, stream.end);
      const detach = live.attach(
        { send: stream.send, view: (event) => (isAsked(event, asked, symbol) ? see(event) : undefined) },
        request.headers['last-event-id'],
      );
      await stream.closed;
      unwatch();
      detach();
      open.delete(stream);
      log.debug({ key: request.caller?.id }, 'event stream closed');
    },
  });
}

function isAsked(event: LiveEvent, types: readonly EventType[] | undefined, symbol: string | undefined): boolean {
  if (types !== undefined && !types.includes(event.type)) return false;
  return symbol === undefined || ('symbol' in event.body && event.body.symbol === symbol);
}

/**
 * What a caller sees of each event. A job's user stands in its announcement and in the answer to a login, not in its states, so the jobs of the caller's users are
 * remembered.
 */
async function visibleTo(caller: Caller, db: Sql): Promise<LiveClient['view']> {
  const users = ownUsers(caller, 'read');
  if (users === undefined) return (event) => event;
  const known = await Promise.all(users.map((user) => listJobs(db, { user, limit: KNOWN_JOBS })));
  const mine = new Set(known.flat().map(({ id }) => id));
  const remember = (id: string): void => {
    mine.add(id);
    if (mine.size > MOST_JOBS) mine.delete(mine.values().next().value as string);
  };
  return (event) => {
    switch (event.type) {
      case 'data':
        return withoutCount(event);
      case 'status':
        return mine.has(event.body.id) ? withoutOthers(event, users) : undefined;
      case 'job':
        if (event.body.user === undefined || !users.includes(event.body.user)) return undefined;
        remember(event.body.id);
        return withOwnReason(event, users);
      case 'portfolio':
        if (!users.includes(event.body.user_id)) return undefined;
        for (const { id } of event.body.jobs) remember(id);
        return event;
      default:
        return undefined;
    }
  };
}

/** The rows of an exit ranking are as many as the positions of all users. */
function withoutCount(event: LiveEvent & { type: 'data' }): SeenEvent {
  if (event.body.kind !== rankType.dataKinds[0]) return event;
  const { rows: _, ...body } = event.body;
  return { type: 'data', body };
}

/** Who asked first may be another user, whose priority it may be. */
function withoutOthers(event: LiveEvent & { type: 'status' }, users: readonly string[]): SeenEvent {
  const { user, ...body } = event.body;
  return user === undefined || users.includes(user) ? event : { type: 'status', body };
}

/** A job that is announced again may have become more urgent through another user's request. */
function withOwnReason(event: LiveEvent & { type: 'job' }, users: readonly string[]): SeenEvent {
  const { why, user, score: _, triggered_by: __, ...body } = event.body;
  const whose = typeof why.user === 'string' ? why.user : user;
  if (whose !== undefined && users.includes(whose)) return event;
  return { type: 'job', body: { ...body, user } };
}
