/**
 * The rules of the house, run by `npm run check`: no file over 400 lines, no function over 80 (tests: any length), no folder over 15 files, no person called "he" or
 * "she". Ends with 1 and the list of what breaks them.
 */
import { globSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseTypeScript, type SyntaxNode, visitSyntax } from './support/syntax.ts';

const FILE_LINES = 400;
const FUNCTION_LINES = 80;
const FOLDER_FILES = 15;

/** Written by test/client/generated.test.ts. */
const GENERATED = ['services/client/openapi.ts'];

const FUNCTIONS = new Set([
  'FunctionDeclaration',
  'FunctionExpression',
  'ArrowFunctionExpression',
  'ClassMethod',
  'MethodProperty',
  'Constructor',
]);

/** The file if it is too long, as a line of text. */
export function tooLong(path: string, text: string): string[] {
  const lines = text.trimEnd().split('\n').length;
  return lines > FILE_LINES ? [`${path}: ${lines} lines, at most ${FILE_LINES}`] : [];
}

/** The functions that are too long, one line of text each. A function's lines are those from its first to its last, comments included. */
export function tooLongFunctions(path: string, text: string): string[] {
  const found: string[] = [];
  const { program, lineOf } = parseTypeScript(text, path.endsWith('.tsx'));
  visitSyntax(program, (node, parent) => {
    if (!FUNCTIONS.has(node.type)) return;
    const first = lineOf(node.span.start);
    const length = lineOf(node.span.end) - first + 1;
    if (length <= FUNCTION_LINES) return;
    found.push(`${path}:${first}: ${nameOf(node, parent)}: ${length} lines, at most ${FUNCTION_LINES}`);
  });
  return found;
}

/** The folders that hold too many files, one line of text each. */
export function tooFull(paths: readonly string[]): string[] {
  return Object.entries(Object.groupBy(paths, (path) => dirname(path)))
    .filter(([, files]) => files!.length > FOLDER_FILES)
    .map(([folder, files]) => `${folder}: ${files!.length} files, at most ${FOLDER_FILES}`);
}

/** The lines that call a person "he" or "she": a user, an operator and a caller are named. */
export function gendered(path: string, text: string): string[] {
  return text.split('\n').flatMap((line, index) => {
    const word = /\b(he|him|his|himself|she|her|hers|herself)\b/i.exec(line)?.[0];
    return word === undefined ? [] : [`${path}:${index + 1}: "${word}": name the person (the user, the caller, the operator)`];
  });
}

function nameOf(node: SyntaxNode, parent: SyntaxNode | undefined): string {
  const named = [node.identifier, node.key, parent?.id, parent?.key] as ({ value?: string } | null | undefined)[];
  return named.find((name) => typeof name?.value === 'string')?.value ?? 'a function without a name';
}

if (import.meta.main) {
  const root = new URL('..', import.meta.url).pathname;
  // The folder of migrations grows with each one; a migration is found by its number.
  const files = globSync('{services,broker,sql,test}/**/*.*', {
    cwd: root,
    exclude: ['**/node_modules/**', 'services/dashboard/dist*/**', 'sql/migrations/**', ...GENERATED],
  });
  const typeScript = files.filter((path) => /\.tsx?$/.test(path));
  const code = typeScript.filter((path) => !path.startsWith('test/'));
  const read = (path: string): string => readFileSync(`${root}${path}`, 'utf8');
  const found = [
    ...tooFull(files),
    ...typeScript.flatMap((path) => tooLong(path, read(path))),
    ...code.flatMap((path) => tooLongFunctions(path, read(path))),
    ...[
      ...typeScript.filter((path) => !path.startsWith('test/house')),
      ...globSync(['*.md', 'docs/**/*.md', 'config/*.yaml', 'sql/migrations/*.sql'], { cwd: root }),
    ].flatMap((path) => gendered(path, read(path))),
  ];
  if (found.length > 0) {
    console.error(`${found.sort().join('\n')}\nSplit what is too long by what its parts do.`);
    process.exitCode = 1;
  }
}
