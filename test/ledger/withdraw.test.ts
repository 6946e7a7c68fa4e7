/** Users leave jobs that others want. Which slots are free follows from the limit of each test. */
import { expect, test } from 'vitest';
import { type Enqueued, enqueue } from '../../services/ledger/enqueue/enqueue.ts';
import { readLive } from '../../services/ledger/enqueue/join.ts';
import { idToBytes } from '../../services/ledger/id.ts';
import { claim } from '../../services/ledger/run/claim.ts';
import { fail } from '../../services/ledger/run/complete.ts';
import { withdraw } from '../../services/ledger/withdraw.ts';
import type { Database } from '../../services/platform/database/database.ts';
import { ledgerFixture, permanent, request } from './fixture.ts';
import { interleave } from './interleaving.ts';

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

test('the slot of a user who left the job that runs in it is free as soon as that attempt ends', async () => {
  const [id, next] = await on.add(ada, { user: 'ada', level: 2 });
  const { jobs } = await take();
  await withdraw(oneSlot(), id!, ['ada'], { reason: 'by hand', othersWant: async () => true });
  await fail(oneSlot(), 'worker-1', [{ job: jobs[0]!, error: permanent() }]);
  expect(await on.state(next!)).toBe('ready');
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

type Step = (db: Database) => Promise<unknown>;

/** Ada, who alone wants a job that waits or runs, leaves it while another asks for it: `order` says which of the two is stopped before each of its statements. */
async function leaveWhileJoined(state: 'ready' | 'running', asked: { user?: string }, order: (leave: Step, join: Step) => [Step, Step]) {
  for (let at = 0; ; at++) {
    const same = { symbol: 'MSFT', dedupeKey: `fetch:MSFT ${state} ${at}` };
    const [id] = await on.add({ ...same, user: 'ada' });
    if (state === 'running') await claim(on.ledger(), 'worker-1', 10);
    let answer: Enqueued | undefined;
    const [first, second] = order(
      (db) => withdraw(on.ledger({ db }), id!, ['ada'], { reason: 'by hand' }),
      async (db) => {
        [answer] = (await enqueue(on.ledger({ db }), [request({ ...same, ...asked })])) as Enqueued[];
      },
    );
    if (!(await interleave(on.db, at, first, second))) return;
    // What they were told about: live, and theirs.
    const { state: now, user_id } = await on.row(answer!.id);
    expect([at, now]).toEqual([at, expect.stringMatching(/^(ready|running)$/)]);
    if (asked.user === undefined)
      expect(user_id === null || (await on.count(`job_askers WHERE job_id = x'${answer!.id.replaceAll('-', '')}'`)) > 0).toBe(true);
    else expect(await on.count(`job_subscribers WHERE user_id = 'bob' AND job_id = x'${answer!.id.replaceAll('-', '')}'`)).toBe(1);
  }
}

test.each([
  ['waits', 'ready', 'a user', { user: 'bob' }],
  ['waits', 'ready', 'a schedule', {}],
  ['runs', 'running', 'a user', { user: 'bob' }],
] as const)('whoever asks for a job that %s while its only user leaves it has a live job: %s, %s', async (_, state, __, asked) => {
  await leaveWhileJoined(state, asked, (leave, join) => [leave, join]);
  await leaveWhileJoined(state, asked, (leave, join) => [join, leave]);
});

test('a caller that saw the job before its only user left it gets a new one', async () => {
  const [id] = await on.add(ada);
  const seen = (await readLive(on.db, new Set([ada.dedupeKey]))).get(ada.dedupeKey);
  await withdraw(on.ledger(), id!, ['ada'], { reason: 'by hand' });
  expect(await on.ask(request({ ...bob, seen }))).toMatchObject([{ outcome: 'queued', state: 'ready' }]);
});
