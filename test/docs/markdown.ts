/** The project's Markdown files, taken apart: headings, links, code spans, code blocks. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const NOT_OURS = ['node_modules', 'data', '.git', 'coverage'];

/** A code block between fences. `line`: of its first line of text. */
export interface Block {
  file: string;
  line: number;
  /** The word after the fence; '' without one. */
  language: string;
  text: string;
}

/** A piece of text and where it stands, as `docs/hooks.md:12`. */
export interface Span {
  at: string;
  text: string;
}

export interface Document {
  /** Relative to the project. */
  file: string;
  /** The anchors of its headings, as GitHub makes them. */
  anchors: ReadonlySet<string>;
  links: readonly Span[];
  /** The text between backticks in prose and tables. */
  spans: readonly Span[];
  blocks: readonly Block[];
}

export const documents: readonly Document[] = globSync('**/*.md', { cwd: ROOT, exclude: (name) => NOT_OURS.includes(name) })
  .toSorted()
  .map((file) => read(file, readFileSync(join(ROOT, file), 'utf8')));

export function documentNamed(file: string): Document {
  const found = documents.find((document) => document.file === file);
  if (found === undefined) throw new Error(`there is no ${file}`);
  return found;
}

/** Exported for its own test. */
export function read(file: string, text: string): Document {
  const blocks: Block[] = [];
  const links: Span[] = [];
  const spans: Span[] = [];
  const anchors = new Set<string>();
  let open: { fence: string; block: Block; lines: string[] } | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    const at = `${file}:${index + 1}`;
    const fence = /^(```+)\s*(\w*)/.exec(line);
    if (open !== undefined) {
      if (line.startsWith(open.fence) && line.trim() === open.fence) {
        blocks.push({ ...open.block, text: open.lines.join('\n') });
        open = undefined;
      } else open.lines.push(line);
    } else if (fence !== null) open = { fence: fence[1]!, block: { file, line: index + 2, language: fence[2]!, text: '' }, lines: [] };
    else {
      const heading = /^#+\s+(.+)$/.exec(line);
      if (heading !== null) anchors.add(uniqueAnchor(heading[1]!, anchors));
      const prose = line.replaceAll(/`([^`]+)`/g, (_, code: string) => {
        spans.push({ at, text: code.replaceAll('\\|', '|') });
        return 'code';
      });
      for (const link of prose.matchAll(/\]\(([^)\s]+)\)/g)) links.push({ at, text: link[1]! });
    }
  }
  if (open !== undefined) throw new Error(`${file}:${open.block.line}: this code block has no end`);
  return { file, anchors, links, spans, blocks };
}

/** Lower case, without punctuation, blanks as hyphens; the second one of the same name gets "-1". */
function uniqueAnchor(heading: string, taken: ReadonlySet<string>): string {
  const anchor = heading
    .replaceAll('`', '')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .trim()
    .replaceAll(' ', '-');
  let unique = anchor;
  for (let count = 1; taken.has(unique); count++) unique = `${anchor}-${count}`;
  return unique;
}
