/** Counts how often the mesh answers each login on `portfolio/{user}/priority`. */
import type { SentLogin } from './load.ts';
import { connectMqtt, type MqttClientOptions, PACKET, subscribePacket } from './mqtt-client.ts';

export interface Answers {
  /** Logins of these users that were answered more than once. */
  twice(users: string): number;
  /** How often each of these was answered. */
  times(logins: readonly SentLogin[]): number[];
  close(): void;
}

export function countAnswers({ password, ...place }: Pick<MqttClientOptions, 'port' | 'hosts' | 'silentMs' | 'password'>): Answers {
  const times = new Map<string, number>();
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
      times.set(login, (times.get(login) ?? 0) + 1);
    },
  });
  return {
    twice: (users) => [...times].filter(([login, count]) => count > 1 && login.startsWith(`${users}-`)).length,
    times: (logins) => logins.map(({ userId, at }) => times.get(`${userId} ${new Date(at).toISOString()}`) ?? 0),
    close: client.close,
  };
}
