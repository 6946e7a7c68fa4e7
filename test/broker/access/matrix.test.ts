/**
 * The access matrix: every account of broker/access.yaml × every topic × every verb × both brokers, checked by what is delivered and never by an
 * acknowledgement. What is expected follows from the file by the matching rules of MQTT 3.1.1 (4.7), written here a second time as a regular
 * expression, so that the brokers are not compared with their own code.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { load } from 'js-yaml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AccessRules, loadAccess } from '../../../broker/access.ts';
import { startBroker } from '../../../broker/embedded.ts';
import { findMosquitto, startMosquitto } from '../../../broker/mosquitto.ts';
import { payloadsOf, until } from '../both-brokers.ts';
import type { RunningBroker } from '../brokers.ts';
import { accounts, clientIdOf, connectPacket, join, type Peer, rawConnection, refusalOf, silent } from '../peers.ts';

interface Rule {
  publish: string[];
  subscribe: string[];
  client_ids?: 'any' | string[];
}

const file = new URL('../../../broker/access.yaml', import.meta.url);
const { roles } = load(readFileSync(file, 'utf8')) as { roles: Record<string, Rule> };
const ROLES = Object.keys(roles);

function matches(pattern: string, topic: string): boolean {
  const expression = pattern.replace('/#', '(/.*)?').replaceAll('+', '[^/]*');
  return new RegExp(`^${expression}$`, 's').test(topic) && !(topic.startsWith('$') && /^[+#]/.test(pattern));
}
const may = (verb: 'publish' | 'subscribe', role: string, topic: string): boolean =>
  roles[role]!.publish !== undefined && roles[role]![verb].some((pattern) => matches(pattern, topic));

/** Of each pattern a topic that matches, one level more, one level less, and one that only begins alike; topics that are in no rule; topics of the broker. */
const TOPICS = [
  ...new Set([
    ...Object.values(roles)
      .flatMap(({ publish, subscribe }) => [...publish, ...subscribe])
      .flatMap((pattern) => {
        const topic = pattern.replace('#', 'x/y').replaceAll('+', 'AAPL');
        return [topic, `${topic}/more`, topic.split('/').slice(0, -1).join('/'), `${topic}s`];
      }),
    ...['mesh', 'other', 'other/topic', '/events/login', 'events//login', 'EVENTS/LOGIN', 'stock', 'x/events/login'],
  ]),
].filter((topic) => topic !== '');

/** Sees and publishes everything, so that a test can tell what comes of a message; holds back no login. */
const OBSERVER = {
  publish: ['+/#'],
  subscribe: ['+/#'],
  client_ids: 'any' as const,
  acknowledge_after_commit: [],
  commits: ['events/login'],
};
const access: AccessRules = { roles: { ...loadAccess().roles, observer: OBSERVER } };
const withObserver = { ...accounts, observer: { password: 'observer-9', role: 'observer' } };

const kinds = {
  embedded: () => startBroker({ port: 0, accounts: withObserver, access, log: silent }),
  async Mosquitto() {
    const folder = mkdtempSync(joinPath(tmpdir(), 'stockmesh-matrix-'));
    const broker = await startMosquitto({ accounts: withObserver, access, folder });
    return { port: broker.port, close: () => broker.close().then(() => rmSync(folder, { recursive: true, force: true })) };
  },
};

describe.each(Object.keys(kinds) as (keyof typeof kinds)[])('at %s', (kind) => {
  const skipped = kind === 'Mosquitto' && findMosquitto() === undefined && process.env.CI === undefined;
  let broker: RunningBroker;
  beforeAll(async () => {
    if (!skipped) broker = await kinds[kind]();
  });
  afterAll(() => broker?.close());

  const observe = (live = true): Promise<Peer> =>
    join(broker.port, 'observer', { password: 'observer-9', clientId: clientIdOf('observer') }, { live });
  /** An observer that is subscribed to everything. */
  async function observer(live = true): Promise<Peer> {
    const peer = await observe(live);
    await peer.client.subscribeAsync('+/#', { qos: 1 });
    return peer;
  }
  let sentinels = 0;
  /** Resolves when everything that was published before has arrived. */
  async function settled(peer: Peer): Promise<void> {
    const sentinel = `sentinel ${++sentinels}`;
    await peer.client.publishAsync('sentinel', sentinel, { qos: 1 });
    await until(peer, sentinel);
  }
  /** Resolves when a subscriber that may see nothing has what was sent to it: the broker has answered it after `all` had everything. */
  async function pinged({ client }: Peer): Promise<void> {
    for (let times = 0; times < 2; times++) {
      const answered = new Promise<void>((resolve) => client.once('packetreceive', () => resolve()));
      client.sendPing();
      await answered;
    }
  }
  const heardTopics = ({ heard }: Peer, payload: string): string[] =>
    [...new Set(heard.flatMap((one) => (one.payload === payload ? [one.topic] : [])))].toSorted();
  const expected = (verb: 'publish' | 'subscribe', role: string, of = TOPICS): string[] =>
    of.filter((topic) => may(verb, role, topic)).toSorted();

  describe.skipIf(skipped).each(ROLES)('%s', (role) => {
    test('publish, retained or not: only what it may is delivered, to those who are there and to those who come', async () => {
      const there = await observer();
      const peer = await join(broker.port, role);
      const payload = `from ${role}`;
      await Promise.all(TOPICS.map((topic) => peer.client.publishAsync(topic, payload, { qos: 1, retain: true })));
      await settled(there);
      const comes = await observer(false);
      await settled(comes);
      // The embedded broker keeps no login: one that is given to each new subscriber would count again and again.
      const kept = expected('publish', role).filter((topic) => !(kind === 'embedded' && topic === 'events/login'));
      // Retained messages answer the subscription, beside what is published meanwhile.
      await expect.poll(() => heardTopics(comes, payload).length).toBeGreaterThanOrEqual(kept.length);
      await pinged(comes);
      await Promise.all(TOPICS.map((topic) => there.client.publishAsync(topic, '', { qos: 1, retain: true })));
      expect([heardTopics(there, payload), heardTopics(comes, payload)]).toEqual([expected('publish', role), kept]);
    });

    test('last will: only one that it may publish is delivered', async () => {
      const there = await observer();
      for (const topic of TOPICS) {
        const socket = await rawConnection(broker.port);
        const connected = new Promise((resolve) => socket.once('data', resolve));
        socket.write(connectPacket(role, clientIdOf(role), 60, { will: { topic, payload: `will ${role}` } }));
        await connected;
        socket.destroy();
        await new Promise((resolve) => socket.once('close', resolve));
      }
      const last = expected('publish', role);
      if (last.length > 0) await expect.poll(() => heardTopics(there, `will ${role}`)).toEqual(last);
      await settled(there);
      expect(heardTopics(there, `will ${role}`)).toEqual(last);
    });

    test('subscribe: to everything, to a filter that spans more than it may see, and to each topic', async () => {
      const wide = await join(broker.port, role);
      await wide.client.subscribeAsync(['#', '$SYS/#', '+/+', '+/login'], { qos: 1 }).catch(() => undefined);
      const narrow = await join(broker.port, role);
      await narrow.client.subscribeAsync(TOPICS, { qos: 1 }).catch(() => undefined);
      const there = await observer();
      const payload = `to ${role}`;
      await Promise.all(TOPICS.map((topic) => there.client.publishAsync(topic, payload, { qos: 1 })));
      await settled(there);
      await Promise.all([wide, narrow].map(pinged));
      expect([heardTopics(wide, payload), heardTopics(narrow, payload)]).toEqual([
        expected('subscribe', role),
        expected('subscribe', role),
      ]);
      expect(wide.heard.filter(({ topic }) => topic.startsWith('$'))).toEqual([]);
    });

    test('subscribe with a kept session: what waits while it is away', async () => {
      const session = { clientId: clientIdOf(role), clean: false };
      const first = await join(broker.port, role, session);
      for (const topic of TOPICS) await first.client.subscribeAsync(topic, { qos: 1 }).catch(() => undefined);
      await first.client.endAsync();
      const there = await observer();
      const payload = `for ${role}`;
      await Promise.all(TOPICS.map((topic) => there.client.publishAsync(topic, payload, { qos: 1 })));
      await settled(there);
      const back = await join(broker.port, role, session);
      if (expected('subscribe', role).length > 0) await expect.poll(() => heardTopics(back, payload)).toEqual(expected('subscribe', role));
      await pinged(back);
      expect(heardTopics(back, payload)).toEqual(expected('subscribe', role));
    });

    test.each([true, false])(
      'shared subscribe (clean: %s): nothing that it may not see, and no share of it is taken from others',
      async (clean) => {
        const group = `matrix-${role}-${clean}`;
        const filters = TOPICS.map((topic) => `$share/${group}/${topic}`);
        const peer = await join(broker.port, role, { clean });
        for (const filter of filters) await peer.client.subscribeAsync(filter, { qos: 1 }).catch(() => undefined);
        const member = await observe();
        await member.client.subscribeAsync(filters, { qos: 1 });
        const publisher = await observer();
        const messages = ['1', '2'].flatMap((number) => TOPICS.map((topic) => ({ topic, payload: `${number} ${topic}` })));
        for (const { topic, payload } of messages) await publisher.client.publishAsync(topic, payload, { qos: 1 });
        await settled(publisher);
        await Promise.all([peer, member].map(pinged));
        expect(peer.heard.filter(({ topic }) => !may('subscribe', role, topic))).toEqual([]);
        // Mosquitto gives a member its share whether it may see it or not: takeover.test.ts shows why no service loses by it.
        const counted = kind === 'embedded' ? messages : messages.filter(({ topic }) => may('subscribe', role, topic));
        const delivered = new Set([...payloadsOf(peer), ...payloadsOf(member)]);
        expect(counted.map(({ payload }) => payload).filter((payload) => !delivered.has(payload))).toEqual([]);
      },
    );

    // Mosquitto has no rule for client ids: takeover.test.ts.
    test.runIf(kind === 'embedded')('a client id of each account: refused before its owner is cut', async () => {
      for (const other of ROLES) {
        const prefixes = roles[other]!.client_ids;
        if (!Array.isArray(prefixes)) continue;
        const clientId = `${prefixes[0]!.replace('{prefix}', 'stockmesh')}victim`;
        const owner = await join(broker.port, other, { clientId });
        const connecting = { clientId, username: role, password: accounts[role]!.password };
        if (role === other) continue;
        expect([other, await refusalOf(broker.port, connecting), owner.client.connected]).toEqual([other, 2, true]);
        await owner.client.endAsync();
        const later =
          roles[role]!.client_ids === 'any'
            ? join(broker.port, role, { clientId }).then(() => 'let in')
            : refusalOf(broker.port, connecting);
        expect([other, await later]).toEqual([other, roles[role]!.client_ids === 'any' ? 'let in' : 2]);
      }
    });
  });
});
