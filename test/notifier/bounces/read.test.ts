/** What is read of returned messages, as several mail systems write them. */
import { expect, test } from 'vitest';
import { readReturned } from '../../../services/notifier/bounces/read.ts';
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
} from './returned-messages.ts';

const ID = '0123456789abcdef0123456789abcdef';
const sent = { messageId: `<${ID}@example.com>`, to: 'ops@example.com' };
const read = (text: string) => readReturned(Buffer.from(text));

test.each<[string, Written, string, string | null, RegExp]>([
  ['Postfix, an unknown user', postfix, 'failed', '5.1.1', /^550 5\.1\.1 <gone@far\.example>: Recipient address rejected: User unknown$/],
  ['Postfix, a delay', postfixDelayed, 'delayed', '4.4.1', /connection timed out/],
  ['Postfix, given up after days', postfixExpired, 'failed', '4.4.1', /./],
  // Its status is 5.0.0: the code of the server is better.
  ['Exim', exim, 'failed', '5.2.1', /^550 5\.2\.1 The account is disabled$/],
  // The host's address in the same line is 5.9.1.2.
  ['Exim of before reports, in words', eximOld, 'failed', '550', /550 No such user here/],
  ['Exim, given up after days', eximExpired, 'failed', '4.4.7', /retry timeout exceeded/],
  ['Exim, a delay in words', eximDelayed, 'delayed', null, /has not yet been delivered/],
  ['Exchange', exchange, 'failed', '5.1.10', /^550 5\.1\.10 RESOLVER\.ADR\.RecipientNotFound; Recipient not found by SMTP address lookup$/],
  ['qmail', qmail, 'failed', '5.1.1', /no mailbox here by that name/],
  ['Postfix, a success', postfixDelivered, 'delivered', '2.0.0', /./],
])('%s', async (_, write, outcome, code, reason) => {
  expect(await read(write(sent))).toMatchObject({ message: ID, fates: [{ outcome, code, reason: expect.stringMatching(reason) }] });
});

test.each<[string, Written]>([
  ['Postfix', postfix],
  ['Exim', exim],
  ['Exim of before reports', eximOld],
  ['Exim, a delay', eximDelayed],
  ['Exchange, in capitals', exchange],
  ['qmail', qmail],
])('%s: who did not get it is read in lower case', async (_, write) => {
  const { fates } = await read(write(sent));
  expect(fates.map(({ addresses }) => addresses.final)).toEqual(['ops@example.com']);
});

test('of a message that was passed on it is known to whom, and to whom it was sent', async () => {
  const { fates } = await read(postfixForwarded(sent));
  expect(fates[0]?.addresses).toEqual({ original: 'ops@example.com', final: 'somebody.else@far.example' });
});

test('the envelope id that a server kept tells the message where the copy was cut off', async () => {
  const text = postfix({ ...sent, messageId: '<another@far.example>', envelopeId: ID });
  expect(await read(text)).toMatchObject({ message: ID });
});

test.each<[string, string, string]>([
  ['nothing', '', 'notify.bounce_unreadable'],
  ['a text', 'no header, only\nlines', 'notify.not_a_bounce'],
  ['lines without end', `From: mailer-daemon@example.com\r\n\r\n${'550 no\r\n'.repeat(60_000)}`, 'notify.bounce_unreadable'],
  ['an automatic reply', outOfOffice(sent), 'notify.not_a_bounce'],
  ['a mail of a person', 'From: bob@example.com\nSubject: hello\n\n550 5.1.1 is what I got', 'notify.not_a_bounce'],
  ['a returned message of somebody else', postfix({ ...sent, messageId: '<20260602@elsewhere.example>' }), 'notify.bounce_foreign'],
  ['parts in parts without end', nested(200), 'notify.bounce_unreadable'],
  ['headers without end', `${'X-Long: x\r\n'.repeat(40_000)}\r\nbody`, 'notify.bounce_unreadable'],
])('%s is refused with one line', async (_, text, code) => {
  await expect(read(text)).rejects.toMatchObject({ code, message: expect.stringMatching(/^[^\n]+$/) });
});

function nested(depth: number): string {
  const open = Array.from({ length: depth }, (_, level) => `Content-Type: multipart/mixed; boundary="b${level}"\r\n\r\n--b${level}\r\n`);
  return `From: mailer-daemon@example.com\r\n${open.join('')}\r\nend`;
}

test.each<[string, string]>([
  ['blank lines', '\n'.repeat(40_000).padEnd(1_000_000, ' ')],
  ['open brackets', '<'.repeat(1_000_000)],
  ['quoted lines', '> '.repeat(500_000)],
  ['blanks', ' '.repeat(1_000_000)],
  ['codes', '550 5.1.1 '.repeat(100_000)],
  ['dashes', '-'.repeat(1_000_000)],
])('a megabyte of %s is read in less than a second of processor time', async (_, text) => {
  for (const type of ['text/plain', 'text/html', 'message/delivery-status']) {
    const before = process.cpuUsage();
    await read(`From: mailer-daemon@example.com\r\nContent-Type: ${type}\r\n\r\n${text}`).catch(() => undefined);
    expect(process.cpuUsage(before).user / 1e6).toBeLessThan(1);
  }
});
