import type { z } from 'zod';
import { schema } from './schema.ts';

/** The schema as a tree of names: sections hold keys, keys hold values. */

export type Shape = Record<string, z.ZodType>;
export type Kind = 'number' | 'boolean' | 'list' | 'text' | 'map';

interface Definition {
  type: string;
  innerType?: z.ZodType;
  in?: z.ZodType;
  element?: z.ZodType;
  shape?: Shape;
}

const definition = (node: z.ZodType) => node.def as unknown as Definition;

/** The keys of a section; undefined for a key with a value. */
export function shapeOf(node: z.ZodType): Shape | undefined {
  return definition(node).shape;
}

export function isNullable(node: z.ZodType): boolean {
  return definition(node).type === 'nullable';
}

/** The kind to which a text from the environment or the command line is converted. */
export function kindOf(node: z.ZodType): Kind {
  const { type, innerType } = definition(node);
  if (type === 'nullable' || type === 'optional' || type === 'default') return kindOf(innerType!);
  if (type === 'number' || type === 'boolean') return type;
  // The one union that is not of numbers takes text as well.
  if (type === 'union')
    return (node.def as unknown as { options: z.ZodType[] }).options.every((option) => definition(option).type === 'literal')
      ? 'number'
      : 'text';
  return type === 'array' ? 'list' : type === 'object' ? 'map' : 'text';
}

/** The schema of a list's items; undefined where the schema is not a list. */
export function elementOf(node: z.ZodType): z.ZodType | undefined {
  const { element, innerType, in: input } = definition(node);
  if (element !== undefined) return element;
  const inner = innerType ?? input;
  return inner === undefined ? undefined : elementOf(inner);
}

/** Every key that holds a value, with its schema, in the order of the schema: `worker.poll_interval`. */
export const leaves: ReadonlyMap<string, z.ZodType> = new Map(walk(schema, ''));

function* walk(node: z.ZodType, path: string): Generator<[string, z.ZodType]> {
  const shape = shapeOf(node);
  if (shape === undefined) yield [path, node];
  else for (const [name, child] of Object.entries(shape)) yield* walk(child, join(path, name));
}

/** A path and a name in it. A name that could be taken for a path is in quotes as YAML writes them, so no two names have one path: `worker.'poll.interval'`. */
export function join(path: string, name: string | number): string {
  const part = typeof name === 'string' && (name === '' || /[.'?]/.test(name)) ? `'${name.replaceAll("'", "''")}'` : name;
  return path === '' ? String(part) : `${path}.${part}`;
}

/** Whether a key holds a secret. `path` may lead into the items of a list: `notify.routes.0.to.webhook.url`. */
export function isSecret(path: string): boolean {
  const key = leaves.has(path) ? path : [...leaves.keys()].find((leaf) => path.startsWith(`${leaf}.`));
  if (key === undefined) return false;
  const names = path.slice(key.length + 1).split('.');
  const node = key === path ? leaves.get(key) : names.reduce<z.ZodType | undefined>(inside, leaves.get(key));
  return node?.meta()?.secret === true;
}

/** The schema of a part of a value: an item of a list, or a field of a map. */
export function inside(node: z.ZodType | undefined, name: string): z.ZodType | undefined {
  if (node === undefined) return undefined;
  const { innerType, in: input } = definition(node);
  const inner = innerType ?? input;
  return inner === undefined ? (elementOf(node) ?? shapeOf(node)?.[name]) : inside(inner, name);
}

/** Every key that has an effect, those of list items as `scheduler.schedules[].cron`. Each must be read somewhere in the services. */
export function usedKeys(): string[] {
  return [...leaves].flatMap(([path, node]) => {
    const item = elementOf(node);
    return item !== undefined && shapeOf(item) ? [...walk(item, '')].map(([name]) => `${path}[].${name}`) : [path];
  });
}

/**
 * The known key most similar to `name` in section `section`: a sibling that differs in at most a third of its letters, else the same name in another section.
 * Undefined when there is none.
 */
export function nearestKey(section: string, name: string, siblings: Iterable<string>): string | undefined {
  const near = nearest(name, siblings);
  if (near !== undefined) return join(section, near);
  return (
    [...leaves.keys()].find((path) => path === name || path.endsWith(`.${name}`)) ?? sections().find((path) => path.endsWith(`.${name}`))
  );
}

function sections(): string[] {
  const all = [...leaves.keys()].flatMap((path) => path.split('.').map((_, depth, names) => names.slice(0, depth).join('.')));
  return [...new Set(all)];
}

/** The candidate nearest to `word` by edit distance, at most a third of its letters (and at least two) away. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  // No known name is as long, and the distance to each takes the product of the lengths.
  if (word.length > 100) return undefined;
  let best: string | undefined;
  let least = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word, candidate);
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

/** Levenshtein's distance: letters to insert, delete or replace. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}
