/** What becomes of a message when the mail server takes it, refuses it, is slow, cuts the connection, or is gone. */
import { expect, test, vi } from 'vitest';
import { systemClock } from '../../services/platform/clock.ts';
import { notifierMesh } from './notifier-mesh.ts';

const mesh = await notifierMesh();
const soon = { timeout: 20_000, interval: 20 };
const operators = { name: 'operators', on: ['alert.raised', 'alert.cleared'], to: { email: ['ops@example.com'] } };

test('an event is told by e-mail, as text and as HTML', async () => {
  await mesh.start([operators]);
  await mesh.commit({ details: { alert: 'no_worker', text: 'no worker <is> online; start one: npx stockmesh service worker' } });
  await vi.waitFor(() => expect(mesh.mail.received).toHaveLength(1), soon);
  const { mail, to } = mesh.mail.received[0]!;
  expect(to).toBe('ops@example.com');
  expect(mail.subject).toBe('[stockmesh] alert no_worker');
  expect(mail.text).toContain('no worker <is> online; start one: npx stockmesh service worker');
  expect(mail.html).toContain('no worker &lt;is&gt; online');
  expect(mail.headers.get('auto-submitted')).toBe('auto-generated');
});

test('a message that the server puts off (4xx) is sent again, with the same id and the same bytes', async () => {
  const seen: string[] = [];
  mesh.mail.answer((_, nth) => (nth < 2 ? { code: 450, text: 'greylisted', at: 'data' } : 'take'));
  await mesh.start([operators], {}, systemClock);
  await mesh.commit({});
  await vi.waitFor(() => expect(mesh.mail.received).toHaveLength(1), soon);
  seen.push(mesh.mail.received[0]!.id);
  await vi.waitFor(async () => expect(await mesh.messages()).toMatchObject([{ state: 'sent', attempts: 3 }]), soon);
  expect(seen).toEqual([expect.stringMatching(/^<[0-9a-f]{32}@example\.com>$/)]);
});

test('a message that the server refuses (5xx) ends, with its reason', async () => {
  mesh.mail.answer(() => ({ code: 550, text: 'no such mailbox' }));
  await mesh.start([operators]);
  await mesh.commit({});
  await vi.waitFor(async () => expect(await mesh.messages()).toMatchObject([{ state: 'failed', attempts: 1 }]), soon);
  expect((await mesh.messages())[0]?.last_error).toContain('no such mailbox');
});

test('one receiver that is refused holds up no other one', async () => {
  mesh.mail.answer((to) => (to.startsWith('gone') ? { code: 550, text: 'gone' } : 'take'));
  await mesh.start([{ ...operators, to: { email: ['gone@example.com', 'ops@example.com'] } }]);
  await mesh.commit({});
  await vi.waitFor(() => expect(mesh.mail.received.map(({ to }) => to)).toEqual(['ops@example.com']), soon);
});

test('a connection that is cut in the middle is no reason to lose the message', async () => {
  mesh.mail.answer((_, nth) => (nth === 0 ? 'cut' : 'take'));
  await mesh.start([operators], {}, systemClock);
  await mesh.commit({});
  await vi.waitFor(async () => expect(await mesh.messages()).toMatchObject([{ state: 'sent' }]), soon);
  expect(mesh.mail.received).toHaveLength(1);
});

test('a message that was taken before the connection was cut comes again under the same id, with the same bytes', async () => {
  mesh.mail.answer((_, nth) => (nth === 0 ? 'cut after taking' : 'take'));
  await mesh.start([operators], {}, systemClock);
  await mesh.commit({});
  await vi.waitFor(async () => expect(await mesh.messages()).toMatchObject([{ state: 'sent' }]), soon);
  const [first, second] = mesh.mail.received;
  expect(mesh.mail.received).toHaveLength(2);
  expect(second?.id).toBe(first?.id);
  expect(second?.raw).toBe(first?.raw);
});

test('a mail server that is gone is asked by one message at a time, and gets all of them when it is back', async () => {
  await mesh.mail.stop();
  await mesh.start([operators], {}, systemClock);
  await mesh.commit(...Array.from({ length: 20 }, (_, index) => ({ subject: `alert:a${index}`, details: { alert: `a${index}` } })));
  await vi.waitFor(async () => expect((await mesh.messages()).some(({ attempts }) => attempts > 0)).toBe(true), soon);
  await mesh.mail.start();
  await vi.waitFor(() => expect(new Set(mesh.mail.received.map(({ id }) => id)).size).toBe(20), soon);
  await vi.waitFor(async () => expect((await mesh.messages()).every(({ state }) => state === 'sent')).toBe(true), soon);
  expect(mesh.mail.received).toHaveLength(20);
});

test('a slow answer is waited for: the message is not sent twice, though its lease would have ended', async () => {
  const slow = Promise.withResolvers<void>();
  mesh.mail.answer(() => slow.promise);
  // The lease is thirty looks: 0.3 s.
  await mesh.start([operators], { 'notify.poll_interval': 0.01 }, systemClock);
  await mesh.commit({});
  await vi.waitFor(async () => expect(await mesh.messages()).toMatchObject([{ state: 'sending' }]), soon);
  const first = (await mesh.messages())[0]!.due_at;
  // It was renewed at least twice.
  await vi.waitFor(async () => expect((await mesh.messages())[0]!.due_at.getTime()).toBeGreaterThan(first.getTime() + 300), soon);
  slow.resolve();
  await vi.waitFor(async () => expect(await mesh.messages()).toMatchObject([{ state: 'sent', attempts: 1 }]), soon);
  expect(mesh.mail.received).toHaveLength(1);
});

test('a message that nobody takes is given up after its time, with the last reason', async () => {
  mesh.mail.answer(() => ({ code: 450, text: 'try later' }));
  await mesh.start([operators], { 'notify.give_up_after': 60 });
  await mesh.commit({});
  await vi.waitFor(async () => expect((await mesh.messages())[0]?.attempts).toBe(1), soon);
  mesh.clock.advance({ seconds: 61 });
  await vi.waitFor(async () => expect(await mesh.messages()).toMatchObject([{ state: 'failed' }]), soon);
  expect((await mesh.messages())[0]?.last_error).toMatch(/given up after 60 s \(notify\.give_up_after\).*try later/);
});

test('events of one subject are sent in their order, though the first one is put off', async () => {
  mesh.mail.answer((_, nth) => (nth < 3 ? { code: 450, text: 'later' } : 'take'));
  await mesh.start([operators], {}, systemClock);
  await mesh.commit({});
  await mesh.commit({ name: 'alert.cleared' });
  await mesh.commit({});
  await vi.waitFor(() => expect(mesh.mail.received).toHaveLength(3), soon);
  expect(mesh.mail.received.map(({ mail }) => mail.subject)).toEqual([
    '[stockmesh] alert no_worker',
    '[stockmesh] alert no_worker is over',
    '[stockmesh] alert no_worker',
  ]);
});
