/** What a browser must load before it shows a page, compressed as the gateway sends it to one that takes gzip. The limits are those of the design, in bytes. */
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';

interface Chunk {
  file: string;
  imports?: string[];
  dynamicImports?: string[];
  css?: string[];
}

const FOLDER = 'services/dashboard/dist';
const HOME = 'src/pages/mesh/page.tsx';
let chunks: Record<string, Chunk>;

beforeAll(() => {
  execFileSync(process.execPath, ['services/dashboard/build.ts'], { stdio: 'inherit' });
  chunks = JSON.parse(readFileSync(join(FOLDER, '.vite/manifest.json'), 'utf8'));
}, 120_000);

/** The names of a chunk and of all that must be there before it runs. */
function loaded(...names: string[]): Set<string> {
  const found = new Set<string>();
  const add = (name: string): void => {
    if (found.has(name)) return;
    found.add(name);
    for (const needed of chunks[name]?.imports ?? []) add(needed);
  };
  for (const name of names) add(name);
  return found;
}

/** Files under 1,000 bytes are not compressed. */
function bytes(file: string): number {
  const path = join(FOLDER, file);
  return statSync(existsSync(`${path}.gz`) ? `${path}.gz` : path).size;
}
const sum = (files: Iterable<string>): number => [...new Set(files)].reduce((total, file) => total + bytes(file), 0);
const script = (names: Iterable<string>): number => sum([...names].map((name) => (chunks[name] as Chunk).file));
const styles = (names: Iterable<string>): number => sum([...names].flatMap((name) => chunks[name]?.css ?? []));
const home = (): Set<string> => loaded('index.html', HOME);
const homeWithLate = (): Set<string> => loaded(...home(), ...(chunks[HOME]?.dynamicImports ?? []));

test('the script that the first page needs before it is drawn has at most 190 KB', () => {
  expect(script(home())).toBeLessThanOrEqual(190_000);
});

test('with what the first page loads by itself after that, it has at most 220 KB', () => {
  expect(script(homeWithLate())).toBeLessThanOrEqual(220_000);
});

test('the library of the charts is among what is loaded late', () => {
  const late = [...homeWithLate()]
    .filter((name) => !home().has(name))
    .map((name) => readFileSync(join(FOLDER, chunks[name]?.file as string), 'utf8'));
  expect(late.some((text) => text.includes('uplot'))).toBe(true);
});

test('the styles of the first page have at most 40 KB', () => {
  expect(styles(homeWithLate())).toBeLessThanOrEqual(40_000);
});

test('each other page needs at most 70 KB more than the first', () => {
  const pages = globSync('services/dashboard/src/pages/*/page.tsx').map((path) => path.slice('services/dashboard/'.length));
  expect(pages).toContain(HOME);
  const more = (page: string): number => {
    const names = [...loaded(page)].filter((name) => !home().has(name));
    return script(names) + styles(names);
  };
  expect(pages.map((page) => [page, more(page)] as const).filter(([, size]) => size > 70_000)).toEqual([]);
});

test('what is worth it lies there compressed, with brotli and with gzip', () => {
  const large = globSync(`${FOLDER}/assets/*.{js,css}`).filter((path) => statSync(path).size >= 1_000);
  expect(large.filter((path) => !existsSync(`${path}.br`) || !existsSync(`${path}.gz`))).toEqual([]);
});

test('each part of Mantine that is in the script has its style sheet in services/dashboard/src/app/styles.ts', () => {
  const mantine = 'node_modules/@mantine/core/styles';
  const text = (pattern: string): string =>
    globSync(`${FOLDER}/assets/${pattern}`)
      .map((path) => readFileSync(path, 'utf8'))
      .join('\n');
  const [scripts, sheets] = [text('*.js'), text('*.css')];
  const missing = globSync(`${mantine}/*.css`)
    .filter((path) => !path.endsWith('.layer.css'))
    .filter((path) =>
      [...new Set(readFileSync(path, 'utf8').match(/\.m_[0-9a-f]+/g))].some(
        (name) => scripts.includes(name.slice(1)) && !sheets.includes(name),
      ),
    )
    .map((path) => `import '@mantine/core/styles/${basename(path)}';`);
  expect(missing).toEqual([]);
});
