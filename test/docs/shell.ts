/** Reads the shell lines of code blocks, as far as the documents use the shell. */
import { type Block, documents } from './markdown.ts';

export interface ShellLine {
  /** As `docs/operate.md:12`. */
  at: string;
  /** With continued lines joined and the comment taken off. */
  text: string;
  block: Block;
}

/** Every line of every `sh` block that is a session and not a script of its own. */
export const shellLines: readonly ShellLine[] = documents
  .flatMap(({ blocks }) => blocks)
  .filter(({ language, text }) => language === 'sh' && !text.startsWith('#!'))
  .flatMap(linesOf);

function linesOf(block: Block): ShellLine[] {
  const lines: ShellLine[] = [];
  let joined = '';
  let start = block.line;
  for (const [index, line] of block.text.split('\n').entries()) {
    if (joined === '') start = block.line + index;
    if (line.endsWith('\\')) {
      joined += `${line.slice(0, -1).trim()} `;
      continue;
    }
    const text = (joined + line.replace(/(^|\s)#.*$/, '')).trim();
    if (text !== '') lines.push({ at: `${block.file}:${start}`, text, block });
    joined = '';
  }
  return lines;
}

/** The words of a line, quotes removed and `$NAME` filled in; `&&` and `|` are words of their own. Throws on what it cannot read. */
export function wordsOf(line: string, variables: Readonly<Record<string, string>> = {}): string[] {
  const words: string[] = [];
  const piece = /\s+|'([^']*)'|"((?:[^"\\]|\\.)*)"|(&&|\|)|([^\s'"|&]+)/gy;
  let word: string | undefined;
  let end = 0;
  for (const { 0: whole, 1: single, 2: double, 3: operator, 4: bare, index } of line.matchAll(piece)) {
    end = index + whole.length;
    if (operator !== undefined) {
      if (word !== undefined) words.push(word);
      words.push(operator);
      word = undefined;
    } else if (single !== undefined) word = (word ?? '') + single;
    else if (double !== undefined || bare !== undefined) word = (word ?? '') + filled((double ?? bare)!, variables);
    else if (word !== undefined) {
      words.push(word);
      word = undefined;
    }
  }
  if (end !== line.length) throw new Error(`cannot read the shell line from ${JSON.stringify(line.slice(end))} on`);
  return word === undefined ? words : [...words, word];
}

function filled(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$([A-Z_]+)/g, (_, name: string) => {
    const value = variables[name];
    if (value === undefined) throw new Error(`$${name} has no value`);
    return value;
  });
}

/** The commands of a line that is joined by `&&`. */
export function commandsOf(words: readonly string[]): string[][] {
  const commands: string[][] = [[]];
  for (const word of words) {
    if (word === '&&') commands.push([]);
    else commands.at(-1)!.push(word);
  }
  return commands;
}
