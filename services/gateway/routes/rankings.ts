/** `/v1/rankings`: asking for rankings of symbols' options, and reading the newest one. */

import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { rankType } from '../../job-types/rank/definition.ts';
import { rankingRequests } from '../../job-types/rank/request.ts';
import { type Origin, withPriority } from '../../job-types/request.ts';
import type { JobRequest } from '../../ledger/enqueue/enqueue.ts';
import { isLive } from '../../ledger/job.ts';
import { RANK_CSV_COLUMNS, type RankCsvRow } from '../../market/options/ranking/run-json.ts';
import type { Mode } from '../../market/options/scoring/parts.ts';
import { SymbolSchema } from '../../market/symbol.ts';
import { InputError } from '../../platform/errors.ts';
import { csvOf } from '../../platform/text/csv.ts';
import { demandForBody } from '../auth/access.ts';
import type { App, Parts } from '../http/app.ts';
import { format, sendCsv, wantsCsv } from '../http/csv.ts';
import { problems } from '../http/schemas.ts';
import { traceparentOf } from '../http/traceparent.ts';
import { common } from './job-bodies.ts';
import type { RankingReader } from './ranking-reader.ts';
import { mode, rankingDocument, rankingQuery, type SubmittedRanking, submittedRanking, submittedRankings } from './ranking-schemas.ts';
import { checkCallback, type Estimated, submitFor } from './submission.ts';

const MOST_SYMBOLS = 500;

export function rankingRoutes(app: App, parts: Parts, read: RankingReader): void {
  app.route({
    method: 'POST',
    url: '/v1/rankings',
    config: { access: 'key' },
    schema: {
      operationId: 'requestRankings',
      summary: "Ask for the ranking of a symbol's options, or of many symbols'",
      description:
        'Committed when this answers. 202: new work, 200: the same symbol and mode were asked for within `ranking.dedupe_window` (5 minutes) and this is their job, live or completed. In mode exit a position that was added or removed since makes it new work. Bars that are stale are fetched first. `symbols` are one transaction, and 202 when any of them is new; `refused` lists what a full queue or a quota refuses; when all is refused, the answer is 503 or 429.',
      tags: ['rankings'],
      body: z.strictObject({
        symbol: SymbolSchema.optional().describe('This or `symbols`'),
        symbols: z.array(SymbolSchema).min(1).max(MOST_SYMBOLS).optional(),
        mode,
        ...common,
      }),
      response: { 200: z.union([submittedRanking, submittedRankings]), 202: z.union([submittedRanking, submittedRankings]), ...problems },
    },
    async handler(request, reply) {
      const { symbol, symbols, ...options } = request.body;
      if ((symbol === undefined) === (symbols === undefined))
        throw new InputError('ranking.nothing', 'give "symbol" or "symbols", and not both');
      if (symbol !== undefined) return submitRanking(parts, { ...options, symbol }, request, reply);
      const { rankings, refused } = await submitRankings(parts, { ...options, symbols: symbols as string[] }, request);
      return reply.code(statusFor(rankings)).send({ rankings, refused });
    },
  });

  app.route({
    method: 'GET',
    url: '/v1/rankings',
    config: { access: 'key' },
    schema: {
      operationId: 'readRanking',
      summary: "The newest ranking of a symbol's options",
      description:
        'One run, never two mixed. Of exit mode, a caller without the scope `read` sees only the positions of its own user. Where nothing is ranked yet, `ranks` is empty and `state` says why.',
      tags: ['rankings'],
      querystring: rankingQuery.extend({ format }),
      response: { 200: rankingDocument, ...problems },
    },
    async handler(request, reply) {
      const { format: _, ...query } = request.query;
      const text = await read(query, request);
      if (!wantsCsv(request)) return sendText(reply, text);
      const { ranks, next } = JSON.parse(text) as { ranks: (RankCsvRow & { signals: string[] })[]; next: string | null };
      const rows = ranks.map((rank) => ({ ...rank, signals: rank.signals.join(' ') }));
      return sendCsv(reply, `${query.symbol}-${query.mode}-ranks`, csvOf(RANK_CSV_COLUMNS, rows), next);
    },
  });
}

export const sendText = (reply: FastifyReply, json: string): FastifyReply =>
  reply.type('application/json; charset=utf-8').serializer(String).send(json);

interface RankingOptions {
  mode: Mode;
  priority?: number | undefined;
  callback_url?: string | undefined;
  user?: string | undefined;
}

/** Answers for one symbol. Errors: those of `submitRankings`; `TransientError('queue.full')`. */
export async function submitRanking(
  parts: Parts,
  { symbol, ...options }: RankingOptions & { symbol: string },
  request: FastifyRequest,
  reply: FastifyReply,
) {
  const { rankings } = await submitRankings(parts, { ...options, symbols: [symbol] }, request);
  const one = rankings[0] as SubmittedRanking;
  return reply.code(statusFor(rankings)).header('location', one.statusUrl).send(one);
}

const statusFor = (rankings: readonly SubmittedRanking[]): 200 | 202 => (rankings.some(({ outcome }) => outcome === 'queued') ? 202 : 200);

/** Commits all in one transaction. Errors: `TransientError('queue.full')` or `RefusedError('quota.jobs')` when every ranking is refused, other `RefusedError`s, `PermanentError('callback.private_address')`. */
async function submitRankings(parts: Parts, options: RankingOptions & { symbols: readonly string[] }, request: FastifyRequest) {
  const { config, clock, db } = parts;
  const { symbols, mode, priority, callback_url, user } = options;
  const caller = demandForBody(request, 'jobs', user);
  checkCallback(parts, callback_url);
  const origin: Origin = { cause: 'user_request', rules: config.jobs.priority_rules, user };
  const standard = await rankingRequests(symbols, [mode], { config, clock, db, origin });
  const requests = priority === undefined ? standard : standard.map((one) => withPriority(one, priority));
  const isRanking = ({ type }: JobRequest): boolean => type === rankType.name;
  const { accepted, refused } = await submitFor(parts, caller, requests, {
    traceparent: traceparentOf(request),
    callbackOf: (one) => (isRanking(one) ? callback_url : undefined),
    unitOf: (one) => one.symbol as string,
    isMain: isRanking,
  });
  const rankings = accepted.filter(({ request: one }) => isRanking(one)).map((ranking) => submittedJson(ranking, mode));
  return {
    rankings,
    refused: refused.flatMap(({ request: { type, symbol = '' }, code, reason }) =>
      type === rankType.name ? [{ symbol, code, reason }] : [],
    ),
  };
}

function submittedJson({ request, answer, outcome, estimate: { position, completionSeconds } }: Estimated, mode: Mode): SubmittedRanking {
  const symbol = request.symbol as string;
  return {
    message:
      outcome === 'queued'
        ? `the ${mode} ranking of ${symbol} is queued`
        : isLive(answer.state)
          ? `the ${mode} ranking of ${symbol} is being made already`
          : `the ${mode} ranking of ${symbol} was made a moment ago`,
    symbol,
    mode,
    jobId: answer.id,
    state: answer.state,
    outcome,
    priority: answer.level,
    queuePosition: position,
    estimatedCompletionSeconds: completionSeconds,
    statusUrl: `/v1/jobs/${answer.id}`,
    rankingUrl: `/v1/rankings?${new URLSearchParams({ symbol, mode })}`,
  };
}
