/** What is said of committed changes, and what is not said while the broker is away. */
import { expect, test } from 'vitest';
import { callWorkers, createAnnouncer } from '../../services/ledger/announce.ts';
import { type EnqueueAnswer, enqueue } from '../../services/ledger/enqueue/enqueue.ts';
import { newJobId } from '../../services/ledger/id.ts';
import type { Change } from '../../services/ledger/job.ts';
import type { Bus } from '../../services/platform/bus/bus.ts';
import { TransientError } from '../../services/platform/errors.ts';
import { encodeMessage } from '../../services/platform/messages.ts';
import { silent } from '../broker/peers.ts';
import { ledgerFixture, request } from './fixture.ts';

const on = ledgerFixture();
type Said = Record<string, unknown>;

/** An announcer whose messages are kept, checked as the bus does; `refuse` fails a message before it is kept. */
function announcing(refuse: (kind: string) => Error | undefined = () => undefined) {
  const said: [kind: string, message: Said][] = [];
  const lines: string[] = [];
  const bus = {
    state: 'online' as Bus['state'],
    publish: async (kind: 'job', message: never) => {
      const error = refuse(kind);
      if (error !== undefined) throw error;
      encodeMessage(kind, message);
      said.push([kind, message]);
    },
  };
  const log = Object.assign(Object.create(silent), { warn: (_: unknown, text: string) => lines.push(text) });
  const announcer = createAnnouncer({ bus: bus as unknown as Pick<Bus, 'publish' | 'state'>, sql: on.db, clock: on.clock, log });
  const of = (kind: string): Said[] => said.flatMap(([one, message]) => (one === kind ? [message] : []));
  return { announcer, bus, said, of, lines };
}

const change = (more: Partial<Change> = {}): Change => ({
  ...{ id: newJobId(Date.now()), type: 'fetch', symbol: 'AAPL', state: 'completed', attempt: 2 },
  ...more,
});

test('a new job is announced with all that a worker and a person need, and its state with it', async () => {
  const { announcer, of } = announcing();
  const answers = await on.ask({
    ...{ symbol: 'BRK.B', level: 5, score: 0.123456, user: 'ada', triggeredBy: 'login' },
    why: { text: 'a login' },
    payload: { symbol: 'BRK.B' },
  });
  await announcer.enqueued(answers);
  const { id } = answers[0] as { id: string };
  const about = { id, type: 'fetch', symbol: 'BRK.B' };
  expect(of('job')).toEqual([
    {
      ...about,
      ...{ queue: 'background_fetch', priority: 5, score: 0.1235, why: { text: 'a login' }, triggered_by: 'login', user: 'ada' },
      enqueued_at: '2026-06-02T14:00:00.000Z',
    },
  ]);
  expect(of('status')).toEqual([
    { ...about, ...{ queue: 'background_fetch', priority: 5, user: 'ada' }, state: 'ready', attempt: 0, at: '2026-06-02T14:00:00.000Z' },
  ]);
});

test('one that is announced again says the same as at first, and whose request gave it its priority', async () => {
  const { announcer, of } = announcing();
  const many = Array.from({ length: 501 }, (_, index) => `S${index}`);
  const answers = await on.ask({ type: 'batch_fetch', symbol: undefined, payload: { symbols: many } }, { user: 'ada', score: 0.7 });
  await announcer.enqueued(answers);
  const first = of('job');
  await announcer.ring(answers.map((answer) => (answer as { id: string }).id));
  const again = of('job').slice(first.length);
  // The most urgent one first.
  expect(again).toEqual(
    first.toReversed().map((job) => (job.user === undefined ? job : { ...job, why: { ...(job.why as object), user: 'ada' } })),
  );
  expect(first[0]).not.toHaveProperty('symbol');
  expect(first[0]).not.toHaveProperty('user');
  expect(first[0]?.symbols).toEqual(many.slice(0, 500));
});

test('of what was asked for only new jobs are announced, each once', async () => {
  const { announcer, of } = announcing();
  const full = { ...on.ledger().queues, foreground: { maxJobs: 1, ttlSeconds: 300 } };
  const same = { dedupeKey: 'fetch:AAPL' };
  const answers: EnqueueAnswer[] = await enqueue(on.ledger({ queues: full }), [same, same, {}].map(request));
  expect(answers.map(({ outcome }) => outcome)).toEqual(['queued', 'queued', 'refused']);
  answers.push(...(await on.ask(same)));
  await announcer.enqueued(answers);
  expect([of('job').length, of('status').length]).toEqual([1, 1]);
});

test('a change is published with who made it and why, cut to what a message takes; a job that became ready is announced too', async () => {
  const { announcer, of } = announcing();
  const [ready] = await on.add({});
  await announcer.changed([
    change({ id: ready!, state: 'ready', worker: 'w1', reason: 'x'.repeat(2_100) }),
    change({ symbol: null, state: 'failed' }),
  ]);
  const at = '2026-06-02T14:00:00.000Z';
  expect(of('status')).toEqual([
    { id: ready, type: 'fetch', symbol: 'AAPL', state: 'ready', attempt: 2, worker: 'w1', reason: 'x'.repeat(2_000), at },
    { id: expect.any(String), type: 'fetch', state: 'failed', attempt: 2, at },
  ]);
  expect(of('job').map(({ id }) => id)).toEqual([ready]);
});

test('while the broker is away nothing of a change is published, and nothing is read for it', async () => {
  const { announcer, bus, said } = announcing();
  const [id] = await on.add({});
  bus.state = 'offline';
  await announcer.changed([change({ id: id!, state: 'ready' })]);
  await announcer.ring([id!]);
  expect(said).toEqual([]);
});

test('what the broker does not take is counted by its reason and logged once, and the rest is published', async () => {
  const { announcer, of, lines } = announcing((kind) => (kind === 'job' ? new TransientError('bus.timeout', 'no answer') : undefined));
  await announcer.enqueued(await on.ask({}, {}));
  await announcer.enqueued(await on.ask({}));
  expect(of('status')).toHaveLength(3);
  expect([...announcer.missed]).toEqual([['bus.timeout', 3]]);
  expect(lines).toEqual(['no answer; jobs are found by polling meanwhile']);
});

test('a message that can never be sent is a defect, and not counted as missed', async () => {
  const { announcer } = announcing(() => new TypeError('not a message'));
  await expect(announcer.changed([change()])).rejects.toThrow('not a message');
  expect([...announcer.missed]).toEqual([]);
});

test.each([
  ['ready calls the workers', {}, 1],
  ['due later calls nobody', { runAt: new Date('2026-06-02T15:00:00Z') }, 0],
  ['joined to a live one calls nobody', { dedupeKey: 'fetch:LIVE' }, 0],
])('the commit of a job that is %s', async (_, changes, calls) => {
  await on.ask({ dedupeKey: 'fetch:LIVE' });
  let called = 0;
  await enqueue(on.ledger({ coming: () => called++ }), [request(changes)]);
  expect(called).toBe(calls);
});

test('workers are called at once, at most every 10 ms, and not while there is no broker', () => {
  let ms = 0;
  let calls = 0;
  const bus = { state: 'online' as Bus['state'], publish: async () => void calls++ };
  const call = callWorkers(bus, () => ms);
  const counts = [0, 1, 9, 10, 19, 20].map((at) => {
    ms = at;
    call();
    return calls;
  });
  expect(counts).toEqual([1, 1, 1, 2, 2, 3]);
  bus.state = 'offline';
  ms = 40;
  call();
  expect(calls).toBe(3);
});
