import { isDeepStrictEqual } from 'node:util';
import { elementOf, join, leaves, nearestKey, type Shape, shapeOf } from './keys.ts';
import { isMap, type Layer } from './layers.ts';
import { isNamed, type Place, type Problem, placeText, shorten, shown } from './problems.ts';
import { ALIASES, RETIRED, retiredEntry } from './retired.ts';
import { schema } from './schema.ts';

/** A value that a file or option gives to a key, before substitution and validation. */
export interface Setting {
  value: unknown;
  /** Its file and line, or `option --set`, for messages. `below` is a path inside the value. */
  place(below?: string): Place;
  /** How a value without quotes is written in the file. */
  written?(below: string): string | undefined;
  origin: Origin;
}

/** Where an effective value comes from. */
export type Origin = { readonly file: string; readonly line: number } | 'default' | `environment ${string}` | `option ${string}`;

/** The settings of all layers: for each key its values, the weakest first. */
export interface Admitted {
  settings: Map<string, Setting[]>;
  /** The retired keys in the files: key, file and line, and reason. */
  retired: { key: string; place: string; why: string }[];
}

/** Adds a layer's settings, and reports its unknown and retired keys. */
export function admit(layer: Layer, admitted: Admitted, problems: Problem[]): void {
  /** The value and the spelling of each key that this layer has set. */
  const given = new Map<string, { value: unknown; spelling: string }>();

  const put = (path: string, value: unknown, spelling: string) => {
    const inside = (below: string) => (below === '' ? spelling : `${spelling}.${below}`);
    const place = (below = '') => ({ file: layer.file, line: layer.lineOf(inside(below)) });
    const earlier = given.get(path);
    if (earlier !== undefined && !isDeepStrictEqual(value, earlier.value)) {
      const other = `"${earlier.spelling}" (line ${layer.lineOf(earlier.spelling)})`;
      problems.push({
        code: 'config.conflicting_keys',
        place: place(),
        text: `"${spelling}" and ${other} are the same key with two values; keep one of them`,
      });
      return;
    }
    given.set(path, { value, spelling });
    if (!layer.applies) return;
    const origin = layer.isDefault ? 'default' : place();
    const written = (below: string) => layer.writtenAt(inside(below));
    admitted.settings.set(path, [...(admitted.settings.get(path) ?? []), { value, place, written, origin }]);
  };

  const walk = (value: Record<string, unknown>, shape: Shape, section: string) => {
    for (const [name, content] of Object.entries(value)) {
      const path = join(section, name);
      const isAlias = Object.hasOwn(ALIASES, path);
      if (!isAlias && isRetired(path, content)) continue;
      const node = Object.hasOwn(shape, name) ? shape[name] : undefined;
      const below = node === undefined ? foreignShape(path) : shapeOf(node);
      if (isAlias) put(ALIASES[path]!, content, path);
      else if (below !== undefined && isMap(content)) walk(content, below, path);
      else if (below !== undefined && content !== null) {
        const wrong = `is a section with keys of its own, got ${shown(content)}`;
        problems.push({ code: 'config.wrong_type', place: { file: layer.file, line: layer.lineOf(path) }, text: `${path}: ${wrong}` });
      } else if (below === undefined && node !== undefined) put(path, withoutRetiredItems(content, path), path);
      else if (below === undefined) problems.push(unknownKey(layer, section, name, isNamed(problems) ? siblingsOf(shape, section) : []));
    }
  };

  const isRetired = (path: string, value: unknown): boolean => {
    const entry = retiredEntry(path, value);
    if (entry === undefined) return false;
    if (layer.applies && (entry.unless === undefined || value !== entry.unless))
      admitted.retired.push({ key: path, place: placeText({ file: layer.file, line: layer.lineOf(path) }), why: entry.why });
    return true;
  };

  const withoutRetiredItems = (value: unknown, path: string): unknown => {
    if (!Array.isArray(value) || elementOf(leaves.get(path)!) === undefined) return value;
    return value.filter(
      (item, index) => !(isMap(item) && Object.entries(item).some(([name, part]) => isRetired(`${path}.${index}.${name}`, part))),
    );
  };

  if (isMap(layer.value)) walk(layer.value, schema.shape, '');
  else if (layer.value != null) {
    const text = `must have sections such as "worker:", has ${shown(layer.value)}`;
    problems.push({ code: 'config.wrong_type', place: { file: layer.file, line: layer.lineOf('') }, text });
  }
}

/** A section that only has other spellings or retired keys is read, and has no keys of its own. */
function foreignShape(path: string): Shape | undefined {
  return [...Object.keys(ALIASES), ...RETIRED.map(({ key }) => key)].some((key) => key.startsWith(`${path}.`)) ? {} : undefined;
}

function siblingsOf(shape: Shape, section: string): string[] {
  const spellings = Object.keys(ALIASES).filter((key) => section === '' || key.startsWith(`${section}.`));
  return [...Object.keys(shape), ...spellings.map((key) => (section === '' ? key : key.slice(section.length + 1)).split('.')[0]!)];
}

function unknownKey(layer: Layer, section: string, name: string, siblings: readonly string[]): Problem {
  const near = siblings.length === 0 ? undefined : nearestKey(section, name, siblings);
  const wayOut = near === undefined ? `known there: ${[...new Set(siblings)].join(', ')}` : `did you mean "${near}"?`;
  const path = join(section, name);
  const place = { file: layer.file, line: layer.lineOf(path) };
  return { code: 'config.unknown_key', place, text: `unknown key "${shorten(path)}"; ${wayOut}` };
}
