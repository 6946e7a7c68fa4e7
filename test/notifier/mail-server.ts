/** A real mail server in this process (`smtp-server`), whose answers a test chooses. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type ParsedMail, simpleParser } from 'mailparser';
import { SMTPServer, type SMTPServerSession } from 'smtp-server';

/** What the server does with a message: takes it, answers with an error, cuts the connection, or answers only when it is told to. */
export type Answer = 'take' | { code: number; text: string; at?: 'rcpt' | 'data' } | 'cut' | 'cut after taking' | Promise<void>;

export interface Received {
  id: string;
  to: string;
  /** Of the envelope: where the message returns to. */
  from: string;
  /** RFC 3461: ENVID and NOTIFY. */
  envelopeId: string | undefined;
  notify: string | undefined;
  raw: string;
  mail: ParsedMail;
}

export interface MailServer {
  readonly port: number;
  /** In the order in which it took them; a message that came twice is here twice. */
  readonly received: Received[];
  /** Tries that it did not take. */
  readonly refused: number;
  /** Chooses the answer to each message from now on. */
  answer(choose: (to: string, nth: number) => Answer): void;
  stop(): Promise<void>;
  /** Listens again on its port. */
  start(): Promise<void>;
}

export async function startMailServer(port = 0): Promise<MailServer> {
  const received: Received[] = [];
  let choose: (to: string, nth: number) => Answer = () => 'take';
  let nth = 0;
  let refused = 0;
  let server: SMTPServer | undefined;
  const fault = ({ code, text }: { code: number; text: string }): Error => Object.assign(new Error(text), { responseCode: code });
  const chosen = new WeakMap<object, Answer>();
  const sockets = new Set<{ destroy(): void }>();

  async function start(): Promise<void> {
    server = new SMTPServer({
      authOptional: true,
      hideDSN: false,
      disabledCommands: ['STARTTLS', 'AUTH'],
      onRcptTo({ address }, session, done) {
        const answer = choose(address, nth++);
        chosen.set(session, answer);
        if (typeof answer === 'object' && 'code' in answer && answer.at !== 'data') {
          refused++;
          return done(fault(answer));
        }
        done();
      },
      onData(stream, session, done) {
        const parts: Buffer[] = [];
        stream.on('data', (part: Buffer) => parts.push(part));
        stream.once('end', async () => {
          const answer = chosen.get(session) ?? 'take';
          if (typeof answer === 'object' && 'code' in answer) {
            refused++;
            return done(fault(answer));
          }
          if (answer === 'cut') {
            refused++;
            for (const socket of sockets) socket.destroy();
            return;
          }
          if (answer instanceof Promise) await answer;
          const raw = Buffer.concat(parts).toString();
          const mail = await simpleParser(raw);
          const { mailFrom, rcptTo, dsn } = session.envelope as SMTPServerSession['envelope'] & { dsn?: { envid?: string } };
          received.push({
            ...{ id: mail.messageId ?? '', to: rcptTo.map(({ address }) => address).join(), raw, mail },
            ...{ from: mailFrom === false ? '' : mailFrom.address, envelopeId: dsn?.envid },
            notify: (rcptTo[0] as { dsn?: { notify?: string[] } } | undefined)?.dsn?.notify?.join(),
          });
          if (answer === 'cut after taking') for (const socket of sockets) socket.destroy();
          else done();
        });
      },
    });
    server.server.on('connection', (socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
    server.on('error', () => undefined);
    server.listen(port, '127.0.0.1');
    await once(server.server, 'listening');
    port = (server.server.address() as AddressInfo).port;
  }
  await start();
  return {
    get port() {
      return port;
    },
    received,
    get refused() {
      return refused;
    },
    answer(next) {
      choose = next;
      nth = 0;
    },
    start,
    async stop() {
      const stopping = server;
      server = undefined;
      if (stopping === undefined) return;
      const closed = new Promise<void>((resolve) => stopping.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
