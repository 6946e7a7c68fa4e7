/**
 * The dashboard under `/ui/`: the files that its build has made, out of memory. Files below `assets/` have a hash in their name and never change; an address that is no file
 * is one of a page, which `index.html` draws.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { glob, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { TransientError } from '../../platform/errors.ts';
import type { App } from './app.ts';
import { dashboardPolicy } from './headers.ts';
import { answerNotFound } from './problems.ts';

/** Stands in the built `index.html` where a fresh nonce belongs (`html.cspNonce` of Vite). */
export const NONCE = '__CSP_NONCE__';

const BUILT = fileURLToPath(new URL('../../dashboard/dist/', import.meta.url));
/** Whether the pages are there. */
export const isBuilt = (): boolean => existsSync(join(BUILT, 'index.html'));
const ASSETS = 'assets/';
const CODINGS = [
  { name: 'br', ending: '.br' },
  { name: 'gzip', ending: '.gz' },
] as const;
const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.map': 'application/json; charset=utf-8',
  '.txt': 'text/plain; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.webmanifest': 'application/manifest+json',
};

/** One build, as it lay in the folder when its `index.html` was written. */
interface Build {
  index: string;
  writtenAt: number;
  /** By path below the folder. Read when they are asked for the first time. */
  files: Map<string, Promise<Buffer> | undefined>;
}

/** `folder`: of the built files. A path is looked up among their names, so no request reaches another file. */
export function dashboardRoutes(app: App, folder: string = BUILT): void {
  const build = builtIn(folder);
  const hidden = { schema: { hide: true }, config: { access: 'open', uncounted: true } } as const;
  const toPages = (_: FastifyRequest, reply: FastifyReply) => reply.header('cache-control', 'no-cache').redirect('/ui/');

  app.get('/', hidden, toPages);
  app.get('/ui', hidden, toPages);
  app.get('/ui/*', hidden, async (request, reply) => {
    const built = await build();
    if (built === undefined) return answerNotBuilt(request, reply);
    const path = (request.params as { '*': string })['*'];
    if (path !== 'index.html' && built.files.has(path)) return sendFile(request, reply, built, { folder, path });
    // Of an earlier build: the page that asks for it loads itself anew when it hears so.
    if (path.startsWith(ASSETS)) {
      answerNotFound(request, reply);
      return reply;
    }
    const nonce = randomBytes(16).toString('base64');
    return reply
      .header('content-security-policy', dashboardPolicy(nonce))
      .header('cache-control', 'no-store')
      .type(TYPES['.html'] as string)
      .send(built.index.replaceAll(NONCE, nonce));
  });
}

/** The newest build; looked for again when its `index.html` has changed. */
function builtIn(folder: string): () => Promise<Build | undefined> {
  let known: Build | undefined;
  return async () => {
    const page = join(folder, 'index.html');
    const writtenAt = (await stat(page).catch(absent))?.mtimeMs;
    if (writtenAt === undefined) return undefined;
    if (known?.writtenAt === writtenAt) return known;
    const files: Build['files'] = new Map();
    for await (const entry of glob('**/*', { cwd: folder, withFileTypes: true }))
      if (entry.isFile()) files.set(join(entry.parentPath, entry.name).slice(join(folder, '/').length).replaceAll('\\', '/'), undefined);
    known = { index: await readFile(page, 'utf8'), writtenAt, files };
    return known;
  };
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
}

async function sendFile(
  { headers }: FastifyRequest,
  reply: FastifyReply,
  { files }: Build,
  { folder, path }: { folder: string; path: string },
): Promise<FastifyReply> {
  const accepted = String(headers['accept-encoding'] ?? '').split(/\s*,\s*/);
  const coding = CODINGS.find(({ name, ending }) => accepted.some((one) => one.split(';')[0] === name) && files.has(path + ending));
  const name = path + (coding?.ending ?? '');
  let read = files.get(name);
  if (read === undefined) {
    read = readFile(join(folder, name));
    files.set(name, read);
    read.catch(() => files.set(name, undefined));
  }
  if (coding !== undefined) reply.header('content-encoding', coding.name);
  return (
    reply
      // A worker obeys the policy of its own file.
      .header('content-security-policy', dashboardPolicy())
      .header('cache-control', path.startsWith(ASSETS) ? 'public, max-age=31536000, immutable' : 'no-cache')
      .header('vary', 'accept-encoding')
      .type(TYPES[extname(path)] ?? 'application/octet-stream')
      .send(await read)
  );
}

const WAY_OUT =
  'The pages of the dashboard are not built. The command line ("npx stockmesh top") and the HTTP API (/docs) work without them.';

/** A page for a browser, a problem for a program. */
function answerNotBuilt({ headers }: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (!headers.accept?.includes('text/html')) throw new TransientError('dashboard.not_built', WAY_OUT);
  return reply
    .code(503)
    .header('cache-control', 'no-store')
    .header('retry-after', 10)
    .type(TYPES['.html'] as string)
    .send(
      `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>stockmesh</title><h1>stockmesh</h1><p>${WAY_OUT}</p><p><a href="/docs">The HTTP API</a></p></html>`,
    );
}
