/** `/v1/users/{id}/portfolio`: the symbols that a user holds and watches, with their freshness. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { z } from 'zod';
import { countStates, freshnessRules } from '../../market/freshness/freshness.ts';
import { isSimulated, judgementJson, judgeSymbols, type SymbolJudgement } from '../../market/freshness/symbol-judgement.ts';
import { addHoldings, clearHoldings, MOST_POSITIONS, readHoldings } from '../../market/portfolios/holdings.ts';
import {
  PORTFOLIO_COLUMNS,
  readPreviousCloses,
  totalJson,
  type Valuation,
  valuate,
  valuationJson,
} from '../../market/portfolios/valuation.ts';
import { holdingsVersion, requireVersion } from '../../market/portfolios/version.ts';
import { readWorth, worthJson } from '../../market/portfolios/worth.ts';
import { SymbolSchema } from '../../market/symbol.ts';
import { InputError } from '../../platform/errors.ts';
import { recordChange } from '../../platform/registry/audit.ts';
import { csvOf } from '../../platform/text/csv.ts';
import { demand } from '../auth/access.ts';
import { actorOf } from '../auth/audit.ts';
import type { App, Parts } from '../http/app.ts';
import { format, sendCsv, wantsCsv } from '../http/csv.ts';
import { pageOf } from '../http/page.ts';
import { instant, limit, problems, userId } from '../http/schemas.ts';
import { etagOf, ifMatch } from '../portfolios/versions.ts';
import { freshnessCounts, judgement } from './symbols.ts';

/** Larger ones are a mistake. A double keeps fifteen digits of each. */
const MOST_QUANTITY = 1e15;
const MOST_COST = 1e12;

const held = z.object({
  symbol: z.string(),
  quantity: z.number().describe('Shares; 0 for a symbol that is only watched, negative for a short position'),
  cost: z.number().nullable().describe("A share, in the instrument's currency"),
});
const freshness = z.object({
  symbol: z.string(),
  source: z.string().nullable(),
  simulated: z.boolean().describe('true for made-up prices'),
  unrestated_split: z
    .string()
    .nullable()
    .describe('Ex-date of a split for which the source has not restated the older prices; until it has, there is no signal'),
  newest_bar: z.string().nullable(),
  as_of: instant.nullable(),
  price: judgement,
  analysis: judgement,
});
const position = z
  .object({
    ...held.shape,
    ...freshness.shape,
    close: z.number().nullable(),
    currency: z.string().nullable(),
    value: z.number().nullable().describe('Quantity × close'),
    previous_close: z.number().nullable().describe('On the session before the newest bar; after a split in the shares of today'),
    day_change: z.number().nullable().describe('Of the value, since the previous close'),
    day_change_pct: z.number().nullable().describe('%; of a watched symbol the change of its price'),
    weight_pct: z.number().nullable().describe('% of all holdings of the same currency'),
    profit: z.number().nullable().describe('Value less what was paid; null while the cost or the price is unknown'),
    profit_pct: z.number().nullable(),
    base_value: z.number().nullable().describe('The same in portfolio.base_currency; null while price, currency or rate are unknown'),
    signal: z.enum(['buy', 'sell', 'hold']).nullable(),
    confidence: z.number().nullable(),
  })
  .meta({ id: 'Position' });

const currencyTotal = z
  .object({
    currency: z.string().nullable().describe('null: the currency of these prices is not known'),
    holdings: z.int(),
    value: z.number(),
    simulated: z.number().describe('The part from made-up prices'),
    day_change: z.number().nullable().describe('Of the holdings whose previous close is known'),
    day_change_pct: z.number().nullable(),
    cost: z.number().nullable().describe('Paid for the holdings whose cost is known'),
    profit: z.number().nullable().describe('Of the same'),
    profit_pct: z.number().nullable(),
  })
  .meta({ id: 'CurrencyTotal' });

const worth = z
  .object({
    currency: z.string(),
    value: z.number(),
    simulated: z.number().describe('The part from made-up prices or rates'),
    rates: z.array(
      z.object({
        symbol: z.string(),
        rate: z.number().nullable(),
        newest_bar: z.string().nullable(),
        state: judgement.shape.state,
        reason: z.string(),
        simulated: z.boolean(),
      }),
    ),
    unknown: z.array(z.object({ symbol: z.string(), reason: z.string() })).describe('Held, and not in the sum'),
  })
  .describe('All holdings in the base currency, with the rates used');

const totals = z.array(currencyTotal).describe('By the currency of the prices, the largest first: they are not added up');

const params = z.strictObject({ id: userId });
const querystring = z.strictObject({
  limit: limit(MOST_POSITIONS, MOST_POSITIONS),
  cursor: z.string().max(32).optional().describe('`next` of the page before'),
});
const paging = {
  next: z
    .string()
    .nullable()
    .describe('`cursor` of the next page; null on the last one. A page is shorter than `limit` where its texts are long'),
  truncated: z.boolean().describe('true for a portfolio of more than 1,000 positions, from before that limit: the first ones count alone'),
};

export function userRoutes(app: App, parts: Parts): void {
  portfolioRoute(app, parts);
  replacePortfolioRoute(app, parts);
  freshnessRoute(app, parts);
}

function portfolioRoute(app: App, parts: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/users/:id/portfolio',
    config: { access: 'key' },
    schema: {
      operationId: 'readPortfolio',
      summary: 'What a user holds and watches',
      tags: ['users'],
      params,
      querystring: querystring.extend({ format }),
      response: { 200: z.object({ user: z.string(), at: instant, positions: z.array(position), ...paging, totals, worth }), ...problems },
    },
    async handler(request, reply) {
      const user = request.params.id;
      demand(request, 'read', user);
      const { clock, config, db } = parts;
      // Before they are read: what changes in between is noticed by the next change, and not taken for what was shown.
      const version = await holdingsVersion(db, user);
      const { holdings, truncated } = await holdingsOf(parts, user);
      const own = holdings.map(({ holding }) => holding);
      const judgedOf = new Map(holdings.map(({ holding, judged }) => [holding.symbol, judged]));
      const [total, previous] = await Promise.all([
        readWorth(db, own, judgedOf, { base: config.portfolio.base_currency, now: clock.now(), rules: freshnessRules(config) }),
        readPreviousCloses(
          db,
          own.map(({ symbol }) => symbol),
        ),
      ]);
      const valued = valuate(own, judgedOf, previous);
      reply.header('etag', etagOf(version));
      const all = after(holdings, request.query.cursor).map(({ holding, judged }) => {
        const close = judged.state?.close ?? null;
        return {
          ...holding,
          ...freshnessOf(holding.symbol, judged),
          close,
          currency: judged.state?.currency ?? null,
          value: close === null ? null : holding.quantity * close,
          ...valuationJson(valued.of.get(holding.symbol) as Valuation),
          base_value: total.values.get(holding.symbol) ?? null,
          signal: judged.signal?.signal ?? null,
          confidence: judged.signal?.confidence ?? null,
        };
      });
      const { rows: positions, next } = pageOf(all, request.query.limit, ({ symbol }) => symbol);
      if (wantsCsv(request)) return sendCsv(reply, `${user}-portfolio`, csvOf(PORTFOLIO_COLUMNS, positions.map(flat)), next);
      return {
        user,
        at: new Date(parts.clock.now().epochMilliseconds),
        positions,
        next,
        truncated,
        totals: valued.totals.map(totalJson),
        worth: worthJson(total),
      };
    },
  });
}

/** The state of its price in one word: a table has no objects. */
const flat = <One extends { price: { state: string } }>({ price, ...rest }: One) => ({ ...rest, freshness: price.state });

function replacePortfolioRoute(app: App, parts: Parts): void {
  app.route({
    method: 'PUT',
    url: '/v1/users/:id/portfolio',
    config: { access: 'key' },
    schema: {
      operationId: 'replacePortfolio',
      summary: 'Replace what a user holds and watches',
      description:
        'As a whole, in one transaction. An empty list takes everything away. With `if-match` (the `etag` of GET) a portfolio that was changed meanwhile is left as it is: 412 `portfolio.changed`.',
      tags: ['users'],
      params,
      headers: ifMatch,
      body: z.strictObject({
        positions: z
          .array(
            z.strictObject({
              symbol: SymbolSchema,
              quantity: z.number().gt(-MOST_QUANTITY).lt(MOST_QUANTITY).default(0).describe('0, or left out: only watched'),
              cost: z.number().min(0).lt(MOST_COST).nullable().default(null),
            }),
          )
          .max(MOST_POSITIONS),
      }),
      response: { 200: z.object({ user: z.string(), held: z.int(), watched: z.int() }), ...problems },
    },
    async handler(request, reply) {
      const user = request.params.id;
      const { positions } = request.body;
      demand(request, 'admin', user);
      const twice = positions.find(({ symbol }, index) => positions.findIndex((other) => other.symbol === symbol) !== index);
      if (twice !== undefined)
        throw new InputError('portfolio.duplicate_symbol', `positions name ${twice.symbol} twice; add their quantities up`);
      const watched = positions.filter(({ quantity }) => quantity === 0).length;
      const held = positions.length - watched;
      const now = new Date(parts.clock.now().epochMilliseconds);
      const version = await parts.db.transaction(async (tx) => {
        await requireVersion(tx, user, holdingsVersion, request.headers['if-match']);
        await clearHoldings(tx, [user]);
        await addHoldings(
          tx,
          positions.map((one) => ({ user, ...one })),
          now,
        );
        recordChange(tx, actorOf(request), {
          action: 'portfolio.replace',
          target: `user:${user}`,
          details: `${held} held, ${watched} watched`,
        });
        return holdingsVersion(tx, user);
      });
      reply.header('etag', etagOf(version));
      return { user, held, watched };
    },
  });
}

function freshnessRoute(app: App, parts: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/users/:id/portfolio/freshness',
    config: { access: 'key' },
    schema: {
      operationId: 'readPortfolioFreshness',
      summary: 'How fresh each holding is',
      tags: ['users'],
      params,
      querystring,
      response: {
        200: z.object({
          user: z.string(),
          at: instant,
          ...paging,
          counts: freshnessCounts
            .extend({ total: z.int(), simulated: z.int().describe('Of all: with a made-up price') })
            .describe('By the state of the price'),
          holdings: z.array(freshness),
        }),
        ...problems,
      },
    },
    async handler(request) {
      const user = request.params.id;
      demand(request, 'read', user);
      const { holdings: all, truncated } = await holdingsOf(parts, user);
      const prices = all.map(({ judged }) => judged.price);
      const found = after(all, request.query.cursor).map(({ holding, judged }) => freshnessOf(holding.symbol, judged));
      const { rows: holdings, next } = pageOf(found, request.query.limit, ({ symbol }) => symbol);
      // To write an answer of a megabyte is work enough for a turn of its own.
      await nextTurn();
      return {
        user,
        at: new Date(parts.clock.now().epochMilliseconds),
        next,
        truncated,
        counts: {
          total: all.length,
          ...countStates(prices),
          simulated: all.filter(({ judged }) => isSimulated(judged.state)).length,
        },
        holdings,
      };
    },
  });
}

/** The holdings and watched symbols of a user, at most `MOST_POSITIONS`, each with its freshness. Errors: `InputError('user.unknown')` for a user without any holdings. */
async function holdingsOf({ db, clock, config }: Parts, user: string) {
  const found = (await readHoldings(db, [user], MOST_POSITIONS + 1)).get(user);
  if (found === undefined)
    throw new InputError('user.unknown', `user ${JSON.stringify(user)} has no holdings; add some with PUT /v1/users/{id}/portfolio`);
  const used = found.slice(0, MOST_POSITIONS);
  const symbols = used.map(({ symbol }) => symbol);
  const judged = await judgeSymbols(db, symbols, clock.now(), freshnessRules(config));
  const holdings = used.map((holding) => ({ holding, judged: judged.get(holding.symbol) as SymbolJudgement }));
  return { holdings, truncated: found.length > MOST_POSITIONS };
}

/** The holdings after the symbol of a cursor; both are sorted as the database sorts ASCII. */
function after<One extends { holding: { symbol: string } }>(holdings: readonly One[], cursor: string | undefined): readonly One[] {
  return cursor === undefined ? holdings : holdings.filter(({ holding }) => holding.symbol > cursor);
}

function freshnessOf(symbol: string, { state, price, analysis }: SymbolJudgement) {
  return {
    symbol,
    source: state?.source ?? null,
    simulated: isSimulated(state),
    unrestated_split: state?.unrestatedSplit ?? null,
    newest_bar: state?.newestBar ?? null,
    as_of: state?.asOf ?? null,
    price: judgementJson(price),
    analysis: judgementJson(analysis),
  };
}
