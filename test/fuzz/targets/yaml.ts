/** Configuration files: documents that are known, written as YAML and read again; the same with some bytes changed; and whole configurations. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { type Problem, placeText } from '../../../services/platform/config/problems.ts';
import { parseYaml } from '../../../services/platform/config/yaml.ts';
import { ConfigError } from '../../../services/platform/errors.ts';
import { mutated, type Random, shorterBytes } from '../random.ts';
import { shownBytes, type Target, type Verdict, Wrong } from '../target.ts';

interface Document {
  text: string;
  /** What was written; undefined where bytes were changed afterwards. */
  means: { value: unknown } | undefined;
}

/** Configurations are read when a process starts, so nothing else waits. The largest file of these has some 10 KB. */
const MOST_MS = 200;
const NAMES = [
  'worker',
  'a',
  'b-c',
  'x1',
  'poll_interval',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  '0',
  'yes',
  '~',
  'null',
  '',
  'a.b',
  "'a'",
  '?',
];

/** Names twice in one map are a problem, so each stands once. */
function value(random: Random, depth: number): unknown {
  const kind = random.below(depth > 3 ? 5 : 8);
  if (kind === 0) return random.pick([0, 1, -7, 3.25, 1e21, 858]);
  if (kind === 1) return random.pick([true, false, null]);
  if (kind < 5)
    return random.once(3)
      ? random.pick(['TRUE', '000858', '1E3', '~', '- a', 'a: b', '#', '*a', '&a', '!!str', '<<', '---', '|'])
      : random.text(8).toWellFormed();
  if (kind === 5) return random.list(4, () => value(random, depth + 1));
  return Object.fromEntries(
    random.list(5, () => [random.once(3) ? random.pick(NAMES) : `k${random.text(6).toWellFormed()}`, value(random, depth + 1)]),
  );
}

// Every scalar that is text stands in double quotes, which have the escapes of JSON.
function written(random: Random, content: unknown, indent: string): string {
  const isBlock = random.below(4) > 0;
  if (isBlock && Array.isArray(content) && content.length > 0)
    return content.map((item) => `\n${indent}- ${written(random, item, `${indent}  `)}`).join('');
  if (isBlock && isMap(content) && Object.keys(content).length > 0)
    return Object.entries(content)
      .map(([name, item]) => `\n${indent}${JSON.stringify(name)}: ${written(random, item, `${indent}  `)}${random.once(6) ? ' # why' : ''}`)
      .join('');
  return visible(JSON.stringify(content));
}

const isMap = (content: unknown): content is Record<string, unknown> =>
  typeof content === 'object' && content !== null && !Array.isArray(content);
/** What YAML allows only as an escape. */
const visible = (json: string): string =>
  json.replace(/[\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** What makes readers slow: aliases of aliases, depth, merges, long plain text, anchors without number, tags. */
function heavy(random: Random): string {
  const levels = 1 + random.below(30);
  const width = 1 + random.below(9);
  return random.pick([
    () =>
      Array.from(
        { length: levels },
        (_, at) =>
          `a${at}: &a${at} [${Array(width)
            .fill(at === 0 ? 'x' : `*a${at - 1}`)
            .join(', ')}]`,
      ).join('\n'),
    () =>
      Array.from(
        { length: levels },
        (_, at) =>
          `a${at}: &a${at}\n  <<: ${
            at === 0
              ? '{ x: 1 }'
              : `[${Array(width)
                  .fill(`*a${at - 1}`)
                  .join(', ')}]`
          }\n  y${at}: 1`,
      ).join('\n'),
    () => `${'['.repeat(levels * 40)}x${']'.repeat(random.once(2) ? levels * 40 : 0)}`,
    () => `${'{a: '.repeat(levels * 40)}x${'}'.repeat(random.once(2) ? levels * 40 : 0)}`,
    () => `${'- '.repeat(levels * 40)}x`,
    () => `a: &x [${'*x, '.repeat(width)}]`,
    () => Array.from({ length: levels * 20 }, (_, at) => `${' '.repeat(at)}k${at}:`).join('\n'),
    () => `a: "${'\\u0041'.repeat(levels * 100)}"`,
    () => `a: ${'x '.repeat(levels * 200)}`,
    () => `? ${'? '.repeat(levels * 20)}`,
    () =>
      `a: !!${random.pick(['binary', 'timestamp', 'set', 'omap', 'js/function', 'python/object', 'float', 'int', 'bool'])} ${random.pick(['"x"', '{ a: 1 }', '2026-01-01', '!!str'])}`,
    () => `%YAML 1.${random.below(4)}\n---\na: 1\n${random.pick(['', '...\n', '---\nb: 2\n', '--- |\n'])}`,
    () => Array.from({ length: levels * 20 }, (_, at) => `k${at}: &n${at} ${'#'.repeat(at)}`).join('\n'),
    () => '\n'.repeat(levels * 100) + ' '.repeat(levels * 100),
    () => `a: ${'1'.repeat(levels * 50)}${random.pick(['', '_', 'e9', '.', ':59', 'x'])}`,
  ])();
}

function document(random: Random): Document {
  if (random.once(5)) return { text: heavy(random), means: undefined };
  const content = Object.fromEntries(random.list(5, () => [random.pick([...NAMES.slice(0, 5), 'job_processor']), value(random, 0)]));
  const text = `${random.once(5) ? '---\n' : ''}${Object.keys(content).length === 0 ? '{}' : written(random, content, '').replace(/^\n/, '')}\n`;
  const ended = random.once(4) ? text.replaceAll('\n', '\r\n') : text;
  if (random.once(2)) return { text: ended, means: { value: content } };
  return { text: mutated(random, Buffer.from(ended)).toString(), means: undefined };
}

function assertUnchanged(): void {
  const added = [Object.prototype, Array.prototype, Function.prototype].flatMap((prototype) => Object.keys(prototype));
  if (added.length > 0) throw new Wrong(`every object has ${added.join(', ')} now`);
}

function assertQuick(begun: number): void {
  const ms = performance.now() - begun;
  // Above the limit for what keeps others waiting, which is asserted of three tries, for what a busy machine adds.
  if (ms > 10 * MOST_MS) throw new Wrong(`took ${ms.toFixed(0)} ms`);
}

export const yaml: Target<Document> = {
  name: 'YAML documents',
  inputs: 150_000,
  seconds: 60,
  mostMs: MOST_MS,
  open: () => ({
    make: document,
    judge({ text, means }) {
      const problems: Problem[] = [];
      const begun = performance.now();
      const { value: read, lines } = parseYaml(text, 'f.yaml', problems);
      assertQuick(begun);
      assertUnchanged();
      const placeless = problems.find(({ code, place }) => !/^f\.yaml(:\d+)?$/.test(placeText(place ?? '')) || !code.startsWith('config.'));
      if (placeless !== undefined) throw new Wrong(`a problem without a place: ${placeless.text}`);
      if (isMap(read) && ![Object.prototype, null].includes(Object.getPrototypeOf(read)))
        throw new Wrong('the document has another prototype');
      const last = text.split(/\r\n?|\n/).length;
      for (const [path, line] of lines) if (!(line >= 1 && line <= last)) throw new Wrong(`${path} stands in line ${line} of ${last}`);
      if (means === undefined) return problems.length === 0 ? 'accepted' : 'refused';
      if (problems.length > 0) throw new Wrong(`a document that is right is refused: ${problems[0]!.text}`);
      if (!isDeepStrictEqual(JSON.stringify(read), JSON.stringify(means.value)))
        throw new Wrong(`read as ${JSON.stringify(read)}, not as ${JSON.stringify(means.value)}`);
      return 'accepted';
    },
    smaller: function* ({ text, means }) {
      if (means === undefined) for (const shorter of shorterBytes(Buffer.from(text))) yield { text: shorter.toString(), means };
    },
    shown: ({ text }) => shownBytes(Buffer.from(text)),
  }),
};

const SHIPPED = ['default', 'demo', 'production'].map((name) =>
  readFileSync(new URL(`../../../config/${name}.yaml`, import.meta.url), 'utf8'),
);
/** Sections and keys with their values, as a user copies them. */
const PARTS = SHIPPED.flatMap((text) =>
  text.split(/\n(?= {2}\w)/).map((part) => part.replace(/^job_processor:\n/, '').replaceAll(/^ *#.*\n/gm, '')),
);

let files = 0;

export const configurations: Target<Buffer> = {
  name: 'configurations',
  inputs: 3_000,
  seconds: 45,
  mostMs: MOST_MS,
  open: ({ folder }) => ({
    make(random) {
      const sections = Array.from({ length: 1 + random.below(3) }, () => random.pick(PARTS));
      const text = Buffer.from(`job_processor:\n${sections.join('\n')}\n`);
      if (random.once(4)) return Buffer.from(`job_processor:\n  ${document(random).text.replaceAll('\n', '\n  ')}`);
      return random.once(5) ? text : mutated(random, text);
    },
    judge(bytes): Verdict {
      const path = join(folder, `${files++ % 16}.yaml`);
      writeFileSync(path, bytes);
      const begun = performance.now();
      try {
        loadConfig({ environment: 'development', env: {}, files: [path], jobTypes: { fetch: 'fetch', analysis: 'analysis' } });
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        const placeless = error.message.split('\n').find((line) => !/\.yaml(:\d+)?: |^and \d+ more$/.test(line));
        if (placeless !== undefined) throw new Wrong(`a problem without a place: ${placeless}`);
        return 'refused';
      } finally {
        assertQuick(begun);
        assertUnchanged();
      }
      return 'accepted';
    },
    smaller: shorterBytes,
    shown: shownBytes,
  }),
};
