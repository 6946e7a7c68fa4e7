import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const all = ['test/**/*.test.ts'];
/** They close what they open and change nothing global, so a worker takes one after the other and loads their modules once. */
const together = ['test/gateway/**/*.test.ts', 'test/market/**/*.test.ts', 'test/picks/**/*.test.ts'];

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
