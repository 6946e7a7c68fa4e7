/** Each fault of the database once; `npm run faults` repeats them. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isLong } from '../../support/long.ts';
import { CASES } from './cases.ts';
import { type DatabaseMesh, startDatabaseMesh } from './mesh.ts';

/** In the suite; the others are among the long trials. */
const SHORT = ['is read-only', 'KILL of each', 'KILL QUERY', 'in use dies', 'SIGTERM while the server is frozen'];

let mesh: DatabaseMesh;
beforeAll(async () => {
  mesh = await startDatabaseMesh(['database.statement_timeout=2']);
});
afterAll(() => mesh.stop());

const isShort = ({ name }: { name: string }): boolean => SHORT.some((part) => name.includes(part));

test.each(CASES.filter((one) => isLong || isShort(one)))(
  '$name: nothing is lost, nothing is done twice, nothing fails',
  { timeout: 120_000 },
  async ({ run }) => {
    const { sent, recoverySeconds: _, ...counts } = await run(mesh, 1, 100);
    expect(counts).toEqual({ done: sent, lost: 0, doubled: 0, failed: 0 });
  },
);
