import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startNotifierService } from '../../../services/notifier/service.ts';
import type { Bus } from '../../../services/platform/bus/bus.ts';
import { systemClock } from '../../../services/platform/clock.ts';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { fromJson } from '../../../services/platform/database/database.ts';
import type { RunningService } from '../../../services/platform/lifecycle.ts';
import { silent } from '../../broker/peers.ts';
import { startMailServer } from '../../notifier/mail-server.ts';
import { overDatabase } from '../over-database.ts';

const mesh = await overDatabase();
const mail = await startMailServer();
const file = join(mesh.here[3]!, 'routes.yaml');
writeFileSync(
  file,
  `job_processor:
  notify:
    poll_interval: 0.1
    routes:
      - { name: operators, on: [alert.raised], to: { email: [ops@example.com] } }
      - { name: requester, on: [history.ended], to: { requester: true } }
      - { name: chat, on: [alert.raised], to: { webhook: { url: "http://127.0.0.1:1/hook/SECRET", format: slack } } }
    email: { from: mesh@example.com, smtp_host: 127.0.0.1, smtp_port: ${mail.port}, smtp_tls: none }
`,
);
const run = (...args: string[]) => mesh.run(...args, '--config', file);
const bus = { state: 'online', report: () => ({ state: 'online', missing: [], counters: {} }) } as unknown as Bus;
let notifier: RunningService;
beforeAll(async () => {
  const { config } = loadConfig({ env: {}, files: [mesh.here[1]!, file] });
  notifier = await startNotifierService({
    ...{ service: 'notifier', instance: 'notifier-1', config, dataFolder: '/nowhere', log: silent, clock: systemClock, db: mesh.db, bus },
  });
});
afterAll(async () => {
  await notifier.drain();
  await mail.stop();
});

test('a route is tried as it is used, and the answer says whether the server took the message', async () => {
  expect(await run('notify', 'test', 'operators')).toMatchObject({ code: 0, stdout: 'ops@example.com: sent\n' });
  expect(mail.received.at(-1)?.mail.subject).toBe('[stockmesh] a test of this route');
});

test('a server that refuses is said with its words, and the exit code is 1', async () => {
  mail.answer(() => ({ code: 550, text: 'no such mailbox' }));
  const ran = await run('notify', 'test', 'operators');
  mail.answer(() => 'take');
  expect(ran.code).toBe(1);
  expect(ran.stdout).toMatch(/^ops@example\.com: failed: .*no such mailbox/);
  expect((await run('notify', 'list', '--route', 'operators')).stdout).toMatch(/failed .*no such mailbox/);
});

test('a user is told at the address that was set', async () => {
  expect((await run('notify', 'address', 'alice', 'alice@example.com')).stdout).toBe('alice is written to at alice@example.com\n');
  expect(await run('notify', 'test', 'requester', '--user', 'alice')).toMatchObject({ code: 0, stdout: 'alice: sent\n' });
  expect(mail.received.at(-1)?.to).toBe('alice@example.com');
});

test('a user who has unsubscribed is not told, until subscribed again', async () => {
  await run('notify', 'address', 'bob', 'bob@example.com');
  await run('notify', 'unsubscribe', 'bob', 'notify.test');
  expect(await run('notify', 'test', 'requester', '--user', 'bob')).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/^nobody is told: each receiver has ended messages of this kind .*notify subscribe USER notify\.test/),
  });
  await run('notify', 'subscribe', 'bob', 'notify.test');
  expect(await run('notify', 'test', 'requester', '--user', 'bob')).toMatchObject({ code: 0 });
});

test('several events are stopped at once, of an address of a route too, which may be longer than a name', async () => {
  const address = `${'o'.repeat(60)}@operators.example.com`;
  expect(await run('notify', 'unsubscribe', address, 'alert.raised', 'alert.cleared')).toMatchObject({
    code: 0,
    stdout: `${address} is not told any more of alert.raised, alert.cleared; what is critical is told to an address of a route all the same\n`,
  });
  const [row] = await mesh.db.rows<{ unwanted: string[] }>('SELECT unwanted FROM notify_users WHERE user_id = ?', [address]);
  expect(fromJson(row?.unwanted)).toEqual(['alert.raised', 'alert.cleared']);
});

test.for([
  [['notify', 'test', 'operator'], 'there is no route "operator"; choose one of operators, requester, chat'],
  [['notify', 'test', 'requester'], 'say whom to tell with --user USER'],
  [['notify', 'unsubscribe', 'bob', 'history.end'], 'there is no event "history.end"'],
  [['notify', 'address', 'bob', 'nobody'], '"nobody" is not an e-mail address'],
  [['notify', 'address', 'bob'], 'give an address, or --remove'],
] as const)('%j is wrong use, and says the way out', async ([args, text]) => {
  const ran = await run(...args);
  expect(ran.code).toBe(2);
  expect(ran.stderr).toContain(text);
});

test('the address of a webhook is a secret: the configuration is shown without it', async () => {
  const { stdout } = await run('config', 'show', 'notify.routes');
  expect(stdout).toContain('operators');
  expect(stdout).not.toContain('SECRET');
});
