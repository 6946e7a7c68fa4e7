import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { usedKeys } from '../../../services/platform/config/keys.ts';

const ROOT = new URL('../../..', import.meta.url).pathname;

/** Code without comments, of everything but the configuration itself. */
function sources(): string[] {
  return ['services', 'broker', 'sql'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter(
        (file) => /\.tsx?$/.test(file) && !file.includes('node_modules') && !join(folder, file).startsWith('services/platform/config/'),
      )
      .map((file) => readFileSync(join(ROOT, folder, file), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|(?<!:)\/\/.*$/gm, '')),
  );
}

/** Sections that are handed over whole: what stands beside their keys in place of their name. */
const HANDED_OVER: Record<string, string> = { logging: 'createLogger', component_logs: 'componentLogger' };

/**
 * Keys that no code reads: none has their name as a property (`.name`, `{ name`, `'name'`). A name that several keys share, or that is an everyday word, must
 * stand in a file that also mentions the key's section.
 */
function unread(keys: readonly string[], code: readonly string[]): string[] {
  const names = keys.map((key) => key.split('.').at(-1)!);
  return keys.filter((key) => {
    const [name, section] = key.replace('[]', '').split('.').reverse() as [string, string];
    const telling = name.includes('_') && names.filter((other) => other === name).length === 1;
    const read = new RegExp(`(?:\\.|[{,']\\s*)${name}\\b`);
    const beside = new RegExp(`\\b${HANDED_OVER[section] ?? section}\\b`);
    return !code.some((text) => read.test(text) && (telling || beside.test(text)));
  });
}

test('a key that no code reads is found', () => {
  const code = ['const { max_retries, retry_delay } = config.jobs;', 'config.monitoring.port', 'row.name'];
  const keys = [
    'jobs.max_retries',
    'stock_jobs.data_fetch.max_retries',
    'jobs.retry_delay',
    'monitoring.port',
    'worker.name',
    'worker.batch.wait',
  ];
  expect(unread(keys, code)).toEqual(['stock_jobs.data_fetch.max_retries', 'worker.name', 'worker.batch.wait']);
});

test('every key of the configuration is read somewhere in the services', () => {
  // Ranking takes its rules by computed names; test/market/options/rules-used.test.ts changes each of them.
  const named = usedKeys().filter((key) => !key.startsWith('ranking.rules.') || key === 'ranking.rules.risk_free_rate');
  expect(unread(named, sources())).toEqual([]);
});
