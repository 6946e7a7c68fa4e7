/** `/v1/users/{id}/positions`: the option positions that exit mode ranks. */
import { z } from 'zod';
import { POSITION_COLUMNS, positionValueJson, readPositionValues } from '../../market/options/store/position-values.ts';
import {
  listPositions,
  PositionInput,
  removePosition,
  replacePositions,
  type StoredPosition,
} from '../../market/options/store/positions.ts';
import { positionsVersion, requireVersion } from '../../market/portfolios/version.ts';
import { InputError } from '../../platform/errors.ts';
import { recordChange } from '../../platform/registry/audit.ts';
import { csvOf } from '../../platform/text/csv.ts';
import { demand } from '../auth/access.ts';
import { actorOf } from '../auth/audit.ts';
import type { App, Parts } from '../http/app.ts';
import { format, sendCsv, wantsCsv } from '../http/csv.ts';
import { instant, problems, userId } from '../http/schemas.ts';
import { etagOf, ifMatch } from '../portfolios/versions.ts';

const MOST_POSITIONS = 1000;

const given = PositionInput.shape;
const position = z
  .object({
    id: z.string(),
    contract: z.string().describe('OCC symbol'),
    quantity: z.number().describe('Contracts'),
    entry_price: z.number().describe('Dollars a share'),
    entry_iv: z
      .number()
      .nullable()
      .describe(given.entry_iv.description ?? ''),
    entry_spot: z
      .number()
      .nullable()
      .describe(given.entry_spot.description ?? ''),
    target: z
      .number()
      .nullable()
      .describe(given.target.description ?? ''),
    stop: z
      .number()
      .nullable()
      .describe(given.stop.description ?? ''),
    opened_at: instant,
    mid: z
      .number()
      .nullable()
      .describe('Between bid and ask, dollars a share, in the newest ranking that has the contract; null: none has'),
    quoted_at: instant.nullable(),
    simulated: z.boolean().describe('true for made-up quotes'),
    value: z.number().nullable().describe('Dollars: mid × contracts × 100 shares'),
    profit: z.number().nullable().describe('The same less what was paid'),
    profit_pct: z.number().nullable(),
  })
  .meta({ id: 'OptionPosition' });
const positions = z.object({ user: z.string(), positions: z.array(position).describe('In the order in which they were given') });

const params = z.strictObject({ id: userId });

export function positionRoutes(app: App, parts: Parts): void {
  wholeRoutes(app, parts);
  removeRoute(app, parts);
}

function wholeRoutes(app: App, { db, clock }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/users/:id/positions',
    config: { access: 'key' },
    schema: {
      operationId: 'listPositions',
      summary: "A user's option positions",
      tags: ['users'],
      params,
      querystring: z.strictObject({ format }),
      response: { 200: positions, ...problems },
    },
    async handler(request, reply) {
      const user = request.params.id;
      demand(request, 'read', user);
      // Before they are read: what changes in between is noticed by the next change, and not taken for what was shown.
      reply.header('etag', etagOf(await positionsVersion(db, user)));
      const stored = await listPositions(db, user);
      const all = await valued(db, stored);
      if (wantsCsv(request)) return sendCsv(reply, `${user}-positions`, csvOf(POSITION_COLUMNS, all));
      return { user, positions: all };
    },
  });

  app.route({
    method: 'PUT',
    url: '/v1/users/:id/positions',
    config: { access: 'key' },
    schema: {
      operationId: 'replacePositions',
      summary: "Replace a user's option positions",
      description:
        'As a whole, in one transaction; they get new ids. An empty list takes everything away. A contract that has expired is refused unless the user holds it already; a run of mode exit names it in `left_out`. The next run of mode exit ranks them. With `if-match` (the `etag` of GET) positions that were changed meanwhile are left as they are: 412 `portfolio.changed`.',
      tags: ['users'],
      params,
      headers: ifMatch,
      body: z.strictObject({ positions: z.array(PositionInput).max(MOST_POSITIONS) }),
      response: { 200: positions, ...problems },
    },
    async handler(request, reply) {
      const user = request.params.id;
      demand(request, 'admin', user);
      const now = new Date(clock.now().epochMilliseconds);
      const { stored, version } = await db.transaction(async (tx) => {
        await requireVersion(tx, user, positionsVersion, request.headers['if-match']);
        await replacePositions(tx, user, request.body.positions, now);
        const details = `positions: ${request.body.positions.length}`;
        recordChange(tx, actorOf(request), { action: 'positions.replace', target: `user:${user}`, details });
        return { stored: await listPositions(tx, user), version: await positionsVersion(tx, user) };
      });
      reply.header('etag', etagOf(version));
      return { user, positions: await valued(db, stored) };
    },
  });
}

async function valued(db: Parts['db'], stored: readonly StoredPosition[]) {
  const values = await readPositionValues(db, stored);
  return stored.map((one) => ({ ...one, ...positionValueJson(values.get(one.id)) }));
}

function removeRoute(app: App, { db }: Parts): void {
  app.route({
    method: 'DELETE',
    url: '/v1/users/:id/positions/:position',
    config: { access: 'key' },
    schema: {
      operationId: 'removePosition',
      summary: 'Remove one option position',
      tags: ['users'],
      params: params.extend({ position: z.string().regex(/^\d{1,18}$/, 'not the id of a position; it is a number') }),
      response: { 200: z.object({ user: z.string(), removed: z.string() }), ...problems },
    },
    async handler(request) {
      const { id: user, position: id } = request.params;
      demand(request, 'admin', user);
      const own = await listPositions(db, user);
      if (own.every((one) => one.id !== id))
        throw new InputError(
          'position.unknown',
          `user ${JSON.stringify(user)} has no position ${id}; GET /v1/users/{id}/positions shows all`,
        );
      await db.transaction(async (tx) => {
        await removePosition(tx, id);
        recordChange(tx, actorOf(request), {
          action: 'position.remove',
          target: `position:${id}`,
          details: `of user ${JSON.stringify(user)}`,
        });
      });
      return { user, removed: id };
    },
  });
}
