import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { delimiter, isAbsolute, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { codeOf, messageOf } from '../errors.ts';
import { decodeFile } from '../text/encoding.ts';
import { join as joinPath, nearest } from './keys.ts';
import { isNamed, type Problem, shorten, shown } from './problems.ts';
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
  /** How a value without quotes is written in the file; undefined for all others. */
  writtenAt(path: string): string | undefined;
}

const SHIPPED = fileURLToPath(new URL('../../../config/', import.meta.url));
const ENVIRONMENTS = ['development', 'production', 'demo'];
/** Bytes of a configuration file: twenty times the largest that is shipped. */
const LARGEST = 1 << 20;

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
  const text = readText(path, file, problems);
  if (text === undefined) return [];
  const { value, lines, written } = parseYaml(text, file, problems);
  const top = value ?? {};
  if (!isMap(top)) {
    problems.push({
      code: 'config.wrong_type',
      place: { file, line: 1 },
      text: `must have a map with the key "job_processor", has ${shown(top)}`,
    });
    return [];
  }
  const layer = (at: string, content: unknown, applies: boolean): Layer => ({
    file,
    isDefault,
    applies,
    value: content,
    lineOf: (path) => nearestLine(lines, path === '' ? at : `${at}.${path}`),
    writtenAt: (path) => written.get(path === '' ? at : `${at}.${path}`),
  });
  const layers = [layer('job_processor', top.job_processor, true)];
  for (const [name, section] of Object.entries(top)) {
    if (name === 'job_processor') continue;
    if (name !== environment && !ENVIRONMENTS.includes(name) && !(isMap(section) && 'job_processor' in section)) {
      problems.push({
        code: 'config.unknown_key',
        place: { file, line: nearestLine(lines, joinPath('', name)) },
        text: `unknown key "${shorten(name)}"; ${isNamed(problems) ? advice(name) : ''}`,
      });
      continue;
    }
    const wrapped = isMap(section) && 'job_processor' in section;
    const at = joinPath('', name);
    layers.push(layer(wrapped ? joinPath(at, 'job_processor') : at, wrapped ? section.job_processor : section, name === environment));
  }
  return layers;
}

/** The text of a file; undefined when it cannot be read, which is a problem then. */
function readText(path: string, file: string, problems: Problem[]): string | undefined {
  const refuse = (code: string, text: string, line?: number): undefined => {
    problems.push({ code, place: line === undefined ? file : { file, line }, text });
  };
  let bytes: Buffer;
  try {
    bytes = readStart(path, LARGEST + 1);
  } catch (error) {
    const reason = codeOf(error) === 'ENOENT' ? 'no such file' : codeOf(error) === 'EISDIR' ? 'it is a folder' : messageOf(error);
    return refuse('config.missing_file', `cannot be read (${reason}); check --config and STOCKMESH_CONFIG`);
  }
  if (bytes.length > LARGEST)
    return refuse(
      'config.too_large',
      `is larger than ${LARGEST} bytes, so it is hardly a configuration file; check --config and STOCKMESH_CONFIG`,
    );
  const read = decodeFile(bytes);
  return 'text' in read ? read.text : refuse('config.encoding', `byte ${read.byte} ${read.fault}`, read.line);
}

/** At most so many bytes: a device or a pipe may never end. */
function readStart(path: string, most: number): Buffer {
  const descriptor = openSync(path, 'r');
  try {
    const parts: Buffer[] = [];
    for (let left = most; left > 0; ) {
      const part = Buffer.alloc(Math.min(left, 65_536));
      const size = readSync(descriptor, part);
      if (size === 0) break;
      parts.push(part.subarray(0, size));
      left -= size;
    }
    return Buffer.concat(parts);
  } finally {
    closeSync(descriptor);
  }
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
