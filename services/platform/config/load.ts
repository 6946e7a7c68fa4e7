import { COMMAND } from '../command-name.ts';
import { type Admitted, admit, type Origin, type Setting } from './admit.ts';
import { explain } from './explain.ts';
import { leaves, nearest, nearestKey } from './keys.ts';
import { readLayers, userFiles } from './layers.ts';
import { type Problem, refuse, shorten } from './problems.ts';
import { type Resolved, resolve, typedFor } from './resolve.ts';
import { type Config, schema } from './schema.ts';
import { type Environment, NOT_UTF8 } from './substitute.ts';

export type { Origin } from './admit.ts';
export type { Config } from './schema.ts';
export { leaseSeconds } from './schema.ts';

/** A key's value from the command line. `option` is the text that the user typed, for messages. An undefined value counts as not given. */
export interface Override {
  value: unknown;
  option: string;
}

export interface LoadOptions {
  /** The user's files, weakest first; without it those of `STOCKMESH_CONFIG`. */
  files?: readonly string[] | undefined;
  /** Which overlay and sections apply; without it `STOCKMESH_ENV`, else `development`. */
  environment?: string | undefined;
  env?: Environment | undefined;
  /** By key: `worker.max_concurrent_jobs`. Text becomes a number, boolean or list (split at commas) where the key wants one. */
  overrides?: Readonly<Record<string, Override>> | undefined;
  /** The job type by each name that `worker.supported_job_types` may use. Needed when a file sets that key. */
  jobTypes?: Readonly<Record<string, string>> | undefined;
  /** Where `default.yaml` and the overlays are; without it the ones shipped. */
  folder?: string | undefined;
}

export interface LoadedConfig {
  config: Config;
  environment: string;
  /** The origin of every key with a value. */
  origins: ReadonlyMap<string, Origin>;
  /** Logged once at the start. */
  warnings: readonly string[];
}

/**
 * Reads the configuration. Each of these overrides the ones before it, key by key (lists are replaced whole): `config/default.yaml`, the environment's file,
 * the user's files with their sections for the environment, command-line options. Then variables are filled in and every value is checked.
 * Errors: one `ConfigError` that lists all problems, a line each, with file, line, key, value and the way out.
 */
export function loadConfig(options: LoadOptions = {}): LoadedConfig {
  const env = options.env ?? process.env;
  const environment = options.environment ?? (env.STOCKMESH_ENV || 'development');
  const problems: Problem[] = [];
  const admitted: Admitted = { settings: new Map(), retired: [] };

  for (const layer of readLayers(environment, userFiles(options.files, env), problems, options.folder)) admit(layer, admitted, problems);
  override(options.overrides ?? {}, admitted, problems);
  const resolved = resolve(admitted, env, problems);
  const config = validate(resolved, admitted, environment, problems);
  if (config !== undefined)
    config.worker.supported_job_types = supportedTypes(config.worker.supported_job_types, options.jobTypes, resolved, problems);
  refuse(problems);
  return {
    config: freeze(config!) as Config,
    environment,
    origins: new Map([...resolved].map(([path, { origin }]) => [path, origin])),
    warnings: retiredWarning(admitted),
  };
}

function override(overrides: Readonly<Record<string, Override>>, { settings }: Admitted, problems: Problem[]): void {
  for (const [path, { value, option }] of Object.entries(overrides)) {
    if (value === undefined) continue;
    const node = leaves.get(path);
    if (node === undefined) {
      const near = nearest(path, leaves.keys()) ?? nearestKey('', path.slice(path.lastIndexOf('.') + 1), []);
      const wayOut = near === undefined ? `"${COMMAND} config show" lists all keys` : `did you mean "${near}"?`;
      problems.push({ code: 'config.unknown_key', place: `option ${shorten(option)}`, text: `unknown key "${shorten(path)}"; ${wayOut}` });
      continue;
    }
    if (typeof value === 'string' && value.includes(NOT_UTF8))
      problems.push({
        code: 'config.encoding',
        place: `option ${option}`,
        text: `${path}: the value holds bytes that are not UTF-8; write it in UTF-8`,
      });
    const setting: Setting = {
      value: typeof value === 'string' ? typedFor(value, node) : value,
      place: () => `option ${option}`,
      origin: `option ${option}`,
    };
    settings.set(path, [...(settings.get(path) ?? []), setting]);
  }
}

function validate(resolved: ReadonlyMap<string, Resolved>, { settings }: Admitted, environment: string, problems: Problem[]) {
  const tree: Record<string, unknown> = {};
  for (const [path, { value }] of resolved) plant(tree, path.split('.'), value);
  // Runs once in a process: compiling the schema (zod's default) takes 20 ms, interpreting it takes 5.
  const { data, error } = schema.safeParse(tree, { jitless: true });
  // A key without any value has been reported by now (its variable is unset, or default.yaml cannot be read), unless default.yaml lacks it.
  const known = problems.length > 0;
  const standard = (key: string) => settings.get(key)?.find(({ origin }) => origin === 'default');
  for (const issue of error?.issues ?? []) {
    const path = issue.path.join('.');
    const hasValue = [...resolved.keys()].some((key) => path === key || path.startsWith(`${key}.`) || key.startsWith(`${path}.`));
    if (hasValue || !known) problems.push(explain(issue, resolved, standard));
  }
  const simulated = resolved.get('stock_jobs.data_fetch.simulated.enabled');
  if (environment === 'production' && simulated?.value === true) {
    const text = 'simulated prices are not allowed in production; remove the key, or set STOCKMESH_ENV=demo';
    problems.push({
      code: 'config.simulated_in_production',
      place: simulated.place(),
      text: `stock_jobs.data_fetch.simulated.enabled: ${text}`,
    });
  }
  return data;
}

/** The types by their own names, each once. */
function supportedTypes(
  given: readonly string[],
  names: Readonly<Record<string, string>> | undefined,
  resolved: ReadonlyMap<string, Resolved>,
  problems: Problem[],
): string[] {
  if (given.length === 0) return [];
  if (names === undefined)
    throw new Error('loadConfig needs "jobTypes": worker.supported_job_types is set, and its names cannot be checked');
  for (const [index, name] of given.entries()) {
    if (Object.hasOwn(names, name)) continue;
    const path = ['worker', 'supported_job_types', index];
    problems.push(
      explain({ code: 'invalid_value', values: Object.keys(names), path, message: '', input: name }, resolved, () => undefined),
    );
  }
  return [...new Set(given.flatMap((name) => names[name] ?? []))];
}

function retiredWarning({ retired }: Admitted): string[] {
  if (retired.length === 0) return [];
  const named = retired.map(({ key, place, why }) => `${key} (${place}): ${why}`);
  return [`${retired.length} configured ${retired.length === 1 ? 'key has' : 'keys have'} no effect here: ${named.join('; ')}`];
}

function plant(tree: Record<string, unknown>, [name, ...rest]: string[], value: unknown): void {
  if (rest.length === 0) {
    tree[name!] = value;
    return;
  }
  tree[name!] ??= {};
  plant(tree[name!] as Record<string, unknown>, rest, value);
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(freeze);
  return value;
}
