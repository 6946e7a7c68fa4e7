/** Logins at a steady rate, each of a user and a moment of its own, and what became of them at the hook. */
import { setTimeout as delay } from 'node:timers/promises';
import { connectMqtt, type MqttClientOptions, PACKET, publishPacket, pubrelPacket } from './mqtt-client.ts';

export interface SentLogin {
  userId: string;
  /** When it was made, in epoch milliseconds: the `at` of the event. */
  at: number;
  /** The hook has its PUBACK (QoS 2: its PUBCOMP; HTTP: its 202). */
  acknowledged: boolean;
}

/** The way of logins to the mesh: sends each, and again what was not acknowledged, until `close`. */
export interface Transport {
  send(login: SentLogin): void;
  close(): void;
}

export interface Load {
  /** All that were sent so far. */
  logins: readonly SentLogin[];
  /** Resolves when so many more were sent. */
  more(count: number): Promise<void>;
  /** Makes no more logins. */
  stop(): void;
  /** Resolves when all are acknowledged or `timeoutMs` have passed; the transport is closed then. */
  finish(timeoutMs: number): Promise<void>;
  /** Ends at once. */
  close(): void;
}

const TICK_MS = 10;

export function startLoad({ users, perSecond, transport }: { users: string; perSecond: number; transport: Transport }): Load {
  const logins: SentLogin[] = [];
  const started = performance.now();
  const ticking = setInterval(() => {
    const due = ((performance.now() - started) / 1000) * perSecond;
    while (logins.length < due) {
      const login = { userId: userOf(users, logins.length), at: Date.now(), acknowledged: false };
      logins.push(login);
      transport.send(login);
    }
  }, TICK_MS);
  return {
    logins,
    async more(count) {
      const until = logins.length + count;
      while (logins.length < until) await delay(TICK_MS);
    },
    stop: () => clearInterval(ticking),
    async finish(timeoutMs) {
      const end = performance.now() + timeoutMs;
      while (performance.now() < end && logins.some(({ acknowledged }) => !acknowledged)) await delay(TICK_MS);
      transport.close();
    },
    close() {
      clearInterval(ticking);
      transport.close();
    },
  };
}

/** The user of a round's login number `index`: known before it is sent, so that holdings can wait for it. */
export const userOf = (users: string, index: number): string => `${users}-${index}`;

const eventOf = ({ userId, at }: SentLogin): string => JSON.stringify({ userId, at: new Date(at).toISOString() });

/** Publishes that await their acknowledgement at once; packet ids are 16 bits. */
const WINDOW = 5_000;

/** A login hook on the broker. After a reconnect it publishes again, oldest first, what was not acknowledged. */
export function mqttHook({
  password,
  qos,
  ...place
}: Pick<MqttClientOptions, 'port' | 'hosts' | 'silentMs' | 'password'> & { qos: 1 | 2 }): Transport {
  const unacknowledged = new Map<number, SentLogin>();
  const backlog: SentLogin[] = [];
  let lastId = 0;
  const publish = (id: number, login: SentLogin): void => client.write(publishPacket(qos, 'events/login', id, eventOf(login)));
  const client = connectMqtt({
    ...place,
    username: 'hook',
    password,
    clientId: `hook-${process.pid}-${Math.random().toString(36).slice(2, 8)}`,
    onConnect() {
      for (const [id, login] of unacknowledged) publish(id, login);
    },
    onPacket({ type, body }) {
      const done = type === (qos === 1 ? PACKET.PUBACK : PACKET.PUBCOMP);
      if (!done && type !== PACKET.PUBREC) return;
      const id = body.readUInt16BE(0);
      if (!done) return client.write(pubrelPacket(id));
      const login = unacknowledged.get(id);
      if (login === undefined) return;
      login.acknowledged = true;
      unacknowledged.delete(id);
      fill();
    },
  });
  function fill(): void {
    while (unacknowledged.size < WINDOW && backlog.length > 0) {
      do lastId = (lastId % 0xffff) + 1;
      while (unacknowledged.has(lastId));
      const login = backlog.shift()!;
      unacknowledged.set(lastId, login);
      publish(lastId, login);
    }
  }
  return {
    send(login) {
      backlog.push(login);
      fill();
    },
    close: client.close,
  };
}

const RETRY_MS = 200;
const HTTP_TIMEOUT_MS = 15_000;

/** A login hook that posts to the gateway, each login again with the same `at` until it is answered with 202. `others`: gateways that it tries in turn when one gives no answer. */
export function httpHook({ port, others = [], key }: { port: number; others?: readonly number[]; key: string }): Transport {
  const closing = new AbortController();
  const ports = [port, ...others];
  let turn = 0;
  async function post(login: SentLogin): Promise<void> {
    for (let nth = turn++; !closing.signal.aborted && !login.acknowledged; nth++) {
      try {
        const answer = await fetch(`http://127.0.0.1:${ports[nth % ports.length]}/v1/events/login`, {
          method: 'POST',
          headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
          body: eventOf(login),
          signal: AbortSignal.any([closing.signal, AbortSignal.timeout(HTTP_TIMEOUT_MS)]),
        });
        await answer.body?.cancel();
        login.acknowledged = answer.status === 202;
      } catch (error) {
        // The gateway is away, or gave no answer in time: a hook tries again.
        if (!(error instanceof TypeError || error instanceof DOMException)) throw error;
      }
      if (!login.acknowledged) await delay(RETRY_MS);
    }
  }
  return { send: (login) => void post(login), close: () => closing.abort() };
}
