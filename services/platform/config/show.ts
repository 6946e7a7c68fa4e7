import { isSecret, leaves } from './keys.ts';
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
    const hidden = secrets === 'hidden' && isSecret(key) && value !== null;
    return { key, value: hidden ? '•••' : value, origin: origins.has(key) ? placeText(origins.get(key)!) : 'given by the program' };
  });
}

/** The output of `stockmesh config show --json`. Stable for scripts. */
export function configJson(loaded: LoadedConfig, options?: { secrets?: 'hidden' | 'shown' }) {
  return { environment: loaded.environment, warnings: loaded.warnings, keys: describeConfig(loaded, options) };
}
