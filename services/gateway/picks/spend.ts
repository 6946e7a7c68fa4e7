/** `/v1/spend`: what paid calls of the language model cost. */
import { z } from 'zod';
import { listSpend, readTotals, type Spend, settleByHand } from '../../model/spend.ts';
import { PURPOSES } from '../../platform/config/sections/model.ts';
import { recordChange } from '../../platform/registry/audit.ts';
import { decimalText } from '../../platform/text/decimal.ts';
import { callerOf, demand, oneUser, ownUsers } from '../auth/access.ts';
import { actorOf } from '../auth/audit.ts';
import type { App, Parts } from '../http/app.ts';
import { instant, limit, problems, userId } from '../http/schemas.ts';

const STATES = ['reserved', 'sent', 'answered', 'settled', 'released', 'unknown'] as const;
const dollars = z.number().describe('US dollars');
const call = z.object({
  id: z.int(),
  purpose: z.enum(PURPOSES),
  user: z.string().nullable(),
  state: z.enum(STATES).describe('unknown: nobody knows whether it was paid for; it counts as paid'),
  reserved_usd: dollars,
  cost_usd: dollars.nullable(),
  cost_source: z.enum(['provider', 'tokens', 'reserved', 'operator']).nullable(),
  provider: z.string(),
  model: z.string(),
  reserved_at: instant,
  error: z.string().nullable(),
});
const total = z.object({
  purpose: z.enum(PURPOSES),
  window: z.enum(['day', 'week']),
  spent_usd: dollars,
  unknown_usd: dollars,
  cap_usd: dollars,
  calls: z.int(),
});

const usd = (micros: number): number => micros / 1_000_000;

const callOf = (one: Spend) => ({
  ...{ id: one.id, purpose: one.purpose, user: one.userId, state: one.state, cost_source: one.costSource, provider: one.provider },
  reserved_usd: usd(one.reservedMicros),
  cost_usd: one.settledMicros === null ? null : usd(one.settledMicros),
  model: one.modelAnswered ?? one.modelAsked,
  reserved_at: one.reservedAt,
  error: one.error,
});

export function spendRoutes(app: App, parts: Parts): void {
  listRoute(app, parts);
  settleRoute(app, parts);
}

function listRoute(app: App, { db, clock, config }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/spend',
    config: { access: 'key' },
    schema: {
      operationId: 'listSpend',
      summary: 'What the language model cost',
      description: 'Newest first. A key of a user sees the calls for this user, and no totals.',
      tags: ['picks'],
      querystring: z.strictObject({
        purpose: z.enum(PURPOSES).optional(),
        user: userId.optional(),
        state: z.enum(STATES).optional(),
        limit: limit(50, 1_000),
        before: decimalText(z.number().int().min(1)).optional().describe('`next` of the page before'),
      }),
      response: {
        200: z.object({
          calls: z.array(call),
          totals: z.array(total).describe('Of this day and week, with their caps'),
          next: z.int().nullable(),
        }),
        ...problems,
      },
    },
    async handler(request) {
      const { limit: most, user: named, ...filter } = request.query;
      const user = named ?? oneUser(callerOf(request));
      const caller = demand(request, 'read', user);
      const seesAll = ownUsers(caller, 'read') === undefined;
      const [calls, totals] = await Promise.all([
        listSpend(db, { ...filter, user, limit: most }),
        seesAll ? readTotals(db, clock, config.model) : [],
      ]);
      return {
        calls: calls.map(callOf),
        totals: totals.map(({ purpose, window, spentMicros, unknownMicros, capMicros, calls: count }) => ({
          ...{ purpose, window, spent_usd: usd(spentMicros), unknown_usd: usd(unknownMicros), cap_usd: usd(capMicros), calls: count },
        })),
        next: calls.length === most ? (calls.at(-1)?.id ?? null) : null,
      };
    },
  });
}

function settleRoute(app: App, { db, clock }: Parts): void {
  app.route({
    method: 'POST',
    url: '/v1/spend/:id/settle',
    config: { access: 'admin' },
    schema: {
      operationId: 'settleSpend',
      summary: "Say what a call of unknown payment cost, by the provider's bill",
      tags: ['picks'],
      params: z.strictObject({ id: decimalText(z.number().int().min(1)) }),
      body: z.strictObject({ cost_usd: z.number().min(0).max(10_000).describe('0: it was not run') }),
      response: { 200: call, ...problems },
    },
    async handler(request) {
      const { id } = request.params;
      const { cost_usd: cost } = request.body;
      const settled = await settleByHand(db, clock, id, Math.round(cost * 1_000_000), (tx) =>
        recordChange(tx, actorOf(request), { action: 'spend.settle', target: `spend:${id}`, details: `$${cost}` }),
      );
      return callOf(settled);
    },
  });
}
