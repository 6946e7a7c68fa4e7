import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { namesOf } from '../../../services/job-types/index.ts';
import { type LoadedConfig, type LoadOptions, loadConfig } from '../../../services/platform/config/load.ts';
import { ConfigError } from '../../../services/platform/errors.ts';

/** Writes files into a folder that goes away with the test; gives their paths. */
export function filesOf(...texts: string[]): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'config-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return texts.map((text, index) => {
    const path = join(folder, `${index + 1}.yaml`);
    writeFileSync(path, text);
    return path;
  });
}

/** Loads one file's text under the given environment variables, none by default. */
export function load(text: string, options: LoadOptions = {}): LoadedConfig {
  return loadConfig({ env: {}, files: filesOf(text), jobTypes: namesOf(), ...options });
}

/** What loading refuses, its folder cut off: code and lines. */
export function refusal(text: string, options: LoadOptions = {}): { code: string; lines: string[] } {
  try {
    load(text, options);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { code: error.code, lines: error.message.replaceAll(/\/\S*\/(\d\.yaml)/g, '$1').split('\n') };
  }
  throw new Error('it was accepted');
}
