/** From a mail that a real mail server took to the next event that is not told: by the header, by the page, and by nobody who only looks. */
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { noteReturned } from '../../../services/notifier/bounces/note.ts';
import { readReturned } from '../../../services/notifier/bounces/read.ts';
import { startNotifierService } from '../../../services/notifier/service.ts';
import { systemClock } from '../../../services/platform/clock.ts';
import type { RunningService } from '../../../services/platform/lifecycle.ts';
import { changeTold } from '../../../services/platform/notify/users.ts';
import { type NotifyEvent, tell } from '../../../services/platform/outbox.ts';
import { silent } from '../../broker/peers.ts';
import { postfix } from '../../notifier/bounces/returned-messages.ts';
import { picksReady } from '../../notifier/events.ts';
import { type MailServer, type Received, startMailServer } from '../../notifier/mail-server.ts';
import { gatewayMesh } from '../mesh.ts';

const PUBLIC = 'https://mesh.example.com';
const SECRET = 'a secret of the tests, which has more than 32 characters';
const soon = { timeout: 20_000, interval: 20 };
const mail: MailServer = await startMailServer();
const mesh = gatewayMesh({
  ...{ 'gateway.public_url': PUBLIC, 'notify.unsubscribe_secret': SECRET },
  ...{ 'notify.poll_interval': 0.05, 'notify.backoff': [0.05], 'notify.email.from': 'mesh@example.com' },
  ...{ 'notify.email.smtp_host': '127.0.0.1', 'notify.email.smtp_port': mail.port, 'notify.email.smtp_tls': 'none' },
  'notify.routes': [
    { name: 'operators', on: ['alert.raised', 'job.failed'], to: { email: ['ops@example.com'] } },
    { name: 'requester', on: ['picks.ready', 'history.ended'], to: { requester: true } },
    { name: 'many', on: ['alert.cleared', 'backfill.ended'], group_by: [], wait: 0.3, to: { email: ['many@example.com'] } },
  ],
});
let notifier: RunningService;
beforeAll(async () => {
  notifier = await startNotifierService({
    ...{ service: 'notifier', instance: 'notifier-1', config: mesh.config, dataFolder: mesh.folder, log: silent, clock: systemClock },
    ...{ db: mesh.db, bus: mesh.connect('notifier') },
  });
});
beforeEach(async () => {
  for (const table of ['notify_events', 'notify_messages', 'notify_deliveries', 'notify_users', 'notify_stops', 'audit_log'])
    await mesh.db.run(`DELETE FROM ${table}`);
  // Without a leader the notifier would tell of that, too.
  await mesh.db.run("REPLACE INTO leases (name, holder, until) VALUES ('scheduler', 'scheduler-1', '2036-01-01')");
  mail.received.length = 0;
});
afterAll(async () => {
  await notifier.drain();
  await mail.stop();
});

let subjects = 0;
const commit = (...events: Partial<NotifyEvent>[]): Promise<void> =>
  mesh.db.transaction(async (tx) =>
    tell(
      tx,
      events.map((event) => ({
        ...{
          name: 'alert.raised',
          severity: 'warning',
          subject: `alert:a${++subjects}`,
          details: { alert: `a${subjects}`, text: 'beyond' },
        },
        ...{ at: new Date(), ...event },
      })),
    ),
  );
const picks = (user: string) => commit(picksReady(user));
const received = async (count: number): Promise<Received> => {
  await vi.waitFor(() => expect(mail.received).toHaveLength(count), soon);
  return mail.received[count - 1]!;
};
/** All events are routed and all messages sent, or not to be. */
const settled = () =>
  vi.waitFor(async () => {
    expect(await mesh.db.rows('SELECT 1 FROM notify_events WHERE routed = 0')).toEqual([]);
    expect(await mesh.db.rows("SELECT 1 FROM notify_messages WHERE state IN ('open', 'sending')")).toEqual([]);
  }, soon);

/** As a reader of mail has them: unfolded (RFC 5322, 2.2.3). */
function headerOf({ raw }: Received, name: string): string | undefined {
  const head = raw.slice(0, raw.indexOf('\r\n\r\n')).replaceAll(/\r\n[ \t]+/g, ' ');
  return head
    .split('\r\n')
    .find((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
    ?.slice(name.length + 1)
    .trim();
}
/** RFC 2369, 2: addresses in angle brackets. */
const linkOf = (message: Received): string => /^<([^<>\s]+)>$/.exec(headerOf(message, 'List-Unsubscribe') ?? '')?.[1] ?? '';
/** What stands before the gateway passes the request on. */
const here = (link: string): string => {
  expect(link.startsWith(`${PUBLIC}/`)).toBe(true);
  return `${mesh.gateway.url}${link.slice(PUBLIC.length)}`;
};
const form = (fields: Record<string, string>) => ({ method: 'POST', body: new URLSearchParams(fields) });
/** RFC 8058, 3.1. */
const ONE_CLICK = { 'List-Unsubscribe': 'One-Click' };

describe('a program that reads mail ends messages by the header (RFC 8058)', () => {
  function multipart(): RequestInit {
    const body = new FormData();
    for (const [name, value] of Object.entries(ONE_CLICK)) body.append(name, value);
    return { method: 'POST', body };
  }

  test.each<[string, () => RequestInit]>([
    ['as multipart/form-data', multipart],
    ['as application/x-www-form-urlencoded', () => form(ONE_CLICK)],
  ])('%s: the next event of the kind is not told, one of another kind is', async (_, request) => {
    await commit({});
    const first = await received(1);
    expect(headerOf(first, 'List-Unsubscribe-Post')).toBe('List-Unsubscribe=One-Click');
    expect((await fetch(here(linkOf(first)), request())).status).toBe(200);
    await commit({}, { name: 'job.failed', subject: 'job:1', details: { type: 'fetch', symbol: 'AAPL' } });
    await settled();
    expect(mail.received.map(({ mail: { subject } }) => subject)).toEqual([
      expect.stringMatching(/^\[stockmesh\] alert a/),
      '[stockmesh] fetch job of AAPL failed',
    ]);
  });

  test('a user who asked for work is not told any more of its kind', async () => {
    await mesh.db.transaction(async (tx) => void (await changeTold(tx, 'alice', { email: 'alice@example.com' }, new Date())));
    await picks('alice');
    const first = await received(1);
    expect(first.to).toBe('alice@example.com');
    await fetch(here(linkOf(first)), form(ONE_CLICK));
    await picks('alice');
    await settled();
    expect(mail.received).toHaveLength(1);
    const [row] = await mesh.db.rows<{ email: string }>("SELECT email FROM notify_users WHERE user_id = 'alice'");
    expect(row?.email).toBe('alice@example.com');
  });

  test('twice is once: the second answer is the same, and the audit log has one line', async () => {
    await commit({});
    const link = here(linkOf(await received(1)));
    const answers = await Promise.all([1, 2, 3].map(async () => (await fetch(link, form(ONE_CLICK))).text()));
    expect(new Set(answers).size).toBe(1);
    const rows = await mesh.db.rows<{ target: string; details: string; source: string; actor: string | null }>(
      "SELECT target, details, source, actor FROM audit_log WHERE action = 'notify.user'",
    );
    expect(rows).toEqual([
      { target: 'user:ops@example.com', details: 'unwants alert.raised, by the link of a mail', source: 'http', actor: null },
    ]);
  });

  test('a message of several kinds ends all of them', async () => {
    const cleared = { name: 'alert.cleared' as const };
    await commit(cleared, { name: 'backfill.ended', subject: 'job:2', details: { type: 'backfill', symbol: 'AAPL' } });
    await fetch(here(linkOf(await received(1))), form(ONE_CLICK));
    await commit(cleared);
    await settled();
    expect(mail.received).toHaveLength(1);
  });

  test('a kind that the message does not show, being one of many, is ended too', async () => {
    // A message shows its first 50 events.
    const late = { name: 'backfill.ended' as const, subject: 'job:3', details: { type: 'backfill', symbol: 'AAPL' } };
    await commit(...Array.from({ length: 50 }, () => ({ name: 'alert.cleared' as const })), late);
    await fetch(here(linkOf(await received(1))), form(ONE_CLICK));
    await commit(late);
    await settled();
    expect(mail.received).toHaveLength(1);
  });
});

test('what is critical is told to an address of the configuration all the same', async () => {
  await commit({});
  await fetch(here(linkOf(await received(1))), form(ONE_CLICK));
  await commit({ severity: 'critical' });
  await received(2);
});

describe('the page of the link', () => {
  test('only looks: neither GET nor HEAD ends anything', async () => {
    await commit({});
    const first = await received(1);
    const link = here(linkOf(first));
    for (const method of ['GET', 'HEAD', 'GET']) expect((await fetch(link, { method })).status).toBe(200);
    expect(await mesh.db.rows('SELECT * FROM notify_users')).toEqual([]);
    await commit({});
    await received(2);
  });

  test('its button ends the messages, and its next one undoes that', async () => {
    await commit({});
    const link = here(linkOf(await received(1)));
    const press = async (html: string): Promise<string> => {
      // What a browser does with the only form of the page.
      expect(html.match(/<form /g)).toHaveLength(1);
      const [, name = '', value = ''] = /<input type="hidden" name="(\w+)" value="(\w+)">/.exec(html) ?? [];
      return (await fetch(link, form({ [name]: value }))).text();
    };
    const asked = await (await fetch(link)).text();
    expect(asked).toContain('<h1>Stop these messages?</h1>');
    const stopped = await press(asked);
    expect(stopped).toContain('<h1>These messages are stopped</h1>');
    expect(await (await fetch(link)).text()).toContain('<h1>These messages are stopped</h1>');
    const again = await press(stopped);
    expect(again).toContain('<h1>These messages are sent again</h1>');
    await commit({});
    await received(2);
  });

  test('runs nothing, loads nothing, is kept by nobody, and shows no whole address', async () => {
    await commit({});
    const answer = await fetch(here(linkOf(await received(1))));
    expect(answer.headers.get('content-security-policy')).toBe(
      "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    );
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('referrer-policy')).toBe('no-referrer');
    const html = await answer.text();
    expect(html).toContain('o…@example.com');
    expect(html).not.toMatch(/ops@|<script|<style|style=|src=/);
  });

  test('shows the name of a user as text', async () => {
    const user = '<b>"alice" & co</b>';
    await mesh.db.transaction(async (tx) => void (await changeTold(tx, user, { email: 'alice@example.com' }, new Date())));
    await picks(user);
    const html = await (await fetch(here(linkOf(await received(1))))).text();
    expect(html).toContain('&lt;b&gt;&quot;alice&quot; &amp; co&lt;/b&gt;');
    expect(html).not.toContain('<b>');
  });
});

test('an address from which mail came back says so, without its middle, and the button writes there again', async () => {
  await commit({});
  const first = await received(1);
  await noteReturned(mesh.db, await readReturned(Buffer.from(postfix({ messageId: first.id, to: first.to }))), new Date());
  const html = await (await fetch(here(linkOf(first)))).text();
  expect(html).toContain('mail came back from there: 5.1.1: 550 5.1.1 &lt;g…@far.example&gt;: Recipient address rejected');
  await commit({});
  await settled();
  expect(mail.received).toHaveLength(1);
  expect(await (await fetch(here(linkOf(first)), form({ wish: 'again' }))).text()).toContain('<h1>These messages are sent again</h1>');
  await commit({});
  await received(2);
  expect(await mesh.db.rows("SELECT target FROM audit_log WHERE action = 'notify.resume'")).toEqual([{ target: 'user:ops@example.com' }]);
});

test('the link stands in the text and in the HTML of the mail as it stands in the header', async () => {
  await commit({});
  const first = await received(1);
  const link = linkOf(first);
  expect(first.mail.text).toContain(`Stop messages of this kind (alert.raised): ${link}`);
  expect(first.mail.html).toContain(`<a href="${link}">Stop messages of this kind (alert.raised)</a>`);
});

describe('a link that was changed is refused with one line, and changes nothing', () => {
  const parts = (link: string) => {
    const [head = '', token = ''] = link.split('token=');
    const [text = '', signature = ''] = token.split('.');
    return { head, text, signature };
  };
  const textOf = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const changed: [string, (link: ReturnType<typeof parts>) => string][] = [
    ['another address', ({ head, signature }) => `${head}token=${textOf(['eve@example.com', 'alert.raised'])}.${signature}`],
    ['another kind', ({ head, signature }) => `${head}token=${textOf(['ops@example.com', 'job.failed'])}.${signature}`],
    ['no signature', ({ head, text }) => `${head}token=${text}`],
    ['an empty signature', ({ head, text }) => `${head}token=${text}.`],
    ['half a signature', ({ head, text, signature }) => `${head}token=${text}.${signature.slice(0, 20)}`],
    // 43 letters of base64 have two bits that no byte has: another last letter may be the same bytes.
    ['another spelling of the same signature', ({ head, text, signature }) => `${head}token=${text}.${sameBytes(signature)}`],
    ['one more part', ({ head, text, signature }) => `${head}token=${text}.${signature}.x`],
    ['a text that is none', ({ head }) => `${head}token=%00%ff`],
  ];
  function sameBytes(signature: string): string {
    const other = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_']
      .map((letter) => signature.slice(0, -1) + letter)
      .find((one) => one !== signature && Buffer.from(one, 'base64url').equals(Buffer.from(signature, 'base64url')));
    expect(other).toBeDefined();
    return other!;
  }

  test.each(changed)('%s', async (_, change) => {
    await commit({});
    const link = change(parts(here(linkOf(await received(1)))));
    const refused = await fetch(link, form(ONE_CLICK));
    expect(refused.status).toBe(400);
    const { detail } = (await refused.json()) as { detail: string };
    expect(detail).toMatch(/^(this link is not whole|query parameter)[^\n]*$/);
    expect(await mesh.db.rows('SELECT * FROM notify_users')).toEqual([]);
  });

  test('a person sees a page that says so', async () => {
    const answer = await fetch(`${mesh.gateway.url}/v1/unsubscribe?token=x`, { headers: { accept: 'text/html' } });
    expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining('<h1>This link does not work</h1>')]);
  });
});

test.each<[string, RequestInit, string]>([
  ['no form', { method: 'POST' }, 'request.invalid'],
  ['another wish', form({ wish: 'everything' }), 'request.invalid'],
  ['a field more', form({ ...ONE_CLICK, user: 'bob' }), 'request.invalid'],
  ['a field twice', { method: 'POST', body: new URLSearchParams('wish=stop&wish=again') }, 'request.name_twice'],
  [
    'a form that breaks off',
    { method: 'POST', body: '--x\r\nContent-Dis', headers: { 'content-type': 'multipart/form-data; boundary=x' } },
    'request.not_a_form',
  ],
  ['a form without end', form({ wish: 'x'.repeat(5_000) }), 'request.too_large'],
])('%s is refused, and changes nothing', async (_, request, code) => {
  await commit({});
  const answer = await fetch(here(linkOf(await received(1))), request);
  expect([answer.status >= 400 && answer.status < 500, ((await answer.json()) as { code: string }).code]).toEqual([true, code]);
  expect(await mesh.db.rows('SELECT * FROM notify_users')).toEqual([]);
});
