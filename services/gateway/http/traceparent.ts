/** W3C Trace Context over HTTP. */
import type { FastifyRequest } from 'fastify';

/** The context that a client sends with its request, unread; undefined without one. */
export const traceparentOf = ({ headers }: Pick<FastifyRequest, 'headers'>): string | undefined => [headers.traceparent].flat()[0];
