/** `/v1/symbols/{symbol}/research`: what the company reports, and headlines. */
import { z } from 'zod';
import { readResearch, researchJson } from '../../market/research/read.ts';
import { FUNDAMENTALS, RESEARCH_SOURCES } from '../../market/research/source.ts';
import { SymbolSchema } from '../../market/symbol.ts';
import { InputError } from '../../platform/errors.ts';
import type { App, Parts } from '../http/app.ts';
import { instant, limit, problems } from '../http/schemas.ts';

const source = z.enum(RESEARCH_SOURCES);
const value = z.object({
  name: z.enum(Object.keys(FUNDAMENTALS) as [string, ...string[]]),
  label: z.string(),
  value: z.number(),
  unit: z.enum(['money', 'ratio', 'fraction', 'count']).describe('fraction: 0.12 is 12 %'),
  currency: z.string().nullable().describe('Of money: that of the price, or of the statements; null where the source names none'),
  shown: z.string().describe('For people'),
  as_of: z.string().describe('Day on which it was fetched, UTC'),
});
const fundamentals = z.object({
  source,
  simulated: z.boolean().describe('true for made-up figures'),
  fetched_at: instant,
  stale: z.boolean().describe('A request for research would fetch them again'),
  name: z.string().nullable(),
  quote_type: z.string().nullable().describe('EQUITY, ETF, …'),
  sector_key: z.string().nullable(),
  sector: z.string().nullable(),
  industry_key: z.string().nullable(),
  industry: z.string().nullable(),
  currency: z.string().nullable(),
  financial_currency: z.string().nullable(),
  values: z.array(value).describe('Only those that the source has. The mean of under three analysts is left out'),
  earnings: z
    .object({ from: z.string(), to: z.string(), is_estimate: z.boolean() })
    .nullable()
    .describe('The next report: its day, or the first and last day on which it is expected'),
});
const headline = z.object({
  id: z.string().describe('SHA-256 of the link'),
  title: z.string(),
  publisher: z.string(),
  published_at: instant,
  link: z.string(),
  source,
});
const news = z.object({
  source: source.nullable(),
  simulated: z.boolean(),
  checked_at: instant.nullable().describe('When headlines were asked for last'),
  stale: z.boolean(),
  headlines: z.array(headline).describe('The newest first; no text of articles'),
});

export function researchRoutes(app: App, { db, clock }: Parts): void {
  app.route({
    method: 'GET',
    url: '/v1/symbols/:symbol/research',
    config: { access: 'key' },
    schema: {
      operationId: 'readResearch',
      summary: 'Fundamentals and headlines, each with source and as-of',
      description: 'What is stored; `POST /v1/jobs {"type": "research"}` fetches what is stale. Not investment advice.',
      tags: ['symbols'],
      params: z.strictObject({ symbol: SymbolSchema }),
      querystring: z.strictObject({ headlines: limit(10, 100).describe('At most so many headlines') }),
      response: {
        200: z.object({ symbol: z.string(), disclaimer: z.string(), fundamentals: fundamentals.nullable(), news }),
        ...problems,
      },
    },
    async handler({ params: { symbol }, query }) {
      const found = await readResearch(db, symbol, query.headlines);
      if (found === undefined)
        throw new InputError(
          'research.unknown',
          `no research is stored for ${symbol}; fetch it with POST /v1/jobs {"type": "research", "symbol": "${symbol}"}`,
        );
      return researchJson(symbol, found, clock.now());
    },
  });
}
