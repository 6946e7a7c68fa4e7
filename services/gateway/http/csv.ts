/** Lists as CSV: `?format=csv`, or `accept: text/csv`. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';

/** In the query of a list. */
export const format = z.enum(['json', 'csv']).optional().describe('csv: the rows as text/csv; the same as `accept: text/csv`');

export function wantsCsv({ headers, query }: FastifyRequest): boolean {
  const { format: asked } = query as { format?: string };
  return asked === undefined ? /^\s*text\/csv\b/.test(headers.accept ?? '') : asked === 'csv';
}

/** `next`: the cursor of the next page, which the rows do not hold. Its type is that of no answer: the schema of the route is about JSON. */
export function sendCsv(reply: FastifyReply, name: string, text: string, next: string | null = null): never {
  if (next !== null) reply.header('x-next-cursor', next);
  return reply
    .type('text/csv; charset=utf-8')
    .header('content-disposition', `attachment; filename="${name.replaceAll(/[^\w.-]/g, '_')}.csv"`)
    .header('vary', 'accept')
    .serializer(String)
    .send(text) as never;
}
