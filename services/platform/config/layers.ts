import { existsSync, readFileSync } from 'node:fs';
import { delimiter, isAbsolute, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { codeOf, messageOf } from '../errors.ts';
import { nearest } from './keys.ts';
import { type Problem, shown } from './problems.ts';
import { schema } from './schema.ts';
import { parseYaml } from './yaml.ts';

/** One set of settings that lies over the ones before it: a file, or a file's section for the environment. */
export interface Layer {
  file: string;
  /** True for `config/default.yaml`, whose values are called defaults. */
  isDefault: boolean;
  /** Whether its values are used. A section for another environment is only checked for wrong keys. */
  applies: boolean;
  value: unknown;
  /** The line of a key, or of the nearest section above it in the file. */
  lineOf(path: string): number;
}

const SHIPPED = fileURLToPath(new URL('../../../config/', import.meta.url));
const ENVIRONMENTS = ['development', 'production', 'demo'];

/**
 * Reads, from the weakest to the strongest: `default.yaml`, the environment's own file, and each of the user's files followed by its top-level section for the
 * environment. A file that is missing or is not YAML becomes a problem.
 */
export function readLayers(environment: string, files: readonly string[], problems: Problem[], folder = SHIPPED): Layer[] {
  const layers = readFile(join(folder, 'default.yaml'), environment, problems, true);
  const overlay = join(folder, `${environment}.yaml`);
  const hasOverlay = /^[\w-]+$/.test(environment) && existsSync(overlay);
  if (hasOverlay) layers.push(...readFile(overlay, environment, problems));
  const own = files.map((file) => readFile(file, environment, problems));
  layers.push(...own.flat());
  // The first layer of a file is its base; a second one that applies is its section for the environment.
  if (!hasOverlay && !own.some((parts) => parts.slice(1).some(({ applies }) => applies)))
    problems.push({
      code: 'config.unknown_environment',
      text: `environment ${shown(environment)} (STOCKMESH_ENV) has no file in config/ and no section in a file of yours; use one of ${ENVIRONMENTS.join(', ')}`,
    });
  return layers;
}

/** The user's files: those of the command line, else those of `STOCKMESH_CONFIG` (several are separated as in PATH). */
export function userFiles(files: readonly string[] | undefined, env: Readonly<Record<string, string | undefined>>): string[] {
  return (files ?? env.STOCKMESH_CONFIG?.split(delimiter) ?? []).filter((file) => file !== '');
}

function readFile(path: string, environment: string, problems: Problem[], isDefault = false): Layer[] {
  const file = displayed(path);
  let source: string;
  try {
    source = readFileSync(path, 'utf8');
  } catch (error) {
    const reason = codeOf(error) === 'ENOENT' ? 'no such file' : messageOf(error);
    problems.push({ code: 'config.missing_file', text: `${file}: cannot be read (${reason}); check --config and STOCKMESH_CONFIG` });
    return [];
  }
  const { value, lines } = parseYaml(source, file, problems);
  const top = value ?? {};
  if (!isMap(top)) {
    problems.push({ code: 'config.wrong_type', text: `${file}:1: must have a map with the key "job_processor", has ${shown(top)}` });
    return [];
  }
  const layer = (at: string, content: unknown, applies: boolean): Layer => ({
    file,
    isDefault,
    applies,
    value: content,
    lineOf: (path) => nearestLine(lines, path === '' ? at : `${at}.${path}`),
  });
  const layers = [layer('job_processor', top.job_processor, true)];
  for (const [name, section] of Object.entries(top)) {
    if (name === 'job_processor') continue;
    if (name !== environment && !ENVIRONMENTS.includes(name) && !(isMap(section) && 'job_processor' in section)) {
      problems.push({ code: 'config.unknown_key', text: `${file}:${lines.get(name)}: unknown key "${name}"; ${advice(name)}` });
      continue;
    }
    const wrapped = isMap(section) && 'job_processor' in section;
    layers.push(layer(wrapped ? `${name}.job_processor` : name, wrapped ? section.job_processor : section, name === environment));
  }
  return layers;
}

function advice(name: string): string {
  if (Object.hasOwn(schema.shape, name)) return `it belongs under "job_processor:"`;
  const near = nearest(name, ['job_processor', ...ENVIRONMENTS]);
  return near === undefined ? `the top level has "job_processor" and sections for environments` : `did you mean "${near}"?`;
}

function nearestLine(lines: ReadonlyMap<string, number>, path: string): number {
  for (let at = path; at !== ''; at = at.slice(0, Math.max(at.lastIndexOf('.'), 0))) {
    const line = lines.get(at);
    if (line !== undefined) return line;
  }
  return 1;
}

/** A path relative to the working folder, or absolute when it lies outside of it. */
function displayed(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith('..') || isAbsolute(short) ? path : short;
}

export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
