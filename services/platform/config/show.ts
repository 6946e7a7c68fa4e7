import type { z } from 'zod';
import { inside, leaves } from './keys.ts';
import { isMap } from './layers.ts';
import type { LoadedConfig } from './load.ts';
import { placeText } from './problems.ts';

/** One key of `stockmesh config show`: its effective value and its origin. */
export interface ConfigRow {
  key: string;
  value: unknown;
  origin: string;
}

/** Every key in the order of the schema. A secret that is set is shown as `•••`, with its origin. */
export function describeConfig(
  { config, origins }: Pick<LoadedConfig, 'config' | 'origins'>,
  { secrets = 'hidden' }: { secrets?: 'hidden' | 'shown' } = {},
): ConfigRow[] {
  return [...leaves.keys()].map((key) => {
    const value = key.split('.').reduce<unknown>((section, name) => (section as Record<string, unknown>)[name], config);
    const shown = secrets === 'hidden' ? withoutSecrets(value, leaves.get(key)) : value;
    return { key, value: shown, origin: origins.has(key) ? placeText(origins.get(key)!) : 'given by the program' };
  });
}

/** A value with `•••` in place of each secret, those in the items of a list too. */
function withoutSecrets(value: unknown, node: z.ZodType | undefined): unknown {
  if (node === undefined || value === null || value === undefined) return value;
  if (node.meta()?.secret === true) return '•••';
  if (Array.isArray(value)) return value.map((item) => withoutSecrets(item, inside(node, '0')));
  return isMap(value)
    ? Object.fromEntries(Object.entries(value).map(([name, part]) => [name, withoutSecrets(part, inside(node, name))]))
    : value;
}

/** The output of `stockmesh config show --json`. Stable for scripts. */
export function configJson(loaded: LoadedConfig, options?: { secrets?: 'hidden' | 'shown' }) {
  return { environment: loaded.environment, warnings: loaded.warnings, keys: describeConfig(loaded, options) };
}
