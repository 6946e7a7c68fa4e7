import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // One private database server for the whole run: see test/support/database.ts for how a test gets its schema in it.
    globalSetup: ['test/support/global-setup.ts'],
    // Two cores: more workers only make the real databases and brokers wait for each other.
    maxWorkers: 2,
    testTimeout: 30_000,
    // A signal is waited for, not a time: this is only how long its absence is believed on a busy machine.
    expect: { poll: { timeout: 15_000 } },
    hookTimeout: 60_000,
  },
});
