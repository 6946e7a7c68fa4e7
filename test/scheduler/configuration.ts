import { type Config, loadConfig } from '../../services/platform/config/load.ts';

/** The shipped configuration with some keys set. */
export function configOf(changes: Record<string, unknown> = {}): Config {
  const overrides = Object.fromEntries(Object.entries(changes).map(([key, value]) => [key, { value, option: key }]));
  return loadConfig({ environment: 'development', env: {}, overrides }).config;
}
