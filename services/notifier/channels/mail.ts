/** E-mail, by a mail server or a local program. */
import { readFileSync } from 'node:fs';
import { createTransport } from 'nodemailer';
import type { Config } from '../../platform/config/load.ts';
import { ConfigError, codeOf, messageOf } from '../../platform/errors.ts';
import { enhancedIn } from '../bounces/codes.ts';
import type { Rendered } from '../templates.ts';
import type { Outcome } from './outcome.ts';

export interface Letter extends Rendered {
  /** Of the message, the same for each try. */
  id: string;
  to: string;
  date: Date;
  /** Ends messages of this kind. */
  unsubscribe?: string | undefined;
}

export interface Mailer {
  send(letter: Letter): Promise<Outcome>;
  close(): void;
}

/** Undefined where the configuration names neither a server nor a program. Errors: `ConfigError('notify.ca_file')`. */
export function createMailer({ email }: Config['notify']): Mailer | undefined {
  const { from, sendmail, return_address } = email;
  if (from === null || (email.smtp_host === null && sendmail === null)) return undefined;
  const transport =
    sendmail === null ? createTransport(smtpOptions(email)) : createTransport({ sendmail: true, path: sendmail, newline: 'unix' });
  const domain = from.slice(from.lastIndexOf('@') + 1);
  return {
    async send({ id, to, date, subject, text, html, unsubscribe }) {
      try {
        await transport.sendMail({
          ...{ from, to, subject, text, html, date },
          envelope: { from: return_address ?? from, to },
          // RFC 3461, where the server knows it: what comes back names this id, and has the headers alone. Not an address of its own for each message (VERP): to receivers that
          // delay unknown senders each message would be of one.
          dsn: { id, return: 'headers', notify: ['failure', 'delay'], recipient: `rfc822;${to}` },
          // Else drawn at random: each try would send other bytes.
          baseBoundary: id,
          // Made of the delivery key: a receiver that gets a message twice sees that it is one.
          messageId: `<${id}@${domain}>`,
          // RFC 3834: no out-of-office answers, and none to those.
          headers: { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All', ...listHeaders(unsubscribe) },
        });
        return { kind: 'sent' };
      } catch (error) {
        return outcomeOf(error);
      }
    },
    close: () => transport.close(),
  };
}

/** RFC 2369, and RFC 8058 for a program that ends the messages itself when its user asks for it: there the link must be encrypted. */
function listHeaders(link: string | undefined): Record<string, string | { prepared: true; value: string }> {
  if (link === undefined) return {};
  return {
    // Prepared: else a long word is broken into lines.
    'List-Unsubscribe': { prepared: true, value: `<${link}>` },
    ...(link.startsWith('https:') ? { 'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click' } : {}),
  };
}

function smtpOptions(email: Config['notify']['email']) {
  const { smtp_host, smtp_port, smtp_tls, smtp_username, smtp_password, smtp_ca_file, answer_timeout, connections } = email;
  const timeout = answer_timeout * 1000;
  return {
    pool: true as const,
    maxConnections: connections,
    // The pool would send a message again by itself whose connection was cut, and nobody would know of it.
    maxRequeues: 0,
    host: smtp_host ?? undefined,
    port: smtp_port,
    secure: smtp_tls === 'implicit',
    requireTLS: smtp_tls === 'starttls',
    ignoreTLS: smtp_tls === 'none',
    ...(smtp_username === null ? {} : { auth: { user: smtp_username, pass: smtp_password ?? '' } }),
    ...(smtp_ca_file === null ? {} : { tls: { ca: certificate(smtp_ca_file) } }),
    ...{ connectionTimeout: timeout, greetingTimeout: timeout, socketTimeout: timeout, dnsTimeout: timeout },
  };
}

function certificate(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError('notify.ca_file', `notify.email.smtp_ca_file: ${messageOf(error)}; name a file that this user may read`, {
      cause: error,
    });
  }
}

/** Commands whose refusal is about this message; that of any other one is about the account or the server. RFC 5321, 4.2.1: 4xx may be taken later, 5xx never. */
const OF_MESSAGE = /^(RCPT TO|DATA|API)/;

function outcomeOf(error: unknown): Outcome {
  const { responseCode, command = '' } = error as { responseCode?: unknown; command?: string };
  const reason = `${messageOf(error)} (${codeOf(error)})`;
  const code = typeof responseCode === 'number' ? responseCode : undefined;
  // A local program says only whether it took the message. An address that is none is never taken.
  if (codeOf(error) === 'ESENDMAIL') return { kind: 'later', reason };
  if (codeOf(error) === 'EENVELOPE' && code === undefined) return { kind: 'refused', reason };
  // 421: the server closes (RFC 5321, 4.2.2).
  if (code === undefined || code === 421 || !OF_MESSAGE.test(command)) return { kind: 'away', reason };
  if (code < 500) return { kind: 'later', reason };
  const enhanced = enhancedIn((error as { response?: string }).response ?? '');
  return { kind: 'refused', reason, code: enhanced ?? String(code), isForReceiver: command.startsWith('RCPT TO') };
}
