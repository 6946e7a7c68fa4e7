/**
 * Returned messages as mail systems write them: the fields, the order of the parts and the words are those of each, names and texts are invented. Sources of the forms: RFC 3464
 * with its examples, the manuals of Postfix (bounce(5)) and Exim ("Format of bounce messages"), Microsoft's "NDR" reference, and QSBMF for qmail.
 */

export interface Sent {
  /** `<…@example.com>` of the message that comes back. */
  messageId: string;
  to: string;
  /** The envelope id of the message, where the server kept it. */
  envelopeId?: string;
}

export type Written = (sent: Sent) => string;

const crlf = (lines: readonly string[]): string => lines.join('\r\n');
const copyOf = ({ messageId, to }: Sent): string[] => [
  'Received: from mesh.example.com (mesh.example.com [192.0.2.7])',
  '\tby mx.example.com (Postfix) with ESMTPS id 4B2C81F;',
  '\tTue,  2 Jun 2026 12:00:01 +0000 (UTC)',
  'From: mesh@example.com',
  `To: ${to}`,
  'Subject: [stockmesh] alert no_worker',
  `Message-ID: ${messageId}`,
  'Date: Tue, 02 Jun 2026 12:00:00 +0000',
];

interface Fields {
  status: string;
  action: string;
  diagnostic: string | undefined;
  final?: string;
  original?: string;
}

const postfixWith =
  (words: string, { status, action, diagnostic, final, original }: Fields): Written =>
  (sent) =>
    crlf([
      'Return-Path: <>',
      'Received: by mx.example.com (Postfix)',
      '\tid 5D0E32A; Tue,  2 Jun 2026 12:00:03 +0000 (UTC)',
      'Date: Tue,  2 Jun 2026 12:00:03 +0000 (UTC)',
      'From: MAILER-DAEMON@mx.example.com (Mail Delivery System)',
      `Subject: ${action === 'delayed' ? 'Delayed Mail (still being retried)' : 'Undelivered Mail Returned to Sender'}`,
      'To: mesh@example.com',
      'Auto-Submitted: auto-replied',
      'MIME-Version: 1.0',
      'Content-Type: multipart/report; report-type=delivery-status;',
      '\tboundary="4B2C81F.1780401603/mx.example.com"',
      'Message-Id: <20260602120003.5D0E32A@mx.example.com>',
      '',
      'This is a MIME-encapsulated message.',
      '',
      '--4B2C81F.1780401603/mx.example.com',
      'Content-Description: Notification',
      'Content-Type: text/plain; charset=us-ascii',
      '',
      'This is the mail system at host mx.example.com.',
      '',
      words,
      '',
      '--4B2C81F.1780401603/mx.example.com',
      'Content-Description: Delivery report',
      'Content-Type: message/delivery-status',
      '',
      'Reporting-MTA: dns; mx.example.com',
      ...(sent.envelopeId === undefined ? [] : [`Original-Envelope-Id: ${sent.envelopeId}`]),
      'X-Postfix-Queue-ID: 4B2C81F',
      'X-Postfix-Sender: rfc822; mesh@example.com',
      'Arrival-Date: Tue,  2 Jun 2026 12:00:01 +0000 (UTC)',
      '',
      `Final-Recipient: rfc822; ${final ?? sent.to}`,
      `Original-Recipient: rfc822;${original ?? sent.to}`,
      `Action: ${action}`,
      `Status: ${status}`,
      'Remote-MTA: dns; mx.far.example',
      ...(diagnostic === undefined ? [] : [`Diagnostic-Code: smtp; ${diagnostic}`]),
      '',
      '--4B2C81F.1780401603/mx.example.com',
      'Content-Description: Undelivered Message Headers',
      'Content-Type: text/rfc822-headers',
      '',
      ...copyOf(sent),
      '',
      '--4B2C81F.1780401603/mx.example.com--',
      '',
    ]);

/** The address of the host begins like a code. */
const UNKNOWN = '550 5.1.1 <gone@far.example>:\r\n    Recipient address rejected: User unknown';
export const postfix = postfixWith(`host mx.far.example[5.9.1.2] said: ${UNKNOWN}`, {
  ...{ status: '5.1.1', action: 'failed', diagnostic: UNKNOWN },
});
export const postfixDelayed = postfixWith('Your message could not be delivered for more than 4 hours.', {
  ...{ status: '4.4.1', action: 'delayed', diagnostic: '451 4.4.1 connection timed out' },
});
export const postfixExpired = postfixWith('connect to mx.far.example[192.0.2.9]:25: Connection timed out', {
  ...{ status: '4.4.1', action: 'failed', diagnostic: undefined },
});
/** A member of a list, or where a mailbox is passed on to. */
export const postfixForwarded = postfixWith('host mx.far.example[192.0.2.9] said: 550 5.1.1 unknown', {
  ...{ status: '5.1.1', action: 'failed', diagnostic: '550 5.1.1 unknown', final: 'somebody.else@far.example' },
});
export const postfixDelivered = postfixWith('Your message was delivered.', {
  ...{ status: '2.0.0', action: 'delivered', diagnostic: '250 2.0.0 Ok' },
});

/** Of today: a report whose status is 5.0.0, whatever the server said. */
export const exim: Written = (sent) =>
  crlf([
    'Received: from Debian-exim by relay.example.com with local (Exim 4.96)',
    '\tid 1rTbZk-0001Aa-2B; Tue, 02 Jun 2026 12:00:04 +0000',
    `X-Failed-Recipients: ${sent.to}`,
    'Auto-Submitted: auto-replied',
    'From: Mail Delivery System <Mailer-Daemon@relay.example.com>',
    'To: mesh@example.com',
    `References: ${sent.messageId}`,
    'Content-Type: multipart/report; report-type=delivery-status; boundary=1780401604-eximdsn-1804289383',
    'MIME-Version: 1.0',
    'Subject: Mail delivery failed: returning message to sender',
    'Message-Id: <E1rTbZk-0001Aa-2B@relay.example.com>',
    'Date: Tue, 02 Jun 2026 12:00:04 +0000',
    '',
    '--1780401604-eximdsn-1804289383',
    'Content-type: text/plain; charset=us-ascii',
    '',
    'This message was created automatically by mail delivery software.',
    '',
    'A message that you sent could not be delivered to one or more of its',
    'recipients. This is a permanent error. The following address(es) failed:',
    '',
    `  ${sent.to}`,
    '    host mx.far.example [192.0.2.9]',
    `    SMTP error from remote mail server after RCPT TO:<${sent.to}>:`,
    '    550 5.2.1 The account is disabled',
    '',
    '--1780401604-eximdsn-1804289383',
    'Content-type: message/delivery-status',
    '',
    'Reporting-MTA: dns; relay.example.com',
    '',
    'Action: failed',
    `Final-Recipient: rfc822;${sent.to}`,
    'Status: 5.0.0',
    'Remote-MTA: dns; mx.far.example',
    'Diagnostic-Code: smtp; 550 5.2.1 The account is disabled',
    '',
    '--1780401604-eximdsn-1804289383',
    'Content-type: message/rfc822',
    '',
    ...copyOf(sent),
    '',
    'nobody works',
    '--1780401604-eximdsn-1804289383--',
    '',
  ]);

const eximInWords =
  (failed: (sent: Sent) => string[], head: (sent: Sent) => string[], subject: string): Written =>
  (sent) =>
    crlf([
      'Return-path: <>',
      ...head(sent),
      'From: Mail Delivery System <Mailer-Daemon@relay.example.com>',
      'To: mesh@example.com',
      `Subject: ${subject}`,
      'Message-Id: <E1rTbZk-0001Aa-2B@relay.example.com>',
      'Date: Tue, 02 Jun 2026 12:00:04 +0000',
      '',
      'This message was created automatically by mail delivery software.',
      '',
      ...failed(sent),
      '',
      '------ This is a copy of the message, including all the headers. ------',
      '',
      'Return-path: <mesh@example.com>',
      ...copyOf(sent),
      '',
      'What was sent said 421 4.7.0 of something else.',
      '',
    ]);

/** Of before 2013: no report, only words and a header. */
export const eximOld = eximInWords(
  ({ to }) => [
    'A message that you sent could not be delivered to one or more of its',
    'recipients. This is a permanent error. The following address(es) failed:',
    '',
    `  ${to}`,
    `    SMTP error from remote mail server after RCPT TO:<${to}>:`,
    '    host mx.far.example [5.9.1.2]: 550 No such user here',
  ],
  ({ to }) => [`X-Failed-Recipients: ${to}`],
  'Mail delivery failed: returning message to sender',
);
export const eximExpired = eximInWords(
  ({ to }) => ['The following address(es) failed:', '', `  ${to}`, '    retry timeout exceeded'],
  ({ to }) => [`X-Failed-Recipients: ${to}`],
  'Mail delivery failed: returning message to sender',
);
export const eximDelayed = eximInWords(
  ({ to }) => [
    'A message that you sent has not yet been delivered to one or more of its',
    'recipients after more than 24 hours on the queue on relay.example.com.',
    '',
    'The address to which the message has not yet been delivered is:',
    '',
    `  ${to}`,
  ],
  () => [],
  'Warning: message 1rTbZk-0001Aa-2B delayed 24 hours',
);

/** The fields in UTF-8 and base64, words as HTML, and the copy as headers. No envelope id. */
export const exchange: Written = (sent) =>
  crlf([
    'From: Microsoft Outlook',
    '\t<MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@corp.example>',
    'To: <mesh@example.com>',
    'Date: Tue, 2 Jun 2026 12:00:05 +0000',
    'Content-Type: multipart/report; report-type=delivery-status;',
    '\tboundary="_b3c1f0a2-5a0e-4c55-9d52-77a1d2f3e001_"',
    'Content-Language: en-US',
    'Message-ID: <9d2f1c55-0f9e-4a51-8d02-2c6d6b0a1e77@MAIL01.corp.example>',
    `In-Reply-To: ${sent.messageId}`,
    `References: ${sent.messageId}`,
    'Subject: Undeliverable: [stockmesh] alert no_worker',
    'Auto-Submitted: auto-replied',
    'MIME-Version: 1.0',
    '',
    '--_b3c1f0a2-5a0e-4c55-9d52-77a1d2f3e001_',
    'Content-Type: multipart/alternative; differences=Content-Type;',
    '\tboundary="_2f8a9c11-6d13-49a4-a0c6-1c9f8f2b7d10_"',
    '',
    '--_2f8a9c11-6d13-49a4-a0c6-1c9f8f2b7d10_',
    'Content-Type: text/html; charset="utf-8"',
    'Content-Transfer-Encoding: base64',
    '',
    Buffer.from('<html><body><p>Ihre Nachricht konnte nicht zugestellt werden. Überprüfen Sie die Adresse.</p></body></html>').toString(
      'base64',
    ),
    '',
    '--_2f8a9c11-6d13-49a4-a0c6-1c9f8f2b7d10_--',
    '',
    '--_b3c1f0a2-5a0e-4c55-9d52-77a1d2f3e001_',
    'Content-Type: message/delivery-status',
    'Content-Transfer-Encoding: base64',
    '',
    Buffer.from(
      crlf([
        'Reporting-MTA: dns;MAIL01.corp.example',
        'Received-From-MTA: dns;mx.example.com',
        'Arrival-Date: Tue, 2 Jun 2026 12:00:04 +0000',
        '',
        `Original-Recipient: rfc822;${sent.to}`,
        `Final-Recipient: rfc822;${sent.to.toUpperCase()}`,
        'Action: failed',
        'Status: 5.1.10',
        'Diagnostic-Code: smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient',
        ' not found by SMTP address lookup',
        'X-Display-Name: Überwachung',
        '',
      ]),
    ).toString('base64'),
    '',
    '--_b3c1f0a2-5a0e-4c55-9d52-77a1d2f3e001_',
    'Content-Type: text/rfc822-headers',
    '',
    ...copyOf({ ...sent, messageId: `\r\n\t${sent.messageId}` }),
    '',
    '--_b3c1f0a2-5a0e-4c55-9d52-77a1d2f3e001_--',
    '',
  ]);

export const qmail: Written = (sent) =>
  crlf([
    'Return-Path: <>',
    'Date: 2 Jun 2026 12:00:06 -0000',
    'From: MAILER-DAEMON@old.example',
    'To: mesh@example.com',
    'Subject: failure notice',
    '',
    'Hi. This is the qmail-send program at old.example.',
    "I'm afraid I wasn't able to deliver your message to the following addresses.",
    "This is a permanent error; I've given up. Sorry it didn't work out.",
    '',
    `<${sent.to}>:`,
    'Sorry, no mailbox here by that name. (#5.1.1)',
    '',
    '--- Below this line is a copy of the message.',
    '',
    'Return-Path: <mesh@example.com>',
    ...copyOf(sent),
    '',
    'nobody works',
    '',
  ]);

/** Comes to the same address, and is no returned message. */
export const outOfOffice: Written = (sent) =>
  crlf([
    'Return-Path: <>',
    `From: ${sent.to}`,
    'To: mesh@example.com',
    'Subject: Automatic reply: [stockmesh] alert no_worker',
    `In-Reply-To: ${sent.messageId}`,
    'Auto-Submitted: auto-replied',
    '',
    'I am away until June 8. Call 550 1234 if it burns, room 5.1.1.',
    '',
  ]);
