/**
 * Builds the page into `dist/`, unless its sources and packages are those of the last build. `npm start` runs it; with an argument `--force` it builds in any case.
 * Every file that is worth it lies there compressed too, so the gateway compresses nothing.
 */
import { createHash } from 'node:crypto';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import react from '@vitejs/plugin-react';
import { build } from 'vite';

const HERE = import.meta.dirname;
const OUT = join(HERE, 'dist');
/** The digest of all that the build was made of. */
const STAMP = 'built-from.txt';
/** As `services/gateway/http/dashboard.ts` looks for it. */
const NONCE = '__CSP_NONCE__';

function digest(): string {
  const hash = createHash('sha256');
  const sources = globSync(['src/**/*.*', 'public/**/*.*', 'index.html', 'build.ts', 'package.json', '../../package-lock.json'], {
    cwd: HERE,
  });
  for (const path of sources.sort())
    hash
      .update(`${path}\0`)
      .update(readFileSync(join(HERE, path)))
      .update('\0');
  return hash.digest('hex');
}

function isBuiltFrom(stamp: string): boolean {
  try {
    return readFileSync(join(OUT, STAMP), 'utf8') === stamp;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return false;
  }
}

function compress(folder: string): void {
  for (const path of globSync('**/*.{js,css,svg,html}', { cwd: folder })) {
    const text = readFileSync(join(folder, path));
    if (text.length < 1_000 || path === 'index.html') continue;
    writeFileSync(join(folder, `${path}.gz`), gzipSync(text, { level: 9 }));
    writeFileSync(join(folder, `${path}.br`), brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
  }
}

/** Builds beside the present files and puts them in their place at the end: a gateway that runs never serves half a build. */
async function make(stamp: string): Promise<void> {
  // A test run sets it to "test", and the page would be one for development, half as large again.
  process.env.NODE_ENV = 'production';
  const folder = `${OUT}.${process.pid}`;
  const old = `${folder}.old`;
  await build({
    root: HERE,
    base: '/ui/',
    configFile: false,
    logLevel: 'warn',
    plugins: [react()],
    html: { cspNonce: NONCE },
    worker: { format: 'es' },
    build: {
      outDir: folder,
      emptyOutDir: true,
      target: 'es2023',
      sourcemap: false,
      assetsInlineLimit: 0,
      reportCompressedSize: false,
      manifest: true,
    },
  });
  compress(folder);
  writeFileSync(join(folder, STAMP), stamp);
  await rename(OUT, old).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  // Another build of the same sources may have ended in between.
  await rename(folder, OUT).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    return rm(folder, { recursive: true });
  });
  await rm(old, { recursive: true, force: true });
}

const stamp = digest();
if (process.argv.includes('--force') || !isBuiltFrom(stamp)) {
  const start = performance.now();
  console.log('building the dashboard …');
  await make(stamp);
  console.log(`built the dashboard in ${((performance.now() - start) / 1000).toFixed(1)} s`);
}
