/** The files of the dashboard, as a browser gets them. The policy and the paths: what a browser may load, RFC 9110 and CSP Level 3. */
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, brotliDecompressSync } from 'node:zlib';
import fastify from 'fastify';
import { expect, onTestFinished, test } from 'vitest';
import type { App } from '../../../services/gateway/http/app.ts';
import { dashboardRoutes, NONCE } from '../../../services/gateway/http/dashboard.ts';
import { answerProblem } from '../../../services/gateway/http/problems.ts';

const PAGE = `<!doctype html><meta property="csp-nonce" nonce="${NONCE}"><script type="module" src="/ui/assets/app-1a2b.js" nonce="${NONCE}"></script>`;
const SCRIPT = 'console.log(1)';

function folderOf(files: Record<string, string | Buffer>): string {
  const folder = mkdtempSync(join(tmpdir(), 'stockmesh-dashboard-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'assets'));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return folder;
}

const built = () =>
  folderOf({
    'index.html': PAGE,
    'favicon.svg': '<svg/>',
    'assets/app-1a2b.js': SCRIPT,
    'assets/app-1a2b.js.br': brotliCompressSync(SCRIPT),
  });

function serve(folder: string): App {
  const app = fastify() as unknown as App;
  app.setErrorHandler(answerProblem);
  dashboardRoutes(app, folder);
  onTestFinished(async () => await app.close());
  return app;
}

test('the root and /ui lead to the pages', async () => {
  const app = serve(built());
  for (const path of ['/', '/ui']) {
    const { statusCode, headers } = await app.inject(path);
    expect([statusCode, headers.location]).toEqual([302, '/ui/']);
  }
});

test('every address that is no file is the page, whatever its query', async () => {
  const app = serve(built());
  for (const path of ['/ui/', '/ui/jobs?state=failed&type=fetch', '/ui/symbol/BRK.B', '/ui/index.html', '/ui/..%2f..%2f..%2fetc/passwd']) {
    const { statusCode, headers, body } = await app.inject(path);
    expect([path, statusCode, headers['content-type'], headers['cache-control']]).toEqual([
      path,
      200,
      'text/html; charset=utf-8',
      'no-store',
    ]);
    expect(body).toContain('/ui/assets/app-1a2b.js');
  }
});

test('each answer has a nonce of its own, in the page and in its policy', async () => {
  const app = serve(built());
  const nonces = await Promise.all(
    [1, 2].map(async () => {
      const { headers, body } = await app.inject('/ui/');
      const [, nonce = ''] = /'nonce-([^']+)'/.exec(String(headers['content-security-policy'])) ?? [];
      expect(body.split(`nonce="${nonce}"`)).toHaveLength(3);
      expect(body).not.toContain(NONCE);
      return nonce;
    }),
  );
  expect(new Set(nonces).size).toBe(2);
  // 128 bits, of which CSP Level 3, 7.1, wants at least as many.
  for (const nonce of nonces) expect(Buffer.from(nonce, 'base64')).toHaveLength(16);
});

test('the policy allows nothing of another address and no script inside the page', async () => {
  const policy = String((await serve(built()).inject('/ui/')).headers['content-security-policy']);
  expect(policy.replace(/'nonce-[^']+'/, "'nonce-…'")).toBe(
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-…'; img-src 'self' data:; connect-src 'self'; worker-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  );
});

test('a file with a hash in its name is kept for ever, any other is asked for again', async () => {
  const app = serve(built());
  const cacheOf = async (path: string) => (await app.inject(path)).headers['cache-control'];
  expect(await cacheOf('/ui/assets/app-1a2b.js')).toBe('public, max-age=31536000, immutable');
  expect(await cacheOf('/ui/favicon.svg')).toBe('no-cache');
});

test('a browser that reads Brotli gets the file as the build has compressed it, another one as it is', async () => {
  const app = serve(built());
  const ask = (encoding: string) => app.inject({ url: '/ui/assets/app-1a2b.js', headers: { 'accept-encoding': encoding } });
  const compressed = await ask('gzip, deflate, br;q=1.0');
  expect([compressed.headers['content-encoding'], compressed.headers.vary]).toEqual(['br', 'accept-encoding']);
  expect(brotliDecompressSync(compressed.rawPayload).toString()).toBe(SCRIPT);
  const plain = await ask('gzip');
  expect([plain.headers['content-encoding'], plain.body, plain.headers['content-type']]).toEqual([
    undefined,
    SCRIPT,
    'text/javascript; charset=utf-8',
  ]);
});

test('a worker may connect to the gateway: its file has a policy that says so', async () => {
  const { headers } = await serve(built()).inject('/ui/assets/app-1a2b.js');
  expect(headers['content-security-policy']).toContain("connect-src 'self'");
});

test('a file of an earlier build is 404, so that its page loads itself anew', async () => {
  const { statusCode, body } = await serve(built()).inject('/ui/assets/app-0000.js');
  expect([statusCode, JSON.parse(body).code]).toEqual([404, 'route.unknown']);
});

test('a new build is served without a restart', async () => {
  const folder = built();
  const app = serve(folder);
  expect((await app.inject('/ui/')).body).toContain('app-1a2b');
  writeFileSync(join(folder, 'assets/app-3c4d.js'), SCRIPT);
  writeFileSync(join(folder, 'index.html'), PAGE.replace('1a2b', '3c4d'));
  utimesSync(join(folder, 'index.html'), 1, 1);
  expect((await app.inject('/ui/')).body).toContain('app-3c4d');
  expect((await app.inject('/ui/assets/app-3c4d.js')).statusCode).toBe(200);
});

test('without a build a browser gets a page that says what works without it, a program a problem', async () => {
  const app = serve(folderOf({}));
  const page = await app.inject({ url: '/ui/', headers: { accept: 'text/html,application/xhtml+xml' } });
  expect([page.statusCode, page.headers['content-type'], page.body]).toEqual([
    503,
    'text/html; charset=utf-8',
    expect.stringContaining('stockmesh top'),
  ]);
  const problem = await app.inject('/ui/');
  expect([problem.statusCode, problem.json().code]).toEqual([503, 'dashboard.not_built']);
});
