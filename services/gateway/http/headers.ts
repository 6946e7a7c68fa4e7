/** Headers that tell browsers what an answer may be used for. */
import type { Server } from 'node:http';
import cors from '@fastify/cors';
import helmet from 'helmet';
import type { Config } from '../../platform/config/load.ts';
import type { App } from './app.ts';

/** The pages of the documentation: their own files, and no script or style inside the page. */
export const DOCS_POLICY = policyOf({
  'default-src': "'none'",
  'script-src': "'self'",
  'style-src': "'self'",
  'img-src': "'self' data:",
  'font-src': "'self'",
  'connect-src': "'self'",
  'base-uri': "'none'",
  'form-action': "'none'",
  'frame-ancestors': "'none'",
});

/** The dashboard: its own files alone, and styles of its libraries by a nonce. `nonce`: of the page; its files need none. */
export const dashboardPolicy = (nonce?: string): string =>
  policyOf({
    'default-src': "'none'",
    'script-src': "'self'",
    'style-src': nonce === undefined ? "'self'" : `'self' 'nonce-${nonce}'`,
    'img-src': "'self' data:",
    'connect-src': "'self'",
    'worker-src': "'self'",
    'font-src': "'self'",
    'base-uri': "'none'",
    'form-action': "'none'",
    'frame-ancestors': "'none'",
  });

/** A page of text with a form that is sent to this address, and nothing that is loaded. */
export const FORM_POLICY = policyOf({
  'default-src': "'none'",
  'base-uri': "'none'",
  'form-action': "'self'",
  'frame-ancestors': "'none'",
});

function policyOf(directives: Record<string, string>): string {
  return Object.entries(directives)
    .map(([name, sources]) => `${name} ${sources}`)
    .join('; ');
}

/** Adds them to every answer of node's server, so that event streams and refusals before any route have them too. */
export function addHeaders(server: Server, { isEncrypted }: { isEncrypted: boolean }): void {
  const secure = helmet({
    // Of an answer in JSON nothing is loaded; a route with pages says what it needs.
    contentSecurityPolicy: { useDefaults: false, directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] } },
    xFrameOptions: { action: 'deny' },
    // Browsers believe it only from an encrypted answer. Other names below this one may be other services.
    strictTransportSecurity: isEncrypted && { includeSubDomains: false },
  });
  server.prependListener('request', (request, response) => secure(request, response, () => {}));
}

/** Lets pages of the configured origins call, with a key that they send themselves; the cookie of a session is of no use to them. None configured: the browser refuses them all. */
export async function allowOrigins(app: App, { origins }: Config['gateway']['cors']): Promise<void> {
  if (origins.length === 0) return;
  await app.register(cors, {
    origin: [...origins],
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
    allowedHeaders: ['authorization', 'content-type', 'last-event-id'],
    exposedHeaders: ['location', 'retry-after', 'x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset'],
    maxAge: 600,
    // An OPTIONS that is no preflight gets no text in the place of a problem.
    strictPreflight: false,
  });
}
