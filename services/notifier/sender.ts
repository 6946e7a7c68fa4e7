/** Sends what is due: mail by its connections, webhooks some at once. What a try came to is written before the next message of its lane is claimed. */
import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { after, nowOf } from '../ledger/job.ts';
import type { Clock } from '../platform/clock.ts';
import { COMMAND } from '../platform/command-name.ts';
import type { Config } from '../platform/config/load.ts';
import type { Database } from '../platform/database/database.ts';
import { codeOf, messageOf, TransientError } from '../platform/errors.ts';
import type { Logger } from '../platform/log/log.ts';
import { isOfMailbox, readStop } from '../platform/notify/stops.ts';
import { unsubscribeLink } from '../platform/notify/unsubscribe.ts';
import { emailOf, isUnwanted, readTold } from '../platform/notify/users.ts';
import { shellWord } from '../platform/text/shell-word.ts';
import { createMailer, type Mailer } from './channels/mail.ts';
import type { Outcome } from './channels/outcome.ts';
import { post } from './channels/webhook.ts';
import { createPauses } from './pauses.ts';
import type { Channel } from './routes.ts';
import { claimMessages, type Message, type Result, renew, writeResult } from './store/claim.ts';
import { render } from './templates.ts';

export interface Sender {
  /** Starts the sending of what is due, as much as there is room for. */
  start(): Promise<void>;
  /** Messages of this process that are being sent. */
  running(): number;
  /** Tries by channel and outcome. */
  readonly counts: ReadonlyMap<string, number>;
  /** Receivers that take nothing now. */
  paused(): string[];
  /** Waits for what is under way. */
  close(): Promise<void>;
}

interface Parts {
  db: Database;
  clock: Clock;
  config: Config;
  log: Logger;
  /** A message was sent, or was not: there is room for the next one. */
  onOver(): void;
}

const MAIL: readonly Channel[] = ['email', 'requester'];
/** Webhooks that are called at once. */
const WEBHOOKS = 8;
/** The lease of a message, in looks: a process that dies leaves its messages for so long. */
const LEASE_LOOKS = 30;
/** ±20 %, so that what was put off together does not come back together. */
const JITTER = 0.2;
/** All mail goes by one server. */
const MAIL_SERVER = 'the mail server';

const receiverOf = ({ channel, recipient }: Pick<Message, 'channel' | 'recipient'>): string =>
  channel === 'webhook' ? recipient : MAIL_SERVER;

export function createSender(parts: Parts): Sender {
  const { db, config, log } = parts;
  const { notify } = config;
  const mailer = createMailer(notify);
  const pauses = createPauses(notify.poll_interval * 5);
  const rules = { routes: notify.routes, dailyCap: notify.daily_cap, leaseSeconds: notify.poll_interval * LEASE_LOOKS };
  const running = new Map<string, Channel>();
  const sending = new Set<Promise<void>>();
  const counts = new Map<string, number>();
  let closed = false;

  async function attempt(message: Message): Promise<void> {
    const { outcome, address } = await deliver(parts, mailer, message);
    const now = nowOf(parts);
    const key = `${message.channel} ${outcome.kind}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
    const receiver = receiverOf(message);
    if (outcome.kind === 'away') {
      const seconds = pauses.away(receiver, now, outcome.seconds);
      if (seconds !== undefined)
        log.warn({ receiver }, `${receiver} takes nothing now and is tried again in ${seconds} s: ${outcome.reason}`);
    } else if (outcome.kind !== 'suppressed') pauses.back(receiver);
    const result = { ...resultOf(outcome, message, config, now), address };
    if (result.state !== 'sent')
      log.warn(
        { route: message.route.name, message: message.id, attempt: message.attempt },
        `message ${result.state === 'sending' ? `is tried again at ${result.at.toISOString()}` : `was not sent (${result.state})`}: ${result.error}`,
      );
    await untilWritten(() => writeResult(db, message, result), log);
  }

  /** Claims what there is room for and starts its sending. */
  async function claimFor(channels: readonly Channel[], places: number): Promise<void> {
    const now = nowOf(parts);
    const busy = [...running.values()].filter((channel) => channels.includes(channel)).length;
    const isMail = channels === MAIL;
    // One message tries a mail server that was away; the others wait for what becomes of it.
    const room = isMail && pauses.isTried(MAIL_SERVER) ? 1 - busy : places - busy;
    if (room <= 0 || (isMail && pauses.isPaused(MAIL_SERVER, now))) return;
    const wanted = { channels, most: room, except: isMail ? [] : pauses.paused(now), running: new Set(running.keys()) };
    for (const message of await claimMessages(db, wanted, rules, now)) {
      running.set(message.id, message.channel);
      const over = attempt(message)
        .catch((error: unknown) =>
          log.warn({ message: message.id, code: codeOf(error) }, `message tried again after its lease: ${messageOf(error)}`),
        )
        .finally(() => {
          running.delete(message.id);
          sending.delete(over);
          if (!closed) parts.onOver();
        });
      sending.add(over);
    }
  }

  const renewing = setInterval(
    () =>
      void renew(db, running.keys(), rules.leaseSeconds, nowOf(parts)).catch((error: unknown) =>
        log.warn({ code: codeOf(error) }, `could not renew the leases of messages: ${messageOf(error)}`),
      ),
    (rules.leaseSeconds * 1000) / 3,
  );

  return {
    counts,
    running: () => running.size,
    paused: () => pauses.paused(nowOf(parts)),
    async start() {
      if (closed) return;
      await claimFor(MAIL, notify.email.connections);
      await claimFor(['webhook'], WEBHOOKS);
    },
    async close() {
      closed = true;
      await Promise.all(sending);
      clearInterval(renewing);
      mailer?.close();
    },
  };
}

/** One try. `address`: where e-mail was sent. */
async function deliver(
  { db, config }: Parts,
  mailer: Mailer | undefined,
  message: Message,
): Promise<{ outcome: Outcome; address?: string }> {
  const { notify } = config;
  const { id, route, channel, recipient, date, severity, events, eventCount, kinds } = message;
  const suppressed = (reason: string): { outcome: Outcome } => ({ outcome: { kind: 'suppressed', reason } });
  if (channel === 'webhook') {
    const { webhook } = route.to;
    if (webhook === undefined) return suppressed(`the route ${route.name} has no webhook any more`);
    const about = { ...render(message), id, route: route.name, severity, events, eventCount };
    return { outcome: await post(webhook.url, webhook.format, about, notify.webhook_timeout * 1000) };
  }
  if (mailer === undefined) return suppressed('the configuration names no mail server (notify.email)');
  const { address, whyNot } = await addressOf(db, message);
  if (whyNot !== undefined) return suppressed(whyNot);
  const about = { who: recipient, events: kinds };
  const stop = { ...about, url: kinds.length === 0 ? undefined : unsubscribeLink(config, about) };
  return { outcome: await mailer.send({ ...render(message, stop), id, to: address, date, unsubscribe: stop.url }), address };
}

type Whither = { address: string; whyNot?: undefined } | { address?: undefined; whyNot: string };

/** Where a message is sent to, or why it is not. */
async function addressOf(db: Database, { recipient, channel, severity, kinds }: Message): Promise<Whither> {
  const told = (await readTold(db, [recipient])).get(recipient);
  if (kinds.length > 0 && kinds.every((name) => isUnwanted(told, { name, severity }, channel)))
    return { whyNot: `${recipient} does not want to be told of this` };
  const address = channel === 'email' ? recipient : emailOf(told, recipient);
  if (address === undefined)
    return { whyNot: `no address of ${recipient} is known: set it with "${COMMAND} notify address ${shellWord(recipient)} ADDRESS"` };
  const stop = await readStop(db, address);
  if (stop === undefined) return { address };
  return {
    whyNot: `no mail arrives at ${address} since ${stop.stopped_at.toISOString()} ("${COMMAND} notify resume ${shellWord(address)}" writes there again): ${stop.code}: ${stop.reason}`,
  };
}

function resultOf(outcome: Outcome, { attempt, createdAt }: Message, { notify }: Config, now: Date): Result {
  switch (outcome.kind) {
    case 'sent':
      return { state: 'sent', at: now, error: null };
    case 'refused':
      return {
        ...{ state: 'failed', at: now, error: outcome.reason, code: outcome.code },
        isStop: outcome.isForReceiver === true && outcome.code !== undefined && isOfMailbox(outcome.code),
      };
    case 'suppressed':
      return { state: 'suppressed', at: now, error: outcome.reason };
    default: {
      if (now > after(createdAt, notify.give_up_after))
        return { state: 'failed', at: now, error: `given up after ${notify.give_up_after} s (notify.give_up_after): ${outcome.reason}` };
      const seconds = notify.backoff[Math.min(attempt, notify.backoff.length) - 1] as number;
      return { state: 'sending', at: after(now, seconds * (1 + (randomInt(-1000, 1001) / 1000) * JITTER)), error: outcome.reason };
    }
  }
}

const WRITE_AGAIN_MS = 500;

/** What was sent must not be sent again because the database was away when it was to be written. */
async function untilWritten(write: () => Promise<void>, log: Logger): Promise<void> {
  for (;;)
    try {
      return await write();
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      log.warn({ code: error.code }, `what became of a message is written again: ${error.message}`);
      await delay(WRITE_AGAIN_MS);
    }
}
