/** When a process that stops gives up a database. Its waits are over at once; the answers to its probes are the test's. */
import { beforeEach, expect, test, vi } from 'vitest';
import type { Database } from '../../../services/platform/database/database.ts';
import { giveUpWhenSilent } from '../../../services/platform/database/give-up.ts';

/** Milliseconds of the waits so far. */
const waits: number[] = [];
vi.mock('node:timers/promises', async (original) => ({
  ...(await original<typeof import('node:timers/promises')>()),
  setTimeout: async (ms: number) => {
    waits.push(ms);
    // A probe that is answered is answered before its time is over.
    await new Promise((resolve) => setImmediate(resolve));
  },
}));
beforeEach(() => {
  waits.length = 0;
});

/** The number of probes after which the database was given up; undefined when all were made and it was not. */
async function givenUpAfter(probes: ('written' | 'refused' | 'silent')[], afterMs = 0): Promise<number | undefined> {
  const over = Promise.withResolvers<number | undefined>();
  let made = 0;
  const stop = giveUpWhenSilent(
    {
      async run() {
        const answer = probes[made++];
        if (answer === undefined) over.resolve(undefined);
        if (answer === 'silent') await new Promise(() => {});
        if (answer === 'refused') throw new Error('read-only');
        return { affectedRows: 1 };
      },
      giveUp: () => over.resolve(made),
    } as unknown as Database,
    afterMs,
  );
  const result = await over.promise;
  stop();
  return result;
}

test('two probes in a row that are not answered with a write give it up', async () => {
  expect(await givenUpAfter(['written', 'written', 'silent', 'refused', 'written'])).toBe(4);
});

test('one that is missed between others does not', async () => {
  expect(await givenUpAfter(['silent', 'written', 'refused', 'written', 'silent', 'written'])).toBeUndefined();
});

test('the first probe is made after the time that the work has, at once where that is over', async () => {
  await givenUpAfter(['silent', 'silent'], 1_500);
  expect(waits[0]).toBe(1_500);
  waits.length = 0;
  await givenUpAfter(['silent', 'silent'], -500);
  expect(waits[0]).toBe(0);
});

test('whoever has ended the watch keeps the database', async () => {
  let givenUp = false;
  const probed = Promise.withResolvers<void>();
  const db = {
    async run() {
      probed.resolve();
      throw new Error('read-only');
    },
    giveUp() {
      givenUp = true;
    },
  };
  const stop = giveUpWhenSilent(db as unknown as Database, 0);
  await probed.promise;
  stop();
  for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve));
  expect(givenUp).toBe(false);
});
