import { expect, test } from 'vitest';
import { createAnnouncer } from '../../../services/ledger/announce.ts';
import { claim } from '../../../services/ledger/run/claim.ts';
import { complete } from '../../../services/ledger/run/complete.ts';
import { openItems, recordItems } from '../../../services/ledger/run/items.ts';
import { systemClock } from '../../../services/platform/clock.ts';
import type { Draft } from '../../../services/platform/messages.ts';
import { silent } from '../../broker/peers.ts';
import { type Caller, gatewayMesh } from '../mesh.ts';
import { listen } from './event-source.ts';

const mesh = gatewayMesh({ 'gateway.events.heartbeat': 0.05, 'gateway.events.max_clients': 12 });
const events = (caller: Caller, query = '', headers: Record<string, string> = {}) =>
  listen(`${mesh.gateway.url}/v1/events${query}`, caller, headers);

const landed = (symbol: string, rows = 1): Draft<'data'> => ({
  symbol,
  kind: 'bars',
  source: 'yahoo_finance',
  as_of: '2026-03-03T16:00:00Z',
  rows,
});
const alert = (name: string): Draft<'alert'> => ({
  name,
  state: 'raised',
  value: 2,
  threshold: 1,
  since: '2026-03-03T16:00:00Z',
  text: `${name} is beyond`,
});
const stats: Draft<'stats'> = {
  at: '2026-03-03T16:00:00Z',
  depth: {},
  queues: [],
  rates: { enqueued_per_s: 0, completed_per_s: 0, failed_per_s: 0 },
  workers: { online: 0, slots: 0, busy: 0 },
  utilisation: 0,
};

const portfolio = {
  at: '2026-03-03T16:00:00Z',
  ...{ total: 1, queued: 0, fresh: 1, outdated: 0, missing: 0, unknown: 0, joined: 0 },
  text: 'all is fresh',
  jobs: [],
  skipped: [],
};

test('a client hears of jobs, their states, data, metrics and alerts as they happen', async () => {
  const source = await events(mesh.operator);
  await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', analyse: false });
  await mesh.bus.publish('data', landed('AAPL'));
  await mesh.bus.publish('stats', stats);
  await mesh.bus.publish('alert', alert('queue_depth'));
  await expect
    .poll(() => new Set(source.heard.map(({ event }) => event)))
    .toEqual(new Set(['hello', 'presence', 'job', 'status', 'data', 'stats', 'alert']));
  expect(source.of('job')).toMatchObject([{ type: 'fetch', symbol: 'AAPL' }]);
  expect(source.of('status')).toMatchObject([{ symbol: 'AAPL', state: 'ready' }]);
});

test('a new stream begins with the present metrics, alerts and instances', async () => {
  await mesh.bus.publish('alert', alert('job_age'));
  await mesh.bus.publish('stats', { ...stats, utilisation: 0.5 });
  const first = await events(mesh.operator);
  await expect.poll(() => first.of('stats').at(-1)).toMatchObject({ utilisation: 0.5 });
  const second = await events(mesh.operator);
  await expect.poll(() => second.of('presence').map(({ service }) => service)).toContain('gateway');
  expect(second.of('alert').map(({ name }) => name)).toContain('job_age');
  expect(second.of('stats')).toMatchObject([{ utilisation: 0.5 }]);
});

test('a client that comes back gets what it missed, once and in order', async () => {
  const first = await events(mesh.operator, '?types=data');
  await mesh.bus.publish('data', landed('AAPL', 1));
  await expect.poll(() => first.of('data').length).toBe(1);
  first.close();
  await mesh.bus.publish('data', landed('AAPL', 2));
  await mesh.bus.publish('data', landed('AAPL', 3));
  const other = await events(mesh.operator, '?types=data');
  await mesh.bus.publish('data', landed('AAPL', 4));
  await expect.poll(() => other.of('data').at(-1)?.rows).toBe(4);
  const second = await events(mesh.operator, '?types=data', { 'last-event-id': first.lastEventId! });
  await mesh.bus.publish('data', landed('AAPL', 5));
  await expect.poll(() => second.of('data').map(({ rows }) => rows)).toEqual([2, 3, 4, 5]);
});

test('who was away for longer than is known is told to read anew', async () => {
  const source = await events(mesh.operator, '', { 'last-event-id': '00000000-12' });
  await expect.poll(() => source.heard[0]?.event).toBe('reset');
});

test('types and symbol are filters', async () => {
  const source = await events(mesh.operator, '?types=data,status&symbol=msft');
  for (const symbol of ['AAPL', 'MSFT']) await mesh.bus.publish('data', landed(symbol));
  await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'MSFT', analyse: false });
  await expect
    .poll(() => source.heard.map(({ event, data }) => [event, data.symbol]))
    .toEqual([
      ['hello', undefined],
      ['data', 'MSFT'],
      ['status', 'MSFT'],
    ]);
});

test("a key of a user hears of that user's jobs, also of those that were there before, and of all data, and of nobody else's", async () => {
  const before = await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'OLD', user: 'alice', analyse: false });
  const source = await events(await mesh.caller('user:alice'));
  await expect.poll(() => source.heard.length).toBe(1);
  await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'BOBS', user: 'bob', analyse: false });
  await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'HEARD', user: 'alice', analyse: false });
  await mesh.operator.post(`/v1/jobs/${before.body.jobs[0].id}/cancel`);
  await mesh.bus.publish('stats', stats);
  await mesh.bus.publish('data', landed('AAPL'));
  await expect.poll(() => source.of('data').length).toBe(1);
  await expect
    .poll(() =>
      source
        .of('status')
        .map(({ symbol, state }) => `${symbol} ${state}`)
        .toSorted(),
    )
    .toEqual(['HEARD ready', 'OLD cancelled']);
  expect(source.of('job').map(({ symbol }) => symbol)).toEqual(['HEARD']);
  expect(source.heard.map(({ event }) => event)).not.toContain('stats');
});

test("a key of a user hears of that user's portfolio, and of nobody else's", async () => {
  const source = await events(await mesh.caller('user:alice'), '?types=portfolio');
  for (const user_id of ['bob', 'alice', 'carol', 'alice']) await mesh.bus.publish('portfolio', { ...portfolio, user_id });
  await expect.poll(() => source.of('portfolio').length).toBeGreaterThanOrEqual(2);
  expect(source.of('portfolio').map(({ user_id }) => user_id)).toEqual(['alice', 'alice']);
});

test('a key of a user hears neither how many positions are ranked nor why another user made a job urgent', async () => {
  const announcer = createAnnouncer({ bus: mesh.bus, sql: mesh.db, clock: systemClock, log: silent });
  const asked = (user: string, priority: number) =>
    mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', user, priority, analyse: false });
  const { id } = (await asked('alice', 5)).body.jobs[0];
  await asked('bob', 1);
  const source = await events(await mesh.caller('user:alice'), '?types=job,data');
  await announcer.ring([id]);
  await mesh.bus.publish('data', { ...landed('AAPL', 12), kind: 'ranks' });
  await expect.poll(() => [source.of('job').length, source.of('data').length]).toEqual([1, 1]);
  expect(source.of('job')).toEqual([expect.not.objectContaining({ why: expect.anything() })]);
  expect(JSON.stringify(source.heard)).not.toMatch(/bob|triggered_by|score|rows/);
});

test('a state says where its job stands, and to a key of a user not who else asked first', async () => {
  const asked = (user: string) => mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', user, priority: 2, analyse: false });
  const { id } = (await asked('bob')).body.jobs[0];
  await asked('alice');
  const [all, own] = [await events(mesh.operator, '?types=status'), await events(await mesh.caller('user:alice'), '?types=status')];
  await mesh.operator.post(`/v1/jobs/${id}/cancel`);
  const cancelled = { id, state: 'cancelled', code: 'job.cancelled', queue: 'foreground', priority: 2 };
  await expect.poll(() => all.of('status')).toMatchObject([{ ...cancelled, user: 'bob' }]);
  await expect.poll(() => own.of('status')).toMatchObject([cancelled]);
  expect(JSON.stringify(own.heard)).not.toContain('bob');
});

test('an instance that is offline is no part of the present state', async () => {
  const instance = { service: 'worker', instance: 'gone', session: crypto.randomUUID(), version: '0.1.0', at: stats.at };
  const first = await events(mesh.operator, '?types=presence');
  const statesOfIt = () => first.of('presence').flatMap((told) => (told.instance === 'gone' ? [told.state] : []));
  for (const state of ['online', 'offline'] as const) await mesh.bus.publish('presence', { ...instance, state });
  await expect.poll(statesOfIt).toEqual(['online', 'offline']);
  const second = await events(mesh.operator, '?types=presence,data');
  await mesh.bus.publish('data', landed('AAPL'));
  await expect.poll(() => second.of('data').length).toBe(1);
  expect(second.of('presence').map((told) => told.instance)).not.toContain('gone');
});

test('more streams than are allowed are 503', async () => {
  const statuses = new Set<number>();
  for (let client = 0; client < 13; client++) statuses.add((await events(mesh.operator, '?types=alert')).status);
  expect(statuses).toEqual(new Set([200, 503]));
});

test('a quiet stream shows signs of life', async () => {
  const source = await events(mesh.operator, '?types=alert');
  await expect.poll(() => source.comments).toBeGreaterThan(2);
});

test('the stream of one job tells each state and its progress, and ends with it', async () => {
  const { body } = await mesh.operator.post('/v1/jobs', { type: 'batch_fetch', symbols: ['A', 'B'], analyse: false });
  const { id } = body.jobs[0];
  const source = await listen(`${mesh.gateway.url}/v1/jobs/${id}/events`, mesh.operator);
  const announcer = createAnnouncer({ bus: mesh.bus, sql: mesh.db, clock: systemClock, log: silent });
  const [job] = (await claim(mesh.ledger, 'w1', 1)).jobs;
  const change = { id, type: 'batch_fetch', symbol: null, attempt: 1, worker: 'w1' };
  await announcer.changed([{ ...change, state: 'running' }]);
  await expect.poll(() => source.of('state').at(-1)).toMatchObject({ state: 'running', worker: 'w1' });
  await openItems(mesh.ledger, id, ['A', 'B']);
  await mesh.db.transaction((tx) => recordItems(tx, mesh.ledger, id, [{ key: 'A', state: 'done' }]));
  await announcer.changed([{ ...change, state: 'running' }]);
  await expect.poll(() => source.of('progress').at(-1)).toMatchObject({ items: { done: 1, pending: 1, total: 2 } });
  const { changes } = await complete(mesh.ledger, 'w1', [{ job: job! }]);
  await announcer.changed(changes);
  await source.ended;
  expect(source.of('state').map(({ state }) => state)).toEqual(['ready', 'running', 'completed']);
  expect(source.of('end')).toEqual([{ id, state: 'completed' }]);
});

test('the stream of a job that has ended tells how, and ends', async () => {
  const { body } = await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', analyse: false });
  await mesh.operator.post(`/v1/jobs/${body.jobs[0].id}/cancel`);
  const source = await listen(`${mesh.gateway.url}/v1/jobs/${body.jobs[0].id}/events`, mesh.operator);
  await source.ended;
  expect(source.heard.map(({ event, data }) => [event, data.state])).toEqual([
    ['state', 'cancelled'],
    ['end', 'cancelled'],
  ]);
});

test('the end of a job is told although no message was', async () => {
  const { body } = await mesh.operator.post('/v1/jobs', { type: 'fetch', symbol: 'AAPL', analyse: false });
  const source = await listen(`${mesh.gateway.url}/v1/jobs/${body.jobs[0].id}/events`, mesh.operator);
  const [job] = (await claim(mesh.ledger, 'w1', 1)).jobs;
  await complete(mesh.ledger, 'w1', [{ job: job! }]);
  await source.ended;
  expect(source.of('end')).toMatchObject([{ state: 'completed' }]);
});

test('a client hears that the gateway has lost the broker, and that it has it again', async () => {
  const source = await events(mesh.operator);
  await expect.poll(() => source.of('hello')).toHaveLength(1);
  const bringBack = await mesh.takeBrokerAway();
  await expect.poll(() => source.of('broker')).toEqual([{ state: 'offline' }]);
  const later = await events(mesh.operator);
  await expect.poll(() => later.of('broker')).toEqual([{ state: 'offline' }]);
  await bringBack();
  await expect.poll(() => source.of('broker'), { timeout: 20_000 }).toEqual([{ state: 'offline' }, { state: 'online' }]);
});
