/** What people are told, as an operator sees it over HTTP. The notifier and the mail server are real. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { noteReturned } from '../../../services/notifier/bounces/note.ts';
import { readReturned } from '../../../services/notifier/bounces/read.ts';
import { startNotifierService } from '../../../services/notifier/service.ts';
import { systemClock } from '../../../services/platform/clock.ts';
import type { RunningService } from '../../../services/platform/lifecycle.ts';
import { changeTold } from '../../../services/platform/notify/users.ts';
import { silent } from '../../broker/peers.ts';
import { qmail } from '../../notifier/bounces/returned-messages.ts';
import { type MailServer, startMailServer } from '../../notifier/mail-server.ts';
import { gatewayMesh } from '../mesh.ts';

const mail: MailServer = await startMailServer();
const mesh = gatewayMesh({
  ...{ 'notify.poll_interval': 0.05, 'notify.backoff': [0.05], 'notify.email.from': 'mesh@example.com' },
  ...{ 'notify.email.smtp_host': '127.0.0.1', 'notify.email.smtp_port': mail.port, 'notify.email.smtp_tls': 'none' },
  'notify.routes': [
    { name: 'operators', on: ['alert.raised'], min_severity: 'warning', to: { email: ['operators@example.com'] }, wait: 30 },
    { name: 'room', on: ['job.failed'], to: { webhook: { url: 'http://127.0.0.1:9/very-secret-path', format: 'slack' } } },
    { name: 'requester', on: ['history.ended'], to: { requester: true } },
  ],
});
let notifier: RunningService;
beforeAll(async () => {
  notifier = await startNotifierService({
    ...{ service: 'notifier', instance: 'notifier-1', config: mesh.config, dataFolder: mesh.folder, log: silent, clock: systemClock },
    ...{ db: mesh.db, bus: mesh.connect('notifier') },
  });
});
afterAll(async () => {
  await notifier.drain();
  await mail.stop();
});

/** Tries a route and waits for what becomes of it. */
async function tried(route: string, body?: object): Promise<Record<string, unknown>[]> {
  const { status, body: answer } = await mesh.operator.post(`/v1/notifications/routes/${route}/test`, body);
  expect(status).toBe(202);
  return vi.waitFor(
    async () => {
      const { messages } = (await mesh.operator.get(`/v1/notifications?test=${answer.test}`)).body;
      expect(messages.map(({ state }: { state: string }) => state)).toEqual([expect.stringMatching(/sent|failed|suppressed/)]);
      return messages;
    },
    { timeout: 20_000 },
  );
}

test('the routes say who is told of what, without a whole address and without the path of a webhook', async () => {
  const { body } = await mesh.operator.get('/v1/notifications/routes');
  expect(body.routes).toMatchObject([
    { name: 'operators', on: ['alert.raised'], to: ['o…@example.com'], wait_s: 30, repeat_s: null, quiet: null, asks_for_user: false },
    { name: 'room', to: ['slack at 127.0.0.1:9'] },
    { name: 'requester', to: ['whoever asked for the job'], asks_for_user: true },
  ]);
  expect(JSON.stringify(body)).not.toMatch(/operators@|very-secret-path/);
});

test('a test of a route is sent, and its end can be read', async () => {
  mail.answer(() => 'take');
  expect(await tried('operators')).toMatchObject([
    { route: 'operators', event: 'notify.test', state: 'sent', recipient: 'o…@example.com' },
  ]);
  expect(mail.received.at(-1)?.to).toBe('operators@example.com');
  expect((await mesh.operator.get('/v1/notifications?limit=1')).body.messages).toMatchObject([{ event: 'notify.test', state: 'sent' }]);
  expect((await mesh.operator.get('/v1/audit?action=notify.test')).body.rows[0]).toMatchObject({ target: 'route:operators' });
});

test('of a message that was refused the reason is told, without the address in it', async () => {
  mail.answer((to) => ({ code: 550, text: `no mailbox of ${to} here` }));
  const [message] = await tried('operators');
  expect(message).toMatchObject({ state: 'failed', reason: expect.stringContaining('no mailbox of o…@example.com here') });
  expect(JSON.stringify(message)).not.toContain('operators@');
});

test('a message that came back says why, and the address is listed as not written to, both without its middle', async () => {
  mail.answer(() => 'take');
  await mesh.db.run('DELETE FROM notify_stops');
  await mesh.db.transaction(async (tx) => void (await changeTold(tx, 'dora', { email: 'dora@example.com' }, new Date())));
  await tried('requester', { user: 'dora' });
  const { id, to } = mail.received.at(-1)!;
  await noteReturned(mesh.db, await readReturned(Buffer.from(qmail({ messageId: id, to }))), new Date());
  const { body } = await mesh.operator.get('/v1/notifications?limit=1');
  expect(body.messages).toMatchObject([
    { recipient: 'dora', state: 'bounced', code: '5.1.1', reason: expect.stringContaining('no mailbox') },
  ]);
  expect(body.stopped).toMatchObject([{ address: 'd…@example.com', code: '5.1.1', stopped_at: expect.stringMatching(/Z$/) }]);
  // The reason of what is not sent names the address.
  const [message] = await tried('requester', { user: 'dora' });
  expect(message).toMatchObject({ state: 'suppressed', reason: expect.stringContaining('no mail arrives at d…@example.com') });
  expect(JSON.stringify(message)).not.toContain('dora@');
});

test('a route to those who ask must be told whom to write to', async () => {
  expect((await mesh.operator.post('/v1/notifications/routes/requester/test')).body.code).toBe('notify.no_user');
  expect(await tried('requester', { user: 'carol' })).toMatchObject([
    { state: 'suppressed', recipient: 'carol', reason: expect.stringContaining('no address of carol is known') },
  ]);
});

test('an unknown route is 404, with the ones that there are', async () => {
  const { status, body } = await mesh.operator.post('/v1/notifications/routes/none/test');
  expect([status, body.code]).toEqual([404, 'notify_route.unknown']);
  expect(body.detail).toContain('operators, room, requester');
});
