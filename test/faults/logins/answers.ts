/** Counts how often the mesh answers each login on `portfolio/{user}/priority`. */
import type { SentLogin } from './load.ts';
import { connectMqtt, type MqttClientOptions, PACKET, subscribePacket } from './mqtt-client.ts';

export interface Answers {
  /** Logins of these users that were answered more than once. */
  twice(users: string): number;
  /** When each of these was answered, in epoch milliseconds. */
  moments(logins: readonly SentLogin[]): number[][];
  close(): void;
}

export function countAnswers({ password, ...place }: Pick<MqttClientOptions, 'port' | 'hosts' | 'silentMs' | 'password'>): Answers {
  const moments = new Map<string, number[]>();
  const client = connectMqtt({
    ...place,
    username: 'monitor',
    password,
    clientId: `answers-${process.pid}-${Math.random().toString(36).slice(2, 8)}`,
    onConnect: () => client.write(subscribePacket('portfolio/+/priority')),
    onPacket({ type, body }) {
      if (type !== PACKET.PUBLISH) return;
      const { user_id, at } = JSON.parse(body.toString('utf8', 2 + body.readUInt16BE(0))) as { user_id: string; at: string };
      const login = `${user_id} ${at}`;
      moments.set(login, [...(moments.get(login) ?? []), Date.now()]);
    },
  });
  return {
    twice: (users) => [...moments].filter(([login, { length }]) => length > 1 && login.startsWith(`${users}-`)).length,
    moments: (logins) => logins.map(({ userId, at }) => moments.get(`${userId} ${new Date(at).toISOString()}`) ?? []),
    close: client.close,
  };
}
