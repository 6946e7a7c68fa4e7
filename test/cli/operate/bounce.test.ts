/** From a mail that a real mail server took, by its return, to what is not sent there any more. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { startNotifierService } from '../../../services/notifier/service.ts';
import { readWaiting } from '../../../services/notifier/store/waiting.ts';
import type { Bus } from '../../../services/platform/bus/bus.ts';
import { systemClock } from '../../../services/platform/clock.ts';
import { loadConfig } from '../../../services/platform/config/load.ts';
import type { RunningService } from '../../../services/platform/lifecycle.ts';
import { changeTold } from '../../../services/platform/notify/users.ts';
import { type NotifyEvent, tell } from '../../../services/platform/outbox.ts';
import { silent } from '../../broker/peers.ts';
import {
  exchange,
  exim,
  eximDelayed,
  eximExpired,
  eximOld,
  outOfOffice,
  postfix,
  postfixDelayed,
  postfixDelivered,
  postfixExpired,
  postfixForwarded,
  qmail,
  type Written,
} from '../../notifier/bounces/returned-messages.ts';
import { picksReady } from '../../notifier/events.ts';
import { type Received, startMailServer } from '../../notifier/mail-server.ts';
import { emptyTables } from '../../support/database.ts';
import { stockmeshProcess } from '../command-line.ts';
import { overDatabase } from '../over-database.ts';

const mesh = await overDatabase();
const mail = await startMailServer();
const folder = mesh.here[3]!;
const file = join(folder, 'routes.yaml');
writeFileSync(
  file,
  `job_processor:
  notify:
    poll_interval: 0.05
    backoff: [0.05]
    routes:
      - { name: operators, on: [alert.raised], to: { email: [ops@example.com] } }
      - { name: requester, on: [picks.ready], to: { requester: true } }
    email:
      { from: mesh@example.com, return_address: bounces@example.com, smtp_host: 127.0.0.1, smtp_port: ${mail.port}, smtp_tls: none }
`,
);
const run = (...args: string[]) => mesh.run(...args, '--config', file);
const soon = { timeout: 20_000, interval: 20 };
const TABLES = ['notify_events', 'notify_messages', 'notify_deliveries', 'notify_users', 'notify_stops', 'audit_log'];
let notifier: RunningService;
beforeAll(async () => {
  const { config } = loadConfig({ env: {}, files: [mesh.here[1]!, file] });
  const bus = { state: 'online', report: () => ({ state: 'online', missing: [], counters: {} }) } as unknown as Bus;
  notifier = await startNotifierService({
    ...{ service: 'notifier', instance: 'notifier-1', config, dataFolder: '/nowhere', log: silent, clock: systemClock, db: mesh.db, bus },
  });
});
beforeEach(async () => {
  await emptyTables(mesh.db, TABLES);
  await mesh.db.run("REPLACE INTO leases (name, holder, until) VALUES ('scheduler', 'scheduler-1', '2036-01-01')");
  mail.received.length = 0;
  mail.answer(() => 'take');
});
afterAll(async () => {
  await notifier.drain();
  await mail.stop();
});

let alerts = 0;
const commit = (event: Partial<NotifyEvent> = {}): Promise<void> =>
  mesh.db.transaction(async (tx) =>
    tell(tx, [
      {
        ...{ name: 'alert.raised', severity: 'warning', subject: `alert:a${++alerts}`, details: { alert: `a${alerts}`, text: 'beyond' } },
        ...{ at: new Date(), ...event },
      },
    ]),
  );
const picks = (user: string) => commit(picksReady(user));
const settled = () =>
  vi.waitFor(async () => {
    expect(await mesh.db.rows('SELECT 1 FROM notify_events WHERE routed = 0')).toEqual([]);
    expect(await mesh.db.rows("SELECT 1 FROM notify_messages WHERE state IN ('open', 'sending')")).toEqual([]);
  }, soon);
/** A message that the mail server took. */
async function sent(event?: Partial<NotifyEvent>): Promise<Received> {
  await commit(event);
  await settled();
  return mail.received.at(-1)!;
}
const returned = (write: Written, { id, to }: Pick<Received, 'id' | 'to'>): string => write({ messageId: id, to });
async function bounce(text: string, ...args: string[]) {
  const path = join(folder, 'returned.eml');
  writeFileSync(path, text);
  return run('notify', 'bounce', '--file', path, ...args);
}
const messages = async (): Promise<Record<string, unknown>[]> => (await mesh.json('notify', 'list', '--config', file)).messages;
const stopped = async (): Promise<Record<string, unknown>[]> => (await mesh.json('notify', 'list', '--config', file)).stopped;
const rows = async () => Promise.all(TABLES.map((table) => mesh.db.rows(`SELECT * FROM ${table}`)));

test('a message that came back is kept with its reason and code, and nothing is sent there until an operator says so', async () => {
  const first = await sent();
  const ran = await bounce(returned(postfix, first));
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  expect(ran.stdout).toMatch(
    /^the message [0-9a-f]{32} to ops@example\.com came back: 550 5\.1\.1 .*notify resume ops@example\.com" undoes that\)\n$/,
  );
  expect(await messages()).toMatchObject([
    { state: 'bounced', recipient: 'ops@example.com', code: '5.1.1', last_error: expect.stringContaining('User unknown') },
  ]);
  expect(await stopped()).toMatchObject([{ address: 'ops@example.com', code: '5.1.1', reason: expect.stringContaining('User unknown') }]);
  // Critical too: nothing arrives there.
  await commit({ severity: 'critical' });
  await settled();
  expect(mail.received).toHaveLength(1);
  expect((await messages())[0]).toMatchObject({
    state: 'suppressed',
    last_error: expect.stringMatching(
      /^no mail arrives at ops@example\.com since .*"npx stockmesh notify resume ops@example\.com".*5\.1\.1/,
    ),
  });
  expect((await run('notify', 'list')).stdout).toMatch(/bounced .*\n(.*\n)*not written to since .*: ops@example\.com \(5\.1\.1\)/);
  expect(await run('notify', 'resume', 'OPS@example.com')).toMatchObject({ code: 0, stdout: 'OPS@example.com is written to again\n' });
  await sent();
  expect(mail.received).toHaveLength(2);
  const [audited] = await mesh.db.rows("SELECT target FROM audit_log WHERE action = 'notify.resume'");
  expect(audited).toEqual({ target: 'address:OPS@example.com' });
});

test.each<[string, Written, string]>([
  ['Exim', exim, '5.2.1'],
  ['Exim in words', eximOld, '550'],
  ['Exchange', exchange, '5.1.10'],
  ['qmail', qmail, '5.1.1'],
])('%s: what is for good stops the address', async (_, write, code) => {
  const document = JSON.parse((await bounce(returned(write, await sent()), '--json')).stdout);
  expect(document).toMatchObject({ ok: true, outcome: 'bounced', address: 'ops@example.com', code, stopped: true });
  expect(await stopped()).toMatchObject([{ address: 'ops@example.com', code }]);
});

test.each<[string, Written, string, string, string | null]>([
  ['a delay', postfixDelayed, 'delayed', 'sent', '4.4.1'],
  ['a delay in words', eximDelayed, 'delayed', 'sent', null],
  ['a queue that gave up', postfixExpired, 'bounced', 'bounced', '4.4.1'],
  ['a queue that gave up, in words', eximExpired, 'bounced', 'bounced', '4.4.7'],
  ['a return from where it was passed on to', postfixForwarded, 'passed on', 'sent', '5.1.1'],
])('%s is noted, and the next message is sent', async (_, write, outcome, state, code) => {
  const document = JSON.parse((await bounce(returned(write, await sent()), '--json')).stdout);
  expect(document).toMatchObject({ outcome, code, stopped: false });
  expect(await messages()).toMatchObject([{ state, code, last_error: expect.stringMatching(/./) }]);
  expect(await stopped()).toEqual([]);
  await sent();
  expect(mail.received).toHaveLength(2);
});

test('a report of a success changes nothing', async () => {
  const first = await sent();
  const before = await rows();
  expect(JSON.parse((await bounce(returned(postfixDelivered, first), '--json')).stdout)).toMatchObject({ outcome: 'delivered' });
  expect(await rows()).toEqual(before);
});

test('the same report again changes nothing, also after the address was cleared', async () => {
  const report = returned(postfix, await sent());
  await bounce(report);
  await run('notify', 'resume', 'ops@example.com');
  const before = await rows();
  expect(await bounce(report)).toMatchObject({ code: 0, stdout: expect.stringContaining('nothing is changed') });
  expect(await rows()).toEqual(before);
});

test('a delay of before the return changes nothing', async () => {
  const first = await sent();
  await bounce(returned(postfix, first));
  await bounce(returned(postfixDelayed, first));
  expect(await messages()).toMatchObject([{ state: 'bounced', code: '5.1.1' }]);
});

test('a mail server pipes the report into the command, which finds the message by its envelope id alone', async () => {
  const { from, envelopeId, notify, id, to } = await sent();
  // RFC 3461: what a server that knows it keeps, and returns.
  expect([from, envelopeId, notify]).toEqual(['bounces@example.com', id.slice(1, 33), 'FAILURE,DELAY']);
  const input = postfix({ messageId: '<rewritten@relay.example>', to, envelopeId: envelopeId! });
  const ran = await stockmeshProcess(['notify', 'bounce', ...mesh.here, '--config', file], { input });
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  expect(await messages()).toMatchObject([{ state: 'bounced' }]);
});

describe('of a user', () => {
  const setAddress = (email: string) => mesh.db.transaction(async (tx) => void (await changeTold(tx, 'alice', { email }, new Date())));

  test('the address is stopped that the message went to, and another one is not', async () => {
    await setAddress('Alice@old.example');
    await picks('alice');
    await settled();
    await setAddress('alice@new.example');
    expect(JSON.parse((await bounce(returned(postfix, mail.received[0]!), '--json')).stdout)).toMatchObject({
      ...{ recipient: 'alice', address: 'Alice@old.example', stopped: true },
    });
    await picks('alice');
    await settled();
    expect(mail.received.map(({ to }) => to)).toEqual(['Alice@old.example', 'alice@new.example']);
  });

  test('to set the address by hand writes there again', async () => {
    await setAddress('alice@example.com');
    await picks('alice');
    await settled();
    await bounce(returned(postfix, mail.received[0]!));
    await run('notify', 'address', 'alice', 'alice@example.com');
    await picks('alice');
    await settled();
    expect(mail.received).toHaveLength(2);
  });
});

describe('an answer of the mail server during the delivery', () => {
  test.each<[string, { code: number; text: string; at?: 'rcpt' | 'data' }, string, boolean]>([
    ['that the mailbox is not there stops the address', { code: 550, text: '5.1.1 no such mailbox', at: 'rcpt' }, '5.1.1', true],
    // A relay that was set up wrongly refuses everybody.
    ['that it relays nothing does not', { code: 554, text: '5.7.1 relay access denied', at: 'rcpt' }, '5.7.1', false],
    ['about the message does not', { code: 554, text: '5.1.1 no such content', at: 'data' }, '5.1.1', false],
    ['without such a code does not', { code: 550, text: 'no', at: 'rcpt' }, '550', false],
  ])('%s', async (_, answer, code, isStopped) => {
    mail.answer(() => answer);
    await commit();
    await settled();
    expect(await messages()).toMatchObject([{ state: 'failed', code }]);
    expect(await stopped()).toMatchObject(isStopped ? [{ address: 'ops@example.com', code }] : []);
    mail.answer(() => 'take');
    await commit();
    await settled();
    expect(mail.received).toHaveLength(isStopped ? 0 : 1);
  });
});

describe('what is none of ours is refused with one line, and changes nothing', () => {
  const unknown = { id: `<${'0'.repeat(32)}@example.com>`, to: 'ops@example.com' };
  test.each<[string, () => string, number, RegExp]>([
    ['an unknown message', () => returned(postfix, unknown), 1, /there is no message 0{32}: it was deleted \(notify\.keep_days\)/],
    [
      'an automatic reply',
      () => returned(outOfOffice, mail.received[0]!),
      2,
      /"Automatic reply: \[stockmesh\] alert no_worker"\) tells of no message/,
    ],
    ['nothing', () => '', 2, /this is no mail/],
    ['bytes', () => '\0\x01\xff'.repeat(1_000), 2, /this (is no mail|mail tells)/],
    ['three megabytes', () => `From: mailer-daemon@example.com\n\n${'x'.repeat(3_000_000)}`, 2, /more than 2097152 bytes/],
  ])('%s', async (_, text, code, words) => {
    await sent();
    const before = await rows();
    const ran = await bounce(text());
    expect(ran).toMatchObject({ code, stdout: '' });
    expect(ran.stderr).toMatch(words);
    expect(ran.stderr).toMatch(/^stockmesh: [^\n]*\n$/);
    expect(await rows()).toEqual(before);
  });

  test('a message that was never sent', async () => {
    await mesh.db.transaction(async (tx) => void (await changeTold(tx, 'nobody', {}, new Date())));
    await picks('nobody');
    await settled();
    const [row] = await mesh.db.rows<{ id: string }>('SELECT LOWER(HEX(id)) AS id FROM notify_messages');
    const ran = await bounce(returned(postfix, { id: `<${row!.id}@example.com>`, to: 'x@example.com' }));
    expect(ran).toMatchObject({ code: 1, stderr: expect.stringContaining('was never sent by e-mail') });
  });

  test('a file that is not there', async () => {
    const ran = await run('notify', 'bounce', '--file', '/nowhere/returned.eml');
    expect(ran).toMatchObject({ code: 2, stderr: expect.stringMatching(/^stockmesh: \/nowhere\/returned\.eml: .*name a file/) });
  });
});

test('while the database is away the exit code is 75, by which a mail server keeps the report and tries again', async () => {
  const path = join(folder, 'returned.eml');
  writeFileSync(path, returned(postfix, await sent()));
  const ran = await run('notify', 'bounce', '--file', path, '--set', 'database.url=mysql://stockmesh:x@127.0.0.1:1/none');
  expect(ran).toMatchObject({ code: 75, stdout: '' });
  expect(ran.stderr).toMatch(/^stockmesh: the database [^\n]*\n$/);
});

test('an address that is written to cannot be resumed, and none that is no address', async () => {
  expect(await run('notify', 'resume', 'ops@example.com')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('is written to already'),
  });
  expect(await run('notify', 'resume', 'ops')).toMatchObject({ code: 2, stderr: expect.stringContaining('is not an e-mail address') });
});

test('the metrics count what came back, and addresses that are not written to', async () => {
  await bounce(returned(postfix, await sent()));
  expect(await readWaiting(mesh.db, new Date())).toMatchObject({ bounced: 1, stopped: 1 });
});
