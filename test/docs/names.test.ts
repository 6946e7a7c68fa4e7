/** What the documents name exists: links, anchors, paths, scripts, commits, configuration keys, topics. */
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { leaves } from '../../services/platform/config/keys.ts';
import { loadConfig } from '../../services/platform/config/load.ts';
import { ALIASES, RETIRED } from '../../services/platform/config/retired.ts';
import { EVENT_NAMES } from '../../services/platform/outbox.ts';
import { encodeLevel, matchTopic, TOPICS } from '../../services/platform/topics.ts';
import { documentNamed, documents, ROOT, read, type Span } from './markdown.ts';
import { shellLines, wordsOf } from './shell.ts';

const spans: Span[] = documents.flatMap((document) => document.spans);
const blocks = documents.flatMap((document) => document.blocks);
/** Spans and the lines of all code blocks. */
const everything: Span[] = [
  ...spans,
  ...blocks.flatMap(({ file, line, text }) => text.split('\n').map((one, index) => ({ at: `${file}:${line + index}`, text: one }))),
];
const found = (pattern: RegExp, places: readonly Span[] = everything): Span[] =>
  places.flatMap(({ at, text }) => [...text.matchAll(pattern)].map((match) => ({ at, text: match[1]! })));

test('the README is under 1,500 words', () => {
  expect(readFileSync(join(ROOT, 'README.md'), 'utf8').split(/\s+/).length).toBeLessThan(1_500);
});

test('a heading has the anchor that GitHub gives it, a link in a code block is none', () => {
  const {
    anchors,
    links,
    spans: code,
  } = read('a.md', '# Faults: is an `at` kept?\n\n## Same\n\n## Same\n\n[a](b.md#c) `x` \n\n```sh\n[d](e)\n```\n');
  expect([...anchors]).toEqual(['faults-is-an-at-kept', 'same', 'same-1']);
  expect(links.map(({ text }) => text)).toEqual(['b.md#c']);
  expect(code.map(({ text }) => text)).toEqual(['at', 'x']);
});

test('every link leads to a file of the project and to a heading in it', () => {
  const broken = documents.flatMap(({ file, links }) =>
    links.flatMap(({ at, text }) => {
      if (/^https?:/.test(text)) return [];
      const [path = '', anchor] = text.split('#');
      const target = path === '' ? file : normalize(join(dirname(file), path));
      if (!existsSync(join(ROOT, target))) return [`${at} ${text}: there is no ${target}`];
      if (anchor === undefined) return [];
      return documentNamed(target).anchors.has(anchor) ? [] : [`${at} ${text}: ${target} has no such heading`];
    }),
  );
  expect(broken).toEqual([]);
});

test('every document is reached from the README', () => {
  const reached = new Set(['README.md']);
  for (const file of reached)
    for (const { text } of documentNamed(file).links) {
      const target = normalize(join(dirname(file), text.split('#')[0]!));
      if (target.endsWith('.md') && !/^https?:/.test(text)) reached.add(target);
    }
  expect(documents.map(({ file }) => file).filter((file) => !reached.has(file))).toEqual([]);
});

test('every path of the project that is named exists', () => {
  const top = readdirSync(ROOT).filter((name) => !['data', 'node_modules'].includes(name));
  const paths = found(/(?<![\w./<-])((?:[\w.-]+\/)+[\w.*-]*)(?![\w<>{])/g).filter(({ text }) => top.includes(text.split('/')[0]!));
  expect(paths.length).toBeGreaterThan(20);
  // Of `git show`: where a file was at that commit.
  const now = paths.filter(
    ({ at, text }) => !everything.some((place) => place.at === at && /^git show /.test(place.text) && place.text.includes(text)),
  );
  expect(now.filter(({ text }) => globSync(text.replace(/\/$/, ''), { cwd: ROOT }).length === 0)).toEqual([]);
});

test('the folders drawn in CONTRIBUTING.md are those that there are', () => {
  const drawing = documentNamed('CONTRIBUTING.md').blocks.find(({ language }) => language === 'text')!;
  let parent = '';
  const drawn = drawing.text.split('\n').map((line) => {
    const [, indent, name] = /^( *)(\S+)/.exec(line)!;
    if (indent === '') parent = name!;
    return indent === '' ? name! : parent + name!;
  });
  expect(drawn.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  const services = readdirSync(join(ROOT, 'services'), { withFileTypes: true }).map(
    (entry) => `services/${entry.name}${entry.isDirectory() ? '/' : ''}`,
  );
  expect(services.filter((path) => !drawn.includes(path))).toEqual([]);
});

test('every npm script that is named exists', () => {
  const scripts = found(/\bnpm run (?:--silent )?([\w:-]+)/g).concat(found(/\bnpm (start|test)\b/g));
  expect(scripts.length).toBeGreaterThan(5);
  expect(scripts.filter(({ text }) => !(text in packageJson.scripts))).toEqual([]);
});

test('every test that is named with vitest exists', () => {
  const files = found(/npx vitest run ([^`|]+)/g).flatMap(({ at, text }) => text.split(' ').map((file) => ({ at, text: file })));
  expect(files.filter(({ text }) => text.startsWith('test/') && !existsSync(join(ROOT, text)))).toEqual([]);
});

const hasCommit = (hash: string): boolean => spawnSync('git', ['cat-file', '-e', `${hash}^{commit}`], { cwd: ROOT }).status === 0;

// A shallow copy has a part of the history, an unpacked archive none.
test('every commit that CONTRIBUTING.md shows, as far as this copy has it, touches the files named with it', () => {
  const shown = documentNamed('CONTRIBUTING.md').spans.flatMap(({ text }) => {
    const [, hash, paths] = /^git show (\w+) -- (.+)$/.exec(text) ?? [];
    return hash === undefined ? [] : paths!.split(' ').map((path) => ({ hash, path }));
  });
  expect(shown.length).toBeGreaterThan(4);
  const untouched = shown.filter(({ hash, path }) => {
    if (!hasCommit(hash)) return false;
    return spawnSync('git', ['show', '--stat', '--format=', hash, '--', path], { cwd: ROOT, encoding: 'utf8' }).stdout === '';
  });
  expect(untouched).toEqual([]);
});

/** `scheduler.ageing` is the section of keys below it. */
const isKey = (name: string): boolean =>
  [...leaves.keys(), ...Object.keys(ALIASES), ...RETIRED.map(({ key }) => key)].some((key) => key === name || key.startsWith(`${name}.`)) ||
  // Keys of entries of lists and of maps with free names.
  [...leaves.keys()].some((key) => name.startsWith(`${key}.`));

const sections = new Set([...leaves.keys()].map((key) => key.split('.')[0]!));

test('every configuration key that is named exists', () => {
  const keys = found(/(?:^|--set )([a-z_]+(?:\.[a-z_*]+)+)(?==|$)/g).filter(({ text }) => sections.has(text.split('.')[0]!));
  expect(keys.length).toBeGreaterThan(40);
  const isEvent = (text: string): boolean => (EVENT_NAMES as readonly string[]).includes(text);
  expect(keys.filter(({ text }) => (!isKey(text) && !isEvent(text)) || /\.(ts|yaml|md|json)$/.test(text))).toEqual([]);
});

test('every YAML block is a configuration that loads', () => {
  const folder = mkdtempSync(join(tmpdir(), 'stockmesh-docs-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'site.yaml');
  for (const { text, file, line } of blocks.filter(({ language }) => language === 'yaml')) {
    writeFileSync(path, text);
    expect(() => loadConfig({ environment: 'development', env: {}, files: [path] }), `${file}:${line}`).not.toThrow();
  }
});

/** The topic with something for each placeholder and wildcard, or undefined when it is none. */
function topicOf(text: string): ReturnType<typeof matchTopic> {
  return matchTopic(text.replaceAll(/\{\w+\}|\+|#/g, encodeLevel('X')));
}
const firstLevels = new Set(Object.values(TOPICS).map(({ pattern }) => pattern.split('/')[0]!));

test('every topic that is named is one of the table', () => {
  const topics = spans
    .concat(
      shellLines
        .filter(({ text }) => text.startsWith('mosquitto_'))
        .flatMap(({ at, text }) => optionsOf(text, '-t').map((topic) => ({ at, text: topic }))),
    )
    .filter(({ text }) => /^[a-z]+(\/[\w{}+#-]+)+$/.test(text) && firstLevels.has(text.split('/')[0]!));
  expect(topics.length).toBeGreaterThan(20);
  // `mesh/#` stands for all below it.
  const isTopic = (text: string) => topicOf(text) !== undefined || (text.endsWith('/#') && firstLevels.has(text.split('/')[0]!));
  expect(topics.filter(({ text }) => !isTopic(text))).toEqual([]);
});

test('docs/mqtt.md and its QoS column say what the table of topics says', () => {
  const lines = readFileSync(join(ROOT, 'docs/mqtt.md'), 'utf8').split('\n');
  for (const { pattern, qos, retain } of Object.values(TOPICS)) {
    const row = lines.find((line) => line.startsWith(`| \`${pattern}\` `));
    expect(row, pattern).toBeDefined();
    expect(row!.split('|')[2]!.trim(), pattern).toBe(retain ? `${qos}, retained` : String(qos));
  }
});

test('the rights in docs/operate.md are those of the embedded database', () => {
  const grants = found(
    /^GRANT (.+) ON /gm,
    blocks.filter(({ language }) => language === 'sql').map(({ file, line, text }) => ({ at: `${file}:${line}`, text })),
  );
  expect(grants).toHaveLength(2);
  const accounts = readFileSync(join(ROOT, 'sql/accounts.ts'), 'utf8');
  expect(grants.filter(({ text }) => !accounts.includes(`'${text}'`))).toEqual([]);
});

function optionsOf(line: string, option: string): string[] {
  const words = wordsOf(line.replaceAll(/"\$\([^)]*\)"/g, 'password'), { HOOK_PASSWORD: '', MONITOR_PASSWORD: '' });
  return words.flatMap((word, index) => (words[index - 1] === option ? [word] : []));
}
