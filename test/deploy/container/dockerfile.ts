/** The Dockerfile, step by step, and what .dockerignore leaves of the checkout. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Copy, DockerfileParser } from 'dockerfile-ast';
import { ROOT } from '../../docs/markdown.ts';

export const DOCKERFILE = readFileSync(join(ROOT, 'deploy/container/Dockerfile'), 'utf8');

/** One instruction. `words`: its arguments, without flags. */
export interface Step {
  keyword: string;
  words: string[];
  /** The whole text of a RUN. */
  text: string;
  /** Of COPY. */
  from?: string | undefined;
}

interface Stage {
  name: string;
  base: string;
  steps: Step[];
}

export function stages(text = DOCKERFILE): Stage[] {
  const found: Stage[] = [];
  const lines = text.split('\n');
  for (const instruction of DockerfileParser.parse(text).getInstructions()) {
    const keyword = instruction.getKeyword();
    const words = instruction.getArguments().map((argument) => argument.getValue());
    if (keyword === 'FROM') found.push({ name: words[2] ?? '', base: words[0] ?? '', steps: [] });
    else {
      const { start, end } = instruction.getRange();
      const whole = lines.slice(start.line, end.line + 1).join('\n');
      const from = keyword === 'COPY' ? ((instruction as Copy).getFromFlag()?.getValue() ?? undefined) : undefined;
      found.at(-1)?.steps.push({ keyword, words, text: whole.slice(keyword.length + 1).replaceAll('\\\n', ' '), from });
    }
  }
  return found;
}

/** Docker's patterns: `*` stands for any characters but "/", a leading `**` with a slash for any folders, names with a dot in front included. */
const PATTERNS = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => {
    const text = line.replace(/^!/, '');
    const parts = text.split(/(\*\*\/|\*)/).map((part) => (part === '**/' ? '(?:.*/)?' : part === '*' ? '[^/]*' : RegExp.escape(part)));
    return { keeps: line.startsWith('!'), fits: new RegExp(`^${parts.join('')}$`) };
  });

/** Whether a path of the checkout reaches the build: the last pattern that fits it, or a folder above it, decides. */
export function isInContext(path: string): boolean {
  const parts = path.split('/');
  const above = parts.map((_, index) => parts.slice(0, index + 1).join('/'));
  return PATTERNS.findLast(({ fits }) => above.some((one) => fits.test(one)))?.keeps ?? true;
}
