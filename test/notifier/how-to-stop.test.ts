/** What a mail says of how to end messages of its kind. */
import { expect, test, vi } from 'vitest';
import { changeTold } from '../../services/platform/notify/users.ts';
import { notifierMesh } from './notifier-mesh.ts';

const mesh = await notifierMesh();
const soon = { timeout: 20_000, interval: 20 };
const operators = { name: 'operators', on: ['alert.raised'], to: { email: ['ops@example.com'] } };
const requester = { name: 'requester', on: ['picks.ready'], to: { requester: true } };
const SECRET = 'a secret of the tests, which has more than 32 characters';

async function first() {
  await vi.waitFor(() => expect(mesh.mail.received).toHaveLength(1), soon);
  return mesh.mail.received[0]!;
}
const picksOf = (user: string) => ({
  ...{ name: 'picks.ready' as const, severity: 'info' as const, subject: `picks:${user}` },
  details: { user, week: '2026-01-05', version: 1, summary: 'x' },
});

test('where no address of the gateway is configured, by the command that does it, and without a header that promises a link', async () => {
  await mesh.start([operators]);
  await mesh.commit({});
  const { mail, raw } = await first();
  expect(mail.text).toContain('To stop messages of this kind: npx stockmesh notify unsubscribe ops@example.com alert.raised\n');
  expect(mail.html).toContain('npx stockmesh notify unsubscribe ops@example.com alert.raised');
  expect(raw).not.toMatch(/^List-Unsubscribe/m);
});

test('a name that a shell would not read as one word is quoted in the command', async () => {
  const user = "$(reboot) o'neil";
  await mesh.db.transaction(async (tx) => void (await changeTold(tx, user, { email: 'alice@example.com' }, new Date())));
  await mesh.start([requester]);
  await mesh.commit(picksOf(user));
  const { mail } = await first();
  expect(mail.text).toContain(`notify unsubscribe '$(reboot) o'\\''neil' picks.ready\n`);
  expect(mail.text).toContain(`picks show '$(reboot) o'\\''neil' --week 2026-01-05\n`);
});

test('an address without encryption is linked, and no program is told to use it by itself (RFC 8058, 3.1: the link is HTTPS)', async () => {
  await mesh.start([operators], { 'gateway.public_url': 'http://10.0.0.7:8787', 'notify.unsubscribe_secret': SECRET });
  await mesh.commit({});
  const { raw, mail } = await first();
  expect(mail.text).toContain('Stop messages of this kind (alert.raised): http://10.0.0.7:8787/v1/unsubscribe?token=');
  expect(raw).toMatch(/^List-Unsubscribe: <http:/m);
  expect(raw).not.toMatch(/^List-Unsubscribe-Post/m);
});

test('the longest name and all kinds fit into one line of a header (RFC 5322, 2.1.1: 998 characters)', async () => {
  const user = '"'.repeat(64);
  await mesh.db.transaction(async (tx) => void (await changeTold(tx, user, { email: 'alice@example.com' }, new Date())));
  const address = `${'a'.repeat(60)}@${'b'.repeat(60)}.${'c'.repeat(60)}.${'d'.repeat(60)}.example`;
  const on = ['alert.raised', 'alert.cleared', 'job.failed', 'history.ended', 'backfill.ended', 'picks.ready'] as const;
  const all = { on, group_by: [], wait: 0.2 };
  await mesh.start(
    [
      { ...operators, ...all, to: { email: [address] } },
      { ...requester, ...all },
    ],
    { 'gateway.public_url': `https://${'m'.repeat(60)}.example.com`, 'notify.unsubscribe_secret': SECRET },
  );
  await mesh.commit(...on.map((name) => ({ ...picksOf(user), name })));
  await vi.waitFor(() => mesh.clock.advance({ seconds: 1 }) ?? expect(mesh.mail.received).toHaveLength(2), soon);
  for (const { raw } of mesh.mail.received) {
    const line = /^List-Unsubscribe: <[^>\r\n]*>\r$/m.exec(raw)?.[0] ?? '';
    expect([line.length > 400, line.length < 998]).toEqual([true, true]);
  }
});

test('an address of the gateway without the secret that signs links stops the start, and says how to make one', async () => {
  await expect(mesh.start([operators], { 'gateway.public_url': 'https://mesh.example.com' })).rejects.toMatchObject({
    code: 'notify.no_secret',
    message: expect.stringMatching(/^gateway\.public_url is set.*STOCKMESH_UNSUBSCRIBE_SECRET.*openssl rand -hex 32/),
  });
});

test.each([
  ['gateway.public_url', 'mesh.example.com', 'must be the address that people reach'],
  ['gateway.public_url', 'https://mesh.example.com/', 'must be the address that people reach'],
  ['gateway.public_url', 'ftp://mesh.example.com', 'must be the address that people reach'],
  ['notify.unsubscribe_secret', 'too short to be safe', 'must have 32 characters or more; "openssl rand -hex 32" makes one'],
])('%s %j is refused with the way out, and a secret is not shown', (key, value, way) => {
  const refused = () => mesh.config([operators], { [key]: value });
  expect(refused).toThrow(key);
  expect(refused).toThrow(way);
  if (key.endsWith('secret')) expect(refused).not.toThrow(value);
});
