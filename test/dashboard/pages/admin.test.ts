/** What an operator changes by hand, with its effect shown before and who made the change after. */
import { expect, onTestFinished } from 'vitest';
import { startNotifierService } from '../../../services/notifier/service.ts';
import { systemClock } from '../../../services/platform/clock.ts';
import { silent } from '../../broker/peers.ts';
import { startMailServer } from '../../notifier/mail-server.ts';
import { journey, journeys, SCREENS } from '../support/journeys.ts';

const mail = await startMailServer();
const { mesh, open, openAs } = journeys({
  ...{ 'notify.poll_interval': 0.1, 'notify.email.from': 'mesh@example.com', 'notify.email.smtp_tls': 'none' },
  ...{ 'notify.email.smtp_host': '127.0.0.1', 'notify.email.smtp_port': mail.port },
  'notify.routes': [{ name: 'operators', on: ['alert.raised'], to: { email: ['ops@example.com'] } }],
});

journey.for(Object.entries(SCREENS))('automatic fetching is switched off and on, and says by whom: %s', async ([, options]) => {
  const { page, expectClean } = await openAs('/ui/admin', undefined, options);
  await page.getByRole('button', { name: 'Switch off … automatic fetching' }).click();
  await page.getByText('until it is switched on again').waitFor();
  await page.getByRole('button', { name: 'Switch off', exact: true }).click();
  await page.getByText(/changed by/).waitFor();
  expect((await mesh.operator.get('/v1/auto-fetch')).body.enabled).toBe(false);
  await expectClean();
  await page.getByRole('button', { name: 'Switch on … automatic fetching' }).click();
  await page.getByRole('button', { name: 'Switch on', exact: true }).click();
  await page.getByText('Schedules start their jobs by themselves').waitFor();
  expect((await mesh.operator.get('/v1/auto-fetch')).body.enabled).toBe(true);
});

journey('a schedule is run by hand: its effect is told, and then what it has made', async () => {
  await mesh.operator.put('/v1/users/alice/portfolio', { positions: [{ symbol: 'AAPL', quantity: 1 }] });
  const { body } = await mesh.operator.get('/v1/schedules');
  const { name } = body.schedules.find(({ job }: { job: string }) => job === 'refresh') ?? body.schedules[0];
  const { page, expectClean } = await openAs('/ui/admin/schedules');
  await page.getByRole('button', { name: `Run now … ${name}` }).click();
  await page.getByText('Its next run stays where it is').waitFor();
  await page.getByRole('button', { name: 'Run now', exact: true }).click();
  await page.getByText(/jobs queued/).waitFor();
  await page.getByRole('button', { name: 'Close', exact: true }).last().click();
  await page.getByText(/Last run by hand by/).waitFor();
  await expectClean();
});

journey('a key is made, signs in, and works no more when it is revoked', async () => {
  const admin = await openAs('/ui/admin/keys');
  await admin.page.getByRole('button', { name: 'New key …' }).click();
  await admin.page.getByLabel('Name').fill('wall screen');
  await admin.page.getByRole('button', { name: 'Make the key' }).click();
  const key = await admin.page.locator('.secret code').first().textContent();
  expect(key).toMatch(/^smk_/);
  await admin.page.getByRole('button', { name: 'Close', exact: true }).last().click();

  const other = await open('/ui/');
  await other.page.getByLabel(/key/i).fill(key as string);
  await other.page.getByRole('button', { name: 'Sign in' }).click();
  await other.page.getByRole('heading', { name: 'Mesh', level: 1 }).waitFor();

  await admin.page.getByRole('button', { name: 'Revoke … wall screen' }).click();
  await admin.expectClean();
  await admin.page.getByRole('button', { name: 'Revoke', exact: true }).click();
  await admin.page.getByRole('row', { name: /wall screen.*revoked/ }).waitFor();
  expect((await mesh.operator.get('/v1/keys')).body.keys[0]).toMatchObject({ name: 'wall screen', state: 'revoked' });
});

journey('the dialog of a new key gives the focus back to what opened it', async () => {
  const { page } = await openAs('/ui/admin/keys');
  const make = page.getByRole('button', { name: 'New key …' });
  await make.focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').getByLabel('Name').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await expect.poll(() => make.evaluate((node) => node === node.ownerDocument.activeElement)).toBe(true);
});

journey('a symbol is asked for, and the job is a click away', async () => {
  const { page, expectClean } = await openAs('/ui/admin/fetch');
  const form = page.getByRole('region', { name: 'A symbol' });
  await form.getByLabel('Symbol').fill('IBM');
  await form.getByRole('button', { name: 'Ask for it' }).click();
  await form.getByRole('link', { name: 'fetch IBM' }).click();
  await page.getByRole('heading', { name: 'fetch IBM', level: 1 }).waitFor();
  await expectClean();
});

journey('the configuration is searched by key, value and origin, without a secret', async () => {
  const { page, expectClean } = await openAs('/ui/admin/configuration?text=worker.');
  await page.getByText('worker.max_concurrent_jobs').waitFor();
  expect(await page.getByText('scheduler.schedules').count()).toBe(0);
  await expectClean();
});

journey.for(Object.entries(SCREENS))('a route is tried, and what became of it is told: %s', async ([, options]) => {
  onTestFinished(() => mail.stop());
  await mail.stop();
  await mail.start();
  mail.received.length = 0;
  const context = { service: 'notifier', instance: 'notifier-1', config: mesh.config, dataFolder: mesh.folder, log: silent };
  const notifier = await startNotifierService({ ...context, clock: systemClock, db: mesh.db, bus: mesh.connect('notifier') });
  onTestFinished(() => notifier.drain());
  const { page, expectClean } = await openAs('/ui/admin/messages', undefined, options);
  const trial = page.getByRole('button', { name: 'Send a test … operators' });

  await trial.click();
  await page.getByText('A message that says that nothing is wrong goes to o…@example.com').waitFor();
  expect(mail.received.filter(({ to }) => to === 'ops@example.com')).toHaveLength(0);
  await page.getByRole('button', { name: 'Send a test', exact: true }).click();
  await page
    .getByRole('dialog')
    .getByText(/^o…@example.com: .*sent$/)
    .waitFor();
  expect(mail.received).toMatchObject([{ to: 'ops@example.com' }]);
  await page.getByRole('button', { name: 'Close', exact: true }).last().click();
  await page
    .getByRole('row', { name: /operators.*notify\.test.*sent/ })
    .first()
    .waitFor();
  await expectClean();

  mail.answer(() => ({ code: 550, text: 'no such mailbox' }));
  onTestFinished(() => mail.answer(() => 'take'));
  await trial.click();
  await page.getByRole('button', { name: 'Send a test', exact: true }).click();
  await page
    .getByRole('dialog')
    .getByText(/550.*no such mailbox/)
    .waitFor();
  await page.getByRole('button', { name: 'Close', exact: true }).last().click();
  await page
    .getByRole('row', { name: /operators.*failed.*no such mailbox/ })
    .first()
    .waitFor();
});

journey('a message that came back is shown with its reason, and the address that is not written to any more', async () => {
  await mesh.db.run(
    `INSERT INTO notify_messages (id, first_event, route, channel, recipient, lane, state, severity, due_at, attempts, last_error, code, created_at)
      VALUES (?, 0, 'operators', 'email', 'gone@example.com', ?, 'bounced', 'warning', NOW(3), 1, 'User unknown', '5.1.1', NOW(3))`,
    [Buffer.alloc(16, 1), Buffer.alloc(16, 2)],
  );
  await mesh.db.run(
    "INSERT INTO notify_stops (address, code, reason, message_id, stopped_at) VALUES ('gone@example.com', '5.1.1', 'User unknown', ?, NOW(3))",
    [Buffer.alloc(16, 1)],
  );
  const { page, expectClean } = await openAs('/ui/admin/messages');
  await page.getByRole('row', { name: /operators.*g…@example\.com.*came back.*5\.1\.1: User unknown/ }).waitFor();
  await page
    .getByRole('group', { name: 'Not written to any more' })
    .getByRole('row', { name: /g…@example\.com.*5\.1\.1: User unknown/ })
    .waitFor();
  await page.getByText('npx stockmesh notify resume ADDRESS').waitFor();
  await expectClean();
});

journey('a key that may read sees why it may change nothing', async () => {
  const { key } = await mesh.caller('read');
  const { page, expectClean } = await openAs('/ui/admin/schedules', key);
  await page.getByRole('table').waitFor();
  for (const button of await page
    .getByRole('main')
    .getByRole('button', { name: /now|Switch/ })
    .all()) {
    expect(await button.isDisabled()).toBe(true);
    expect(await button.getAttribute('title')).toContain('"jobs"');
  }
  await page.getByRole('link', { name: 'Keys' }).click();
  await page.getByText('Not for this key').waitFor();
  await expectClean();
});
