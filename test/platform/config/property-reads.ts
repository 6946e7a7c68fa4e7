import { parseTypeScript, type SyntaxNode, visitSyntax } from '../../support/syntax.ts';

/** What a file reads: the names of all properties, and for those of a known object `section.name`. */
export interface PropertyReads {
  names: Set<string>;
  inSection: Set<string>;
}

type Chain = readonly string[];

/** Every property of an object: `rules[name]`, `Object.entries(rules)`. */
const EVERY = '*';

/**
 * The properties that a file reads by `object.name`, `object['name']` or destructuring; comments, texts and object literals are not reads. A variable stands for
 * the properties that it was made from (`const { jobs } = config`), a parameter for its type (`Config['jobs']`, `LogOptions`) and for what this file passes to it,
 * the item of a loop or a callback for its list.
 */
export function propertyReads(text: string): PropertyReads {
  const reads: PropertyReads = { names: new Set(), inSection: new Set() };
  const { program } = parseTypeScript(text);
  const { types, functions } = declarations(program);
  const variables = new Map<string, Map<string, Chain>>();

  function add(chain: Chain): void {
    const [section, name] = chain.slice(-2).length === 2 ? (chain.slice(-2) as [string, string]) : [undefined, chain[0] as string];
    reads.names.add(name);
    if (section !== undefined) reads.inSection.add(`${section}.${name}`);
  }

  /** What the names of a pattern stand for when `chains` are assigned to it. */
  function bind(pattern: SyntaxNode | undefined, chains: Chain[]): void {
    if (pattern === undefined) return;
    const all = [...chains, ...accessesOfType(pattern.typeAnnotation, types)];
    if (pattern.type === 'Parameter') bind(pattern.pat as SyntaxNode, all);
    if (pattern.type === 'AssignmentPattern') bind(pattern.left as SyntaxNode, all);
    if (pattern.type === 'Identifier') {
      const known = variables.get(pattern.value as string) ?? new Map<string, Chain>();
      for (const chain of all) known.set(chain.join('.'), chain);
      variables.set(pattern.value as string, known);
    }
    if (pattern.type === 'ObjectPattern')
      for (const property of pattern.properties as SyntaxNode[]) bindProperty(property, all.length === 0 ? [[]] : all);
  }

  function bindProperty({ type, key, value }: SyntaxNode, chains: Chain[]): void {
    const name = (key as SyntaxNode | undefined)?.value;
    if (typeof name !== 'string') return;
    const read = chains.map((chain) => [...chain, name]);
    read.forEach(add);
    bind((type === 'AssignmentPatternProperty' ? key : value) as SyntaxNode, read);
  }

  function chainsOf(node: SyntaxNode | null | undefined): Chain[] {
    if (node === undefined || node === null) return [];
    if (node.type === 'Identifier') return [...(variables.get(node.value as string)?.values() ?? [])];
    if (node.type === 'OptionalChainingExpression') return chainsOf(node.base as SyntaxNode);
    if (node.type === 'MemberExpression') {
      const owners = chainsOf(node.object as SyntaxNode);
      return (owners.length === 0 ? [[]] : owners).map((chain) => [...chain, nameRead(node.property as SyntaxNode)]);
    }
    // `list.filter(…)` stands for its list.
    if (node.type === 'CallExpression') return chainsOf((node.callee as SyntaxNode).object as SyntaxNode);
    // `await value`, `value as Type`, `value!`, `(value)`.
    return chainsOf((node.expression ?? node.argument) as SyntaxNode);
  }

  function call({ callee, arguments: passed }: SyntaxNode): void {
    const { object, value } = callee as { object?: SyntaxNode; value?: string };
    const given = (passed as { expression: SyntaxNode }[]).map(({ expression }) => expression);
    if (object?.value === 'Object') for (const chain of chainsOf(given[0])) add([...chain, EVERY]);
    for (const one of given) if (one.type === 'ArrowFunctionExpression') bind((one.params as SyntaxNode[])[0], chainsOf(object));
    for (const [index, parameter] of (functions.get(value ?? '') ?? []).entries()) bind(parameter, chainsOf(given[index]));
  }

  function read(node: SyntaxNode): void {
    if (node.type === 'VariableDeclarator') bind(node.id as SyntaxNode, chainsOf(node.init as SyntaxNode));
    if (node.type === 'MemberExpression') chainsOf(node).forEach(add);
    if (node.type === 'ForOfStatement')
      for (const { id } of (node.left as { declarations?: { id: SyntaxNode }[] }).declarations ?? [])
        bind(id, chainsOf(node.right as SyntaxNode));
    if (node.type === 'CallExpression') call(node);
    if (Array.isArray(node.params)) for (const parameter of node.params as SyntaxNode[]) bind(parameter, []);
  }

  // Twice: a function may stand before the call that says what its parameters are.
  visitSyntax(program, read);
  visitSyntax(program, read);
  return reads;
}

/** The file's type aliases, and the parameters of its functions, by name. */
function declarations(program: SyntaxNode) {
  const types: Types = new Map();
  const functions = new Map<string, SyntaxNode[]>();
  visitSyntax(program, (node) => {
    const name = ((node.id ?? node.identifier) as { value?: string } | null | undefined)?.value;
    if (name === undefined) return;
    if (node.type === 'TsTypeAliasDeclaration') types.set(name, node.typeAnnotation as SyntaxNode);
    const made = node.type === 'VariableDeclarator' ? (node.init as SyntaxNode | null) : node;
    if (Array.isArray(made?.params)) functions.set(name, made.params as SyntaxNode[]);
  });
  return { types, functions };
}

function nameRead(property: SyntaxNode): string {
  if (property.type !== 'Computed') return property.value as string;
  const key = property.expression as SyntaxNode;
  return key.type === 'StringLiteral' ? (key.value as string) : EVERY;
}

type Types = Map<string, SyntaxNode>;

/** `Config['queue']['mqtt']` is `queue.mqtt`, a list's item and `Pick`, `Omit` and `Readonly` of it the same; any other named type is its name. */
function accessesOfType(type: unknown, types: Types): Chain[] {
  const node = type as SyntaxNode | null | undefined;
  if (node === null || node === undefined) return [];
  if (node.type === 'TsTypeAnnotation') return accessesOfType(node.typeAnnotation, types);
  if (node.type === 'TsIntersectionType') return (node.types as SyntaxNode[]).flatMap((one) => accessesOfType(one, types));
  if (node.type === 'TsTypeReference') {
    const name = (node.typeName as { value?: string }).value ?? '';
    const alias = types.get(name);
    if (alias !== undefined) return accessesOfType(alias, types);
    const of = (node.typeParams as { params: SyntaxNode[] } | null)?.params[0];
    return ['Pick', 'Omit', 'Readonly', 'Partial'].includes(name) ? accessesOfType(of, types) : name === 'Config' ? [] : [[name]];
  }
  if (node.type !== 'TsIndexedAccessType') return [];
  const owners = accessesOfType(node.objectType, types);
  const name = (node.indexType as { literal?: { value?: unknown } }).literal?.value;
  return typeof name === 'string' ? (owners.length === 0 ? [[]] : owners).map((chain) => [...chain, name]) : owners;
}
