import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const all = ['test/**/*.test.ts'];
/**
 * They close what they open and leave nothing global changed, so a worker takes one after the other and loads their modules once. Not those of the ledger and of the
 * scheduler: a process gives ids that ascend, so after a file with a late clock the jobs of one with an early clock would be younger than they are.
 */
const FOLDERS =
  'test/{broker,client,gateway,history,job-types,logins,market,model,notifier,picks,platform,portfolio-priority,worker}/**/*.test.ts';
/** Their fixture makes its mesh when it is loaded. */
const LOADED_ANEW = ['test/job-types/llm-analysis/**'];
/** A module that is mocked must not have been loaded by a file before. */
const mocksModules = (file: string): boolean => /\bvi\.(do)?mock\(/i.test(readFileSync(file, 'utf8'));
const together = globSync(FOLDERS, { cwd: import.meta.dirname, exclude: LOADED_ANEW }).filter(
  (file) => !mocksModules(`${import.meta.dirname}/${file}`),
);

const common = {
  // For the workers and all that they start: what is compiled once is compiled for every file and every service.
  env: { NODE_COMPILE_CACHE: fileURLToPath(new URL('./node_modules/.cache/stockmesh', import.meta.url)) },
  testTimeout: 30_000,
  // A signal is waited for, not a time: this is only how long its absence is believed on a busy machine.
  expect: { poll: { timeout: 15_000 } },
  hookTimeout: 60_000,
};

export default defineConfig({
  test: {
    // One private database server for the whole run: see test/support/database.ts for how a test gets its schema in it.
    globalSetup: ['test/support/global-setup.ts'],
    // One more than the two cores: many tests wait for processes to start, end or time out. It took 258 s in place of 307.
    maxWorkers: 3,
    projects: [
      { test: { ...common, name: 'alone', include: all, exclude: together } },
      { test: { ...common, name: 'together', include: together, isolate: false } },
    ],
  },
});
