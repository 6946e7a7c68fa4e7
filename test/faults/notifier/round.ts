/** Events while the notifier is killed again and again, and the mail server refuses, is slow or is gone a third of the time: what did each receiver get? */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { tell } from '../../../services/platform/outbox.ts';
import { type MailServer, startMailServer } from '../../notifier/mail-server.ts';
import type { TestMesh } from '../mesh.ts';
import { endProcess } from '../processes.ts';
import type { Round } from '../round.ts';

export interface NotifierRound extends Round {
  /** Messages that came again under the same id. A process that dies between the server's 250 and its commit cannot know that it was taken. */
  copies: number;
  /** Messages that came before an earlier one of their subject. */
  outOfOrder: number;
}

const SUBJECTS = 200;
const PATIENCE_SECONDS = 900;
/** Seconds in which the mail server works, and then does not. */
const GOOD_MS = 4_000;
const BAD_MS = 2_000;

/** `sent`: messages that there must be, two an event (e-mail and webhook). */
export async function notifierRound(mesh: TestMesh, { events, kills }: { events: number; kills: number }): Promise<NotifierRound> {
  const mail = await startMailServer();
  const room = await startRoom();
  for (const table of ['notify_events', 'notify_messages', 'notify_deliveries', 'notify_repeats'])
    await mesh.db.run(`DELETE FROM ${table}`);
  const file = join(mesh.dataFolder, '..', 'routes.yaml');
  writeFileSync(file, configuration(mail.port, room.url));
  const start = () => mesh.service('notifier', [], [file]);
  const stopSpoiling = spoil(mail);
  let notifier = await start();
  const started = performance.now();
  try {
    const writing = writeEvents(mesh, events);
    for (let kill = 1; kill <= kills; kill++) {
      const share = (events * 2 * kill) / (kills + 1);
      await untilSent(mesh, share);
      await endProcess(notifier, 'SIGKILL');
      notifier = await start();
    }
    await writing;
    await untilSent(mesh, events * 2);
    const recoverySeconds = (performance.now() - started) / 1000;
    await endProcess(notifier, 'SIGTERM');
    return count(mesh, events, [mail.received.map(({ id, mail: { text = '' } }) => ({ id, text })), room.heard], recoverySeconds);
  } finally {
    stopSpoiling();
    await endProcess(notifier, 'SIGKILL');
    await Promise.all([mail.stop(), room.close()]);
  }
}

const configuration = (port: number, url: string): string => `job_processor:
  notify:
    poll_interval: 0.1
    backoff: [0.5, 1, 2]
    daily_cap: 1000000
    routes:
      - { name: operators, on: [alert.raised], to: { email: [ops@example.com] } }
      - { name: chat, on: [alert.raised], to: { webhook: { url: "${url}", format: json } } }
    email: { from: mesh@example.com, smtp_host: 127.0.0.1, smtp_port: ${port}, smtp_tls: none, answer_timeout: 10, connections: 8 }
`;

interface Got {
  id: string;
  text: string;
}

async function startRoom(): Promise<{ url: string; heard: Got[]; close(): Promise<void> }> {
  const heard: Got[] = [];
  let tries = 0;
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    // A third of the tries in blocks: some faults of its own, some connections that are cut after the message was taken.
    const kind = Math.floor(tries++ / 50) % 6;
    if (kind === 4) return void response.writeHead(503).end();
    const { id, text } = JSON.parse(Buffer.concat(parts).toString()) as Got;
    heard.push({ id, text });
    if (kind === 5 && tries % 10 === 0) request.socket.destroy();
    else response.writeHead(204).end();
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    heard,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** A third of the time the server puts messages off, answers late, cuts connections, or is gone; one after the other. */
function spoil(mail: MailServer): () => void {
  let stopped = false;
  const faults: (() => Promise<void> | void)[] = [
    () => mail.answer(() => ({ code: 451, text: 'try later' })),
    () => mail.answer(() => delay(1_500)),
    () => mail.answer((_, nth) => (nth % 3 === 0 ? 'cut after taking' : 'cut')),
    () => mail.stop(),
  ];
  void (async () => {
    for (let turn = 0; !stopped; turn++) {
      await delay(GOOD_MS);
      if (stopped) return;
      await faults[turn % faults.length]?.();
      await delay(BAD_MS);
      mail.answer(() => 'take');
      if (turn % faults.length === 3 && !stopped) await mail.start();
    }
  })();
  return () => {
    stopped = true;
  };
}

/** Each of `SUBJECTS` alerts has its events in the order of their numbers. */
async function writeEvents({ db }: TestMesh, events: number): Promise<void> {
  for (let from = 0; from < events; from += 100) {
    const some = Array.from({ length: Math.min(100, events - from) }, (_, index) => from + index);
    await db.transaction(async (tx) =>
      tell(
        tx,
        some.map((number) => {
          const alert = `a${number % SUBJECTS}`;
          return {
            ...({ name: 'alert.raised', severity: 'warning', subject: `alert:${alert}`, at: new Date() } as const),
            details: { alert, text: `${alert} number ${number}.` },
          };
        }),
      ),
    );
  }
}

async function untilSent({ db }: TestMesh, messages: number): Promise<void> {
  const end = performance.now() + PATIENCE_SECONDS * 1000;
  while (performance.now() < end) {
    const [row] = await db.rows<{ sent: number }>("SELECT COUNT(*) AS sent FROM notify_messages FORCE INDEX (ix_due) WHERE state = 'sent'");
    if (Number(row?.sent) >= messages) return;
    await delay(50);
  }
  throw new Error(`${messages} messages were not sent within ${PATIENCE_SECONDS} s`);
}

async function count(
  { db }: TestMesh,
  events: number,
  receivers: readonly (readonly Got[])[],
  recoverySeconds: number,
): Promise<NotifierRound> {
  const round: NotifierRound = { sent: events * 2, done: 0, lost: 0, doubled: 0, failed: 0, copies: 0, outOfOrder: 0, recoverySeconds };
  for (const got of receivers) {
    const ids = new Set<string>();
    const numbers = new Map<number, number>();
    const last = new Map<string, number>();
    for (const { id, text } of got) {
      // A receiver that looks at the id drops these.
      if (ids.has(id)) {
        round.copies++;
        continue;
      }
      ids.add(id);
      const [, alert = '', digits] = /\b(a\d+) number (\d+)\./.exec(text) ?? [];
      const number = Number(digits);
      numbers.set(number, (numbers.get(number) ?? 0) + 1);
      if ((last.get(alert) ?? -1) > number) round.outOfOrder++;
      last.set(alert, number);
    }
    round.done += numbers.size;
    round.doubled += [...numbers.values()].reduce((sum, times) => sum + times - 1, 0);
  }
  round.lost = round.sent - round.done;
  const [row] = await db.rows<{ others: number }>("SELECT COUNT(*) AS others FROM notify_messages WHERE state <> 'sent'");
  round.failed = Number(row?.others) + round.outOfOrder;
  return round;
}
