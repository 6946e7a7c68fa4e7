/** The paths of earlier clients of the option rankings: they take less and answer the same as `/v1/rankings`. */
import { z } from 'zod';
import { SymbolSchema } from '../../market/symbol.ts';
import type { App, Parts } from '../http/app.ts';
import { problems } from '../http/schemas.ts';
import { common } from './job-bodies.ts';
import type { RankingReader } from './ranking-reader.ts';
import { mode, olderQuery, rankingDocument, submittedRanking } from './ranking-schemas.ts';
import { sendText, submitRanking } from './rankings.ts';

export function olderPathRoutes(app: App, parts: Parts, read: RankingReader): void {
  app.route({
    method: 'POST',
    url: '/functions/v1/trigger-ranking-job',
    config: { access: 'key' },
    schema: {
      operationId: 'triggerRankingJob',
      summary: "Ask for the ranking of a symbol's options, for earlier clients",
      description: 'As POST /v1/rankings, for one symbol, without `symbols`, `user` and `callback_url`.',
      tags: ['earlier paths'],
      body: z.strictObject({ symbol: SymbolSchema, mode, priority: common.priority }),
      response: { 200: submittedRanking, 202: submittedRanking, ...problems },
    },
    handler: (request, reply) => submitRanking(parts, request.body, request, reply),
  });

  app.route({
    method: 'GET',
    url: '/functions/v1/options-rankings',
    config: { access: 'key' },
    schema: {
      operationId: 'readOptionsRankings',
      summary: "The newest ranking of a symbol's options, for earlier clients",
      description: 'As GET /v1/rankings, without `min_rank`, `contract`, `user`, `cursor` and `why`.',
      tags: ['earlier paths'],
      querystring: z.strictObject(olderQuery),
      response: { 200: rankingDocument, ...problems },
    },
    handler: async (request, reply) => sendText(reply, await read({ ...request.query, why: false }, request)),
  });
}
