/** Who is told of what, when, and how many events one message is. */
import { expect, test, vi } from 'vitest';
import { idToBytes, newJobId } from '../../services/ledger/id.ts';
import { changeTold } from '../../services/platform/notify/users.ts';
import { NOON, notifierMesh } from './notifier-mesh.ts';

const mesh = await notifierMesh();
const soon = { timeout: 20_000, interval: 20 };
const route = { name: 'operators', on: ['alert.raised', 'alert.cleared', 'job.failed'], to: { email: ['ops@example.com'] } };
const subjects = () => mesh.mail.received.map(({ mail }) => mail.subject);
const alert = (name: string, more: object = {}) => ({
  subject: `alert:${name}`,
  details: { alert: name, text: `${name} is wrong` },
  ...more,
});
/** All events are routed, and what is due at the test's time is sent. */
async function settled(): Promise<void> {
  await vi.waitFor(async () => {
    expect(await mesh.db.rows('SELECT 1 FROM notify_events WHERE routed = 0')).toEqual([]);
    const due = await mesh.db.rows("SELECT 1 FROM notify_messages WHERE state IN ('open', 'sending') AND due_at <= ?", [
      new Date(mesh.clock.now().epochMilliseconds),
    ]);
    expect(due).toEqual([]);
    expect((await mesh.messages()).filter(({ state }) => state === 'sending')).toEqual([]);
  }, soon);
}

test('a route is told of its events only, and of none below its severity', async () => {
  await mesh.start([{ ...route, on: ['alert.raised'], min_severity: 'critical' }]);
  await mesh.commit(alert('a'), alert('b', { severity: 'critical' }), alert('c', { severity: 'critical', name: 'alert.cleared' }));
  await settled();
  expect(subjects()).toEqual(['[stockmesh] CRITICAL: alert b']);
});

test('many events of a group become one message, which says how many they are', async () => {
  await mesh.start([{ ...route, group_by: ['name'], wait: 30 }]);
  await mesh.commit(
    ...Array.from({ length: 60 }, (_, index) => ({
      name: 'job.failed' as const,
      subject: `job:${index}`,
      details: { type: 'fetch', symbol: `S${index}` },
    })),
  );
  await vi.waitFor(async () => expect(await mesh.messages()).toMatchObject([{ state: 'open', events: 60 }]), soon);
  expect(mesh.mail.received).toEqual([]);
  mesh.clock.advance({ seconds: 31 });
  await settled();
  expect(subjects()).toEqual(['[stockmesh] fetch job of S0 failed and 59 more']);
  expect(mesh.mail.received[0]?.mail.text).toContain('10 more events of this kind are not shown');
});

test('an event that comes after its group was sent begins another message', async () => {
  await mesh.start([{ ...route, group_by: ['name'], wait: 0 }]);
  await mesh.commit(alert('a'));
  await settled();
  await mesh.commit(alert('a', { name: 'alert.cleared' }));
  await settled();
  expect(subjects()).toEqual(['[stockmesh] alert a', '[stockmesh] alert a is over']);
});

test('in quiet hours nobody is disturbed but by what is critical; the rest comes in the morning', async () => {
  // Noon in UTC is 14:00 in Vienna.
  const quiet = { from: '13:00', to: '07:00', time_zone: 'Europe/Vienna' };
  await mesh.start([{ ...route, quiet }]);
  await mesh.commit(alert('mild'), alert('bad', { severity: 'critical' }));
  await settled();
  expect(subjects()).toEqual(['[stockmesh] CRITICAL: alert bad']);
  expect((await mesh.messages()).filter(({ state }) => state === 'open')).toMatchObject([{ due_at: new Date('2026-06-03T05:00:00Z') }]);
  mesh.clock.set('2026-06-03T05:00:00Z');
  await settled();
  expect(subjects()).toEqual(['[stockmesh] CRITICAL: alert bad', '[stockmesh] alert mild']);
});

test('an alert that lasts is told again after each interval, until it is cleared', async () => {
  await mesh.db.run("INSERT INTO alerts (name, state, value, threshold, since, text) VALUES ('a', 'raised', 1, 0, ?, 'a is wrong')", [
    new Date(NOON),
  ]);
  await mesh.start([{ ...route, repeat: 600 }]);
  await mesh.commit(alert('a'));
  await settled();
  for (const times of [2, 3]) {
    mesh.clock.advance({ seconds: 601 });
    await vi.waitFor(() => expect(mesh.mail.received).toHaveLength(times), soon);
  }
  await mesh.db.transaction(async (tx) => void (await tx.run("UPDATE alerts SET state = 'cleared'")));
  await mesh.commit(alert('a', { name: 'alert.cleared' }));
  await settled();
  mesh.clock.advance({ seconds: 601 });
  await settled();
  expect(subjects()).toEqual([
    '[stockmesh] alert a',
    '[stockmesh] alert a still lasts',
    '[stockmesh] alert a still lasts',
    '[stockmesh] alert a is over',
  ]);
});

test('beyond the daily cap nothing is sent, the last message says so, and what is critical is sent all the same', async () => {
  await mesh.start([route], { 'notify.daily_cap': 2 });
  for (const name of ['a', 'b', 'c']) {
    await mesh.commit(alert(name));
    await settled();
  }
  await mesh.commit(alert('d', { severity: 'critical' }));
  await settled();
  expect(subjects()).toEqual(['[stockmesh] alert a', '[stockmesh] alert b', '[stockmesh] CRITICAL: alert d']);
  expect(mesh.mail.received[1]?.mail.text).toContain('the last message for 24 hours');
  expect((await mesh.messages()).filter(({ state }) => state === 'suppressed')).toMatchObject([
    { last_error: expect.stringContaining('notify.daily_cap') },
  ]);
  mesh.clock.advance({ hours: 25 });
  await mesh.commit(alert('e'));
  await settled();
  expect(subjects().at(-1)).toBe('[stockmesh] alert e');
});

async function jobOf(users: readonly string[]): Promise<string> {
  const id = newJobId(Date.parse(NOON));
  const at = new Date(NOON);
  await mesh.db.run(
    `INSERT INTO jobs (id, queue, priority, max_attempts, type, symbol, user_id, enqueued_at, payload, why, triggered_by) VALUES (?, 'background_fetch', 50000, 3, 'history', 'AAPL', ?, ?, '{}', '{}', 'user')`,
    [idToBytes(id), users[0], at],
  );
  for (const user of users.slice(1))
    await mesh.db.run('INSERT INTO job_subscribers (job_id, user_id) VALUES (?, ?)', [idToBytes(id), user]);
  return id;
}
const requester = { name: 'requester', on: ['history.ended'], to: { requester: true } };
const ended = (id: string) => ({
  name: 'history.ended' as const,
  severity: 'info' as const,
  subject: `job:${id}`,
  details: { job_id: id, type: 'history', symbol: 'AAPL', state: 'completed' },
});
const setUser = (user: string, change: Parameters<typeof changeTold>[2]) =>
  mesh.db.transaction((tx) => changeTold(tx, user, change, new Date(NOON)));

test('everybody who waits for a job is told of its end, at an address of their own', async () => {
  await setUser('alice', { email: 'alice@example.com' });
  const id = await jobOf(['alice', 'bob@example.com']);
  await mesh.start([requester]);
  await mesh.commit(ended(id));
  await settled();
  expect(mesh.mail.received.map(({ to, mail }) => [to, mail.subject]).sort()).toEqual([
    ['alice@example.com', '[stockmesh] Download of AAPL: completed'],
    ['bob@example.com', '[stockmesh] Download of AAPL: completed'],
  ]);
});

test('a user without an address is not written to, and the list says how to set one', async () => {
  await mesh.start([requester]);
  await mesh.commit(ended(await jobOf(['carol'])));
  await settled();
  expect(await mesh.messages()).toMatchObject([
    { state: 'suppressed', last_error: expect.stringContaining('stockmesh notify address carol ADDRESS') },
  ]);
});

test('a user who does not want an event is not told of it, and of others is', async () => {
  await setUser('alice', { email: 'alice@example.com', unwants: ['history.ended'] });
  await mesh.start([{ ...requester, on: ['history.ended', 'job.failed'] }]);
  const id = await jobOf(['alice']);
  await mesh.commit(ended(id), { ...ended(id), name: 'job.failed' });
  await settled();
  expect(subjects()).toEqual(['[stockmesh] history job of AAPL failed']);
});

test('a message whose route is gone is not sent, and says why', async () => {
  const service = await mesh.start([{ ...route, wait: 60 }]);
  await mesh.commit(alert('a'));
  await settled();
  await service.drain();
  await mesh.start([{ ...route, name: 'others' }]);
  mesh.clock.advance({ seconds: 61 });
  await settled();
  expect(await mesh.messages()).toMatchObject([{ state: 'suppressed', last_error: expect.stringContaining('no route of this name') }]);
});

test('two notifiers tell of each event once', async () => {
  await mesh.start([route]);
  await mesh.start([route]);
  const names = Array.from({ length: 300 }, (_, index) => `a${index}`);
  await Promise.all(names.map((name) => mesh.commit(alert(name, { severity: 'critical' }))));
  await vi.waitFor(() => expect(mesh.mail.received.length).toBeGreaterThanOrEqual(300), { timeout: 60_000 });
  await settled();
  expect(subjects().toSorted()).toEqual(names.map((name) => `[stockmesh] CRITICAL: alert ${name}`).toSorted());
});
