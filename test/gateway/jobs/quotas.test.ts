/** The quotas of waiting jobs, against the ledger. The numbers follow from the limits that each test sets. */
import { expect, test, vi } from 'vitest';
import { type Asker, createJobQuotas } from '../../../services/gateway/jobs/quotas.ts';
import { enqueueWith, type JobRequest } from '../../../services/ledger/enqueue/enqueue.ts';
import { idToBytes, newJobId } from '../../../services/ledger/id.ts';
import { ledgerFixture, request } from '../../ledger/fixture.ts';

const on = ledgerFixture();
const asker = (most: number, id = 'key:a'): Asker => ({ id, most, quota: `quota of ${id}` });

/** Submits requests of symbols, each a unit of its own, and gives the symbols that were admitted. */
async function ask(
  quotas: ReturnType<typeof createJobQuotas>,
  symbols: string[],
  askers: Asker[],
  unitOf = (index: number): unknown => index,
) {
  const requests = symbols.map((symbol): JobRequest => request({ symbol, dedupeKey: symbol }));
  const within = await quotas.admit(requests, () => askers, unitOf);
  const here = within.admitted.map((index) => requests[index]!);
  await on.ledger().db.transaction(async (tx) => within.record(tx, await enqueueWith(tx, on.ledger(), here)));
  within.done();
  return { symbols: here.map(({ symbol }) => symbol), refused: within.refused };
}

/** Another process, or the same one a second later: it knows no numbers yet. */
const fresh = () => createJobQuotas(on.ledger().db);

test('what is over the quota is refused, in order, with the quota and the way out', async () => {
  const { symbols, refused } = await ask(fresh(), ['A', 'B', 'C', 'D'], [asker(3)]);
  expect(symbols).toEqual(['A', 'B', 'C']);
  expect(refused).toMatchObject([
    {
      index: 3,
      code: 'quota.jobs',
      quota: 'quota of key:a',
      reason: 'key a has 3 jobs waiting, or would have (quota of key:a); ask again when some have run, or raise the limit',
    },
  ]);
});

test('jobs of earlier requests count, also in another process, until they run or end', async () => {
  await ask(fresh(), ['A', 'B'], [asker(3)]);
  expect((await ask(fresh(), ['C', 'D'], [asker(3)])).symbols).toEqual(['C']);
  const [job] = await on.take('worker-1', 1);
  expect((await ask(fresh(), ['E', 'F'], [asker(3)])).symbols).toEqual(['E']);
  expect(job).toBeDefined();
});

test('calls that are under way count', async () => {
  const quotas = fresh();
  const requests = ['A', 'B'].map((symbol) => request({ symbol }));
  const first = await quotas.admit(
    requests,
    () => [asker(3)],
    (index) => index,
  );
  const second = await quotas.admit(
    requests,
    () => [asker(3)],
    (index) => index,
  );
  expect([first.admitted, second.admitted]).toEqual([[0, 1], [0]]);
  // One that failed gives its places back.
  first.done();
  expect(
    (
      await quotas.admit(
        requests,
        () => [asker(3)],
        (index) => index,
      )
    ).admitted,
  ).toEqual([0, 1]);
});

test('a joined job counts for each who asked', async () => {
  await ask(fresh(), ['A', 'B'], [asker(2)]);
  await ask(fresh(), ['A', 'B'], [asker(2, 'key:b')]);
  expect(await on.count('job_states')).toBe(2);
  for (const id of ['key:a', 'key:b']) expect((await ask(fresh(), ['C'], [asker(2, id)])).symbols).toEqual([]);
  expect((await ask(fresh(), ['C'], [asker(2, 'key:c')])).symbols).toEqual(['C']);
});

test('whoever asks again for jobs that wait already takes no further place', async () => {
  await ask(fresh(), ['A', 'B', 'C'], [asker(4)]);
  expect((await ask(fresh(), ['A', 'B', 'C', 'D', 'E'], [asker(4)])).symbols).toEqual(['A', 'B', 'C', 'D']);
});

test('a request needs room in each of its quotas, and takes none of the others when one of them is used up', async () => {
  const quotas = fresh();
  expect((await ask(quotas, ['A', 'B', 'C'], [asker(5), asker(2, 'user:u')])).refused).toMatchObject([{ quota: 'quota of user:u' }]);
  expect((await ask(quotas, ['D', 'E', 'F', 'G'], [asker(5)])).symbols).toEqual(['D', 'E', 'F']);
});

test('requests that belong together are taken together or not at all, and a smaller one behind them may fit', async () => {
  expect((await ask(fresh(), ['A', 'B', 'C', 'D'], [asker(2)], (index) => [0, 1, 1, 2][index])).symbols).toEqual(['A', 'D']);
});

test('rows of jobs that have ended or were deleted are no part of the count, and are deleted where there are many', async () => {
  const ids = Array.from({ length: 3_500 }, (_, number) => [idToBytes(newJobId(number)), 'key:a']);
  await on.ledger().db.run('INSERT INTO job_askers (job_id, asker) VALUES ?', [ids]);
  await ask(fresh(), ['A', 'B'], [asker(3)]);
  expect((await ask(fresh(), ['C', 'D'], [asker(3)])).symbols).toEqual(['C']);
  expect(await on.count('job_askers')).toBe(3);
});

test('one request in the name of many users costs one look', async () => {
  const { db } = on.ledger();
  const users = Array.from({ length: 300 }, (_, number) => `user:${number}`);
  await ask(fresh(), ['A', 'B'], [asker(9, users[7])]);
  const quotas = createJobQuotas(db);
  const rows = vi.spyOn(db, 'rows');
  const requests = users.map((user) => request({ symbol: 'C', user }));
  const { refused } = await quotas.admit(
    requests,
    ({ user }) => [asker(2, user)],
    (index) => index,
  );
  expect(rows).toHaveBeenCalledTimes(1);
  expect(refused.map(({ index }) => index)).toEqual([7]);
});

test('within a second the numbers are read once, and while all is refused a few times', async () => {
  const { db } = on.ledger();
  const quotas = createJobQuotas(db);
  const rows = vi.spyOn(db, 'rows');
  for (const symbol of ['A', 'B', 'C']) await ask(quotas, [symbol], [asker(3)]);
  const looks = () => rows.mock.calls.filter(([sql]) => sql.includes('job_askers')).length;
  expect(looks()).toBe(1);
  const started = performance.now();
  for (let tries = 0; tries < 50; tries++)
    await quotas.admit(
      [request({ symbol: 'D' })],
      () => [asker(3)],
      (index) => index,
    );
  expect(looks()).toBeLessThanOrEqual(2 + (performance.now() - started) / 200);
  rows.mockRestore();
});
