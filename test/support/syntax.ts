import { parseSync } from '@swc/core';

/** A node of the parser's tree, seen without its many types. */
export interface SyntaxNode {
  type: string;
  span: { start: number; end: number };
  [field: string]: unknown;
}

/**
 * Visits every node of a TypeScript file, parents first, with its parent and its lines (counted from 1). Errors: the parser's, for a file that is not TypeScript.
 */
export function visitSyntax(
  text: string,
  visit: (node: SyntaxNode, parent: SyntaxNode | undefined, lines: [number, number]) => void,
): void {
  // The parser counts bytes over all files that it has read, so a first token of our own marks where this file begins.
  const marked = `;${text.replace(/^#!/, '//')}`;
  const program = parseSync(marked, { syntax: 'typescript', target: 'esnext' }) as unknown as SyntaxNode;
  const begin = program.span.start;
  const bytes = Buffer.from(marked);
  const newlines = [...bytes.keys()].filter((index) => bytes[index] === 0x0a);
  const lineOf = (position: number): number => newlines.findLastIndex((index) => index < position - begin) + 2;

  const walk = (value: unknown, parent: SyntaxNode | undefined): void => {
    if (Array.isArray(value)) {
      for (const item of value) walk(item, parent);
    } else if (isNode(value)) {
      if (value.span !== undefined) visit(value, parent, [lineOf(value.span.start), lineOf(value.span.end)]);
      for (const [field, child] of Object.entries(value)) if (field !== 'span') walk(child, value);
    } else if (typeof value === 'object' && value !== null) {
      for (const child of Object.values(value)) walk(child, parent);
    }
  };
  walk(program, undefined);
}

function isNode(value: unknown): value is SyntaxNode {
  return typeof value === 'object' && value !== null && typeof (value as SyntaxNode).type === 'string';
}
