/** Users leave jobs that others want. Which slots are free follows from the limit of each test. */
import { expect, test } from 'vitest';
import { idToBytes } from '../../services/ledger/id.ts';
import { claim } from '../../services/ledger/run/claim.ts';
import { withdraw } from '../../services/ledger/withdraw.ts';
import { ledgerFixture } from './fixture.ts';

const on = ledgerFixture();
const oneSlot = () => on.ledger({ slotsPerUser: 1 });
const shared = { symbol: 'MSFT', dedupeKey: 'fetch:MSFT' };
const ada = { ...shared, user: 'ada' };
const bob = { ...shared, user: 'bob' };
const take = () => claim(oneSlot(), 'worker-1', 10);

test('a job that waited for a slot of the last user, and that a receiver wants, runs without one', async () => {
  const [, id] = await on.add({ user: 'ada' }, ada);
  await take();
  expect(await on.row(id!)).toMatchObject({ state: 'blocked', blocked_on: 'slot' });
  const { outcome, changes } = await withdraw(oneSlot(), id!, ['ada'], { reason: 'by hand', othersWant: async () => true });
  expect(outcome).toBe('left');
  expect(changes).toMatchObject([{ id, state: 'ready' }]);
  expect((await take()).jobs).toMatchObject([{ id, userId: null }]);
});

test('a job that waited for a slot of two users goes on waiting for the one who stays', async () => {
  const [, , id] = await on.add({ user: 'ada' }, { user: 'bob' }, ada, bob);
  await take();
  await withdraw(oneSlot(), id!, ['ada'], { reason: 'by hand' });
  expect((await take()).jobs).toEqual([]);
  expect(await on.row(id!)).toMatchObject({ state: 'blocked', user_id: 'bob' });
  expect(await on.count("slot_waits WHERE user_id = 'ada'")).toBe(0);
});

test('the slot for which a job was made ready goes to the next job of the user who left', async () => {
  const [first, , id, , next] = await on.add(
    { user: 'ada' },
    { user: 'bob' },
    { ...ada, level: 2 },
    { ...bob, level: 2 },
    { user: 'ada', level: 3 },
  );
  const { jobs } = await take();
  await on.done(jobs.find((job) => job.id === first)!);
  expect(await on.row(id!)).toMatchObject({ state: 'ready', blocked_on: 'slot' });
  expect((await withdraw(oneSlot(), id!, ['ada'], { reason: 'by hand' })).changes).toMatchObject([{ id: next, state: 'ready' }]);
  expect((await take()).jobs).toMatchObject([{ id: next }]);
});

test.each([
  ['in a call of its own', () => [[ada], [shared]]],
  ['in the same call', () => [[ada, { ...shared, level: 5 }]]],
])('a job that a user asked for first and a schedule %s is not cancelled for the user', async (_, calls) => {
  let id: string | undefined;
  for (const requests of calls()) [id] = await on.add(...requests);
  expect((await withdraw(on.ledger(), id!, ['ada'], { reason: 'by hand' })).outcome).toBe('left');
  expect(await on.row(id!)).toMatchObject({ state: 'ready', user_id: null });
});

test('a job is not cancelled for a user while a receiver wants one that needs it', async () => {
  const [id, dependent] = await on.add(ada, { type: 'analysis', user: 'ada', after: ['fetch:MSFT'] });
  const wanted = async (_: unknown, ids: readonly Buffer[]) => ids.some((one) => one.equals(idToBytes(dependent!)));
  expect((await withdraw(on.ledger(), id!, ['ada'], { reason: 'by hand', othersWant: wanted })).outcome).toBe('left');
  expect(await on.state(dependent!)).toBe('blocked');
});
