import { parseSync } from '@swc/core';

/** A node of the parser's tree, seen without its many types. */
export interface SyntaxNode {
  type: string;
  span: { start: number; end: number };
  [field: string]: unknown;
}

export interface Syntax {
  program: SyntaxNode;
  /** The line, from 1, of a position in the tree. */
  lineOf(position: number): number;
}

/** Parses a TypeScript file, `isTsx` one with elements. Errors: the parser's, for a file that is not TypeScript. */
export function parseTypeScript(text: string, isTsx = false): Syntax {
  // The parser counts bytes over all files that it has read, so a first token of our own marks where this file begins.
  const marked = `;${text.replace(/^#!/, '//')}`;
  const program = parseSync(marked, { syntax: 'typescript', tsx: isTsx, target: 'esnext' }) as unknown as SyntaxNode;
  const bytes = Buffer.from(marked);
  return {
    program,
    lineOf: (position) =>
      bytes
        .subarray(0, position - program.span.start)
        .toString('latin1')
        .split('\n').length,
  };
}

/** Visits a node and all below it, parents first. */
export function visitSyntax(root: unknown, visit: (node: SyntaxNode, parent: SyntaxNode | undefined) => void, parent?: SyntaxNode): void {
  if (typeof root !== 'object' || root === null) return;
  const node = typeof (root as SyntaxNode).type === 'string' && 'span' in root ? (root as SyntaxNode) : undefined;
  if (node !== undefined) visit(node, parent);
  for (const child of Object.values(root)) visitSyntax(child, visit, node ?? parent);
}
