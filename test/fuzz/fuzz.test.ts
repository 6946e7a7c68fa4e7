/** The short form of `npm run fuzz`: half a minute of the same inputs each time, in a process of its own, whose memory is measured. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { Fault, Row } from './run.ts';
import { TARGETS } from './targets/all.ts';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));

interface Found {
  inputs: number;
  targets: Row[];
  faults: Fault[];
}

const found = await new Promise<Found>((resolve, reject) => {
  execFile(process.execPath, [MAIN, '--seed', '8', '--seconds', '25', '--json'], { maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
    // It ends with 1 when there are faults, which the document names.
    if (stdout === '') reject(new Error(stderr, { cause: error }));
    else resolve(JSON.parse(stdout) as Found);
  });
});

test.each(TARGETS.map(({ name }) => name))('%s: none ends the process, takes too long, leaks, or is judged wrongly', (name) => {
  expect(found.faults.filter(({ target }) => target === name)).toEqual([]);
});

test.each(TARGETS.map(({ name }) => name))('%s: some are accepted and some are refused', (name) => {
  const row = found.targets.find(({ target }) => target === name);
  expect(row).toMatchObject({ accepted: expect.any(Number), refused: expect.any(Number) });
  expect(Math.min(row!.accepted, row!.refused)).toBeGreaterThan(0);
});
