/** `/v1/rankings`: asking for the options of symbols to be ranked, and reading what was. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { EnqueueAnswer, JobRequest } from '../../ledger/enqueue/enqueue.ts';
import { isLive, nowOf } from '../../ledger/job.ts';
import { type Estimate, jobToEstimate } from '../../ledger/read/estimate.ts';
import type { Origin, RankMode } from '../../ledger/requests.ts';
import { SymbolSchema } from '../../market/symbol.ts';
import { InputError, TransientError } from '../../platform/errors.ts';
import { demand } from '../auth/access.ts';
import type { App, Parts } from '../http/app.ts';
import { problems } from '../http/schemas.ts';
import { refusePrivate } from '../webhooks/callback-address.ts';
import { insertCallbacks } from '../webhooks/callbacks.ts';
import { common, ranksOf, withPriority } from './job-types.ts';
import { FULL_RETRY_MS } from './jobs.ts';
import type { RankingReader } from './ranking-reader.ts';
import { mode, type Ordered, ordered, orderedMany, rankingDocument, rankingQuery } from './ranking-schemas.ts';

const MOST_SYMBOLS = 500;

export function rankingRoutes(app: App, parts: Parts, read: RankingReader): void {
  app.route({
    method: 'POST',
    url: '/v1/rankings',
    config: { access: 'key' },
    schema: {
      summary: "Ask for the ranking of a symbol's options, or of many symbols'",
      description:
        'Committed when this answers. 202: new work, 200: the same symbol and mode were asked for within `ranking.dedupe_window` (5 minutes) and this is their job, live or completed. Bars that are stale are fetched first. `symbols` are one transaction, and 202 when any of them is new; what a full queue refuses is told, and when it refuses all, the answer is 503.',
      tags: ['rankings'],
      body: z.strictObject({
        symbol: SymbolSchema.optional().describe('This or `symbols`'),
        symbols: z.array(SymbolSchema).min(1).max(MOST_SYMBOLS).optional(),
        mode,
        ...common,
      }),
      response: { 200: z.union([ordered, orderedMany]), 202: z.union([ordered, orderedMany]), ...problems },
    },
    async handler(request, reply) {
      const { symbol, symbols, ...order } = request.body;
      if ((symbol === undefined) === (symbols === undefined))
        throw new InputError('ranking.nothing', 'give "symbol" or "symbols", and not both');
      if (symbol !== undefined) return orderOne(parts, { ...order, symbol }, request, reply);
      const { rankings, refused } = await orderRankings(parts, { ...order, symbols: symbols as string[] }, request);
      return reply.code(statusFor(rankings)).send({ rankings, refused });
    },
  });

  app.route({
    method: 'GET',
    url: '/v1/rankings',
    config: { access: 'key' },
    schema: {
      summary: "The newest ranking of a symbol's options",
      description:
        'One run, never two mixed. Of exit mode, a caller without the scope `read` sees the positions of his own user only. Where nothing is ranked yet, `ranks` is empty and `state` says why.',
      tags: ['rankings'],
      querystring: rankingQuery,
      response: { 200: rankingDocument, ...problems },
    },
    handler: async (request, reply) => sendText(reply, await read(request.query, request)),
  });
}

export const sendText = (reply: FastifyReply, json: string): FastifyReply =>
  reply.type('application/json; charset=utf-8').serializer(String).send(json);

interface Order {
  mode: RankMode;
  priority?: number | undefined;
  callback_url?: string | undefined;
  user?: string | undefined;
}

/** Answers for one symbol. Errors: those of `orderRankings`; `TransientError('queue.full')`. */
export async function orderOne(
  parts: Parts,
  { symbol, ...order }: Order & { symbol: string },
  request: FastifyRequest,
  reply: FastifyReply,
) {
  const { rankings } = await orderRankings(parts, { ...order, symbols: [symbol] }, request);
  const one = rankings[0] as Ordered;
  return reply.code(statusFor(rankings)).header('location', one.statusUrl).send(one);
}

const statusFor = (rankings: readonly Ordered[]): 200 | 202 => (rankings.some(({ outcome }) => outcome === 'queued') ? 202 : 200);

interface Asked {
  request: JobRequest;
  answer: EnqueueAnswer;
}
type Taken = Asked & { answer: Exclude<EnqueueAnswer, { outcome: 'refused' }> };
const isTaken = (asked: Asked): asked is Taken => asked.answer.outcome !== 'refused';

/** Commits all in one transaction. Errors: `TransientError('queue.full')` when none has room, `RefusedError`, `PermanentError('callback.private_address')`. */
async function orderRankings(parts: Parts, order: Order & { symbols: readonly string[] }, request: FastifyRequest) {
  const { config, clock, db, ledger, enqueuer } = parts;
  const { symbols, mode, priority, callback_url, user } = order;
  const caller = demand(request, 'jobs', user);
  if (callback_url !== undefined && !config.gateway.callbacks.allow_private) refusePrivate(new URL(callback_url));
  const origin: Origin = { cause: 'user_request', rules: config.jobs.priority_rules, user };
  const standard = await ranksOf(symbols, mode, { config, clock, db, origin });
  const requests = priority === undefined ? standard : standard.map((one) => withPriority(one, priority));
  const isRank = (_: unknown, index: number): boolean => requests[index]?.type === 'rank';
  const answers = await enqueuer.enqueueTogether(requests, async (tx, committed) => {
    if (callback_url === undefined) return;
    const wanted = committed.filter(isRank).map((answer) => ({ answer, url: callback_url }));
    await insertCallbacks(tx, wanted, caller.id, nowOf(ledger));
  });
  const asked = requests.map((one, index): Asked => ({ request: one, answer: answers[index] as EnqueueAnswer }));
  const ranks = asked.filter(isRank);
  const refused = ranks.flatMap(({ request: { symbol = '' }, answer }) =>
    answer.outcome === 'refused' ? [{ symbol, code: answer.code, reason: answer.reason }] : [],
  );
  if (refused.length === ranks.length && refused[0] !== undefined)
    throw new TransientError(refused[0].code, refused[0].reason, { retryAfterMs: FULL_RETRY_MS });
  const taken = asked.filter(isTaken);
  const estimates = await parts.estimator.estimate(taken.map(({ answer }) => jobToEstimate(answer)));
  const estimateOf = new Map(taken.map(({ answer }, index) => [answer.id, estimates[index] as Estimate]));
  const fetchOf = new Map(taken.flatMap(({ answer }) => (answer.type === 'fetch' ? [[answer.symbol, answer]] : [])));
  const rankings = ranks.filter(isTaken).map((rank): Ordered => {
    const { answer } = rank;
    const estimate = estimateOf.get(answer.id) as Estimate;
    const fetch = answer.state === 'blocked' ? fetchOf.get(answer.symbol) : undefined;
    return orderedJson(rank, mode, estimate, fetch === undefined ? 0 : (estimateOf.get(fetch.id)?.completionSeconds ?? null));
  });
  return { rankings, refused };
}

/** `fetchSeconds`: until the bars are there that it waits for; null when that is not known. */
function orderedJson({ request, answer }: Taken, mode: RankMode, estimate: Estimate, fetchSeconds: number | null): Ordered {
  const { position, startSeconds, completionSeconds } = estimate;
  const symbol = request.symbol as string;
  // Of requests that shared a transaction, one made the job.
  const isNew = answer.outcome === 'queued' && answer.request === request;
  const known = startSeconds !== null && completionSeconds !== null && fetchSeconds !== null;
  return {
    message: isNew
      ? `the ${mode} ranking of ${symbol} is queued`
      : isLive(answer.state)
        ? `the ${mode} ranking of ${symbol} is being made already`
        : `the ${mode} ranking of ${symbol} was made a moment ago`,
    symbol,
    mode,
    jobId: answer.id,
    state: answer.state,
    outcome: isNew ? 'queued' : 'joined',
    priority: answer.level,
    queuePosition: position,
    estimatedCompletionSeconds: known ? Number((Math.max(startSeconds, fetchSeconds) + completionSeconds - startSeconds).toFixed(2)) : null,
    statusUrl: `/v1/jobs/${answer.id}`,
    rankingUrl: `/v1/rankings?${new URLSearchParams({ symbol, mode })}`,
  };
}
