/** A login is acknowledged to its hook when the service has acknowledged its copy: the embedded broker only. */
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { payloadsOf, until } from '../both-brokers.ts';
import { connectPacket, join, rawConnection } from '../peers.ts';
import { LOGIN, login, ping, SHARED, service, start } from './held-logins.ts';

describe('one service', () => {
  test.each([1, 2] as const)('a login of QoS %i is acknowledged after the service has acknowledged it, and not before', async (qos) => {
    const broker = await start();
    const priority = await service(broker, 'priority');
    const hook = await join(broker.port, 'hook');
    const sent = login(hook, 'ada', qos);
    await until(priority, 'ada');
    await ping(hook);
    expect(sent.acknowledged).toBe(false);
    expect(broker.stats()).toMatchObject({ held: 1 });
    priority.commit();
    await sent.done;
    expect(sent.acknowledged).toBe(true);
    expect(broker.stats()).toMatchObject({ held: 0, heldBytes: 0 });
  });

  test('logins that come before the first subscription wait for it, in order', async () => {
    const broker = await start();
    const hook = await join(broker.port, 'hook');
    const payloads = Array.from({ length: 1200 }, (_, i) => `login ${i}`);
    const sent = payloads.map((payload) => login(hook, payload));
    await ping(hook);
    expect(sent.some(({ acknowledged }) => acknowledged)).toBe(false);
    const priority = await service(broker, 'priority');
    priority.commit();
    await Promise.all(sent.map(({ done }) => done));
    expect(payloadsOf(priority)).toEqual(payloads);
  });

  test('while logins are held, pings and other topics of the same client are answered', async () => {
    const broker = await start();
    await service(broker, 'priority');
    const hook = await join(broker.port, 'hook', { keepalive: 1 });
    const sent = Array.from({ length: 100 }, (_, i) => login(hook, `login ${i}`));
    await hook.client.publishAsync('events/logout', 'not allowed, so acknowledged and dropped', { qos: 1 });
    for (let pings = 0; pings < 3; pings++) await ping(hook);
    expect(sent.some(({ acknowledged }) => acknowledged)).toBe(false);
    expect(hook.client.connected).toBe(true);
  });

  test('a publish by a service is acknowledged at once', async () => {
    const broker = await start();
    await service(broker, 'priority');
    const gateway = await join(broker.port, 'service');
    await gateway.client.publishAsync(LOGIN, 'over HTTP', { qos: 1 });
    await gateway.client.publishAsync(LOGIN, 'over HTTP', { qos: 2 });
    expect(broker.stats().held).toBe(0);
  });

  test('a killed service gets the login again at its return, and acknowledges it then', async () => {
    const broker = await start();
    const killed = await service(broker, 'priority');
    const hook = await join(broker.port, 'hook');
    const sent = login(hook, 'ada');
    await until(killed, 'ada');
    killed.client.stream.destroy();
    await expect.poll(() => broker.stats().clients).toBe(1);
    const whileAway = login(hook, 'bob');
    await ping(hook);
    const again = await join(broker.port, 'service', { clientId: 'priority', clean: false });
    await Promise.all([sent.done, whileAway.done]);
    expect(payloadsOf(again)).toEqual(['ada', 'bob']);
    expect([sent, whileAway].every(({ acknowledged }) => acknowledged)).toBe(true);
  });

  test('a service without a session of its own that dies gets the login again at its next subscription', async () => {
    const broker = await start();
    const killed = await service(broker, 'priority', LOGIN, true);
    const hook = await join(broker.port, 'hook');
    const sent = login(hook, 'ada');
    await until(killed, 'ada');
    killed.client.stream.destroy();
    await expect.poll(() => broker.stats().clients).toBe(1);
    expect(sent.acknowledged).toBe(false);
    const again = await service(broker, 'priority', LOGIN, true);
    again.commit();
    await sent.done;
    expect(payloadsOf(again)).toEqual(['ada']);
  });
});

describe('several subscribers', () => {
  test.each([true, false])(
    'two services of one group share the logins; when one dies (clean session: %s) its own go to the other',
    async (clean) => {
      const broker = await start();
      const leaving = await service(broker, 'leaving', SHARED, clean);
      const staying = await service(broker, 'staying', SHARED, clean);
      const hook = await join(broker.port, 'hook');
      const sent = Array.from({ length: 20 }, (_, i) => login(hook, `login ${i}`));
      await expect.poll(() => leaving.heard.length + staying.heard.length).toBe(20);
      expect([leaving.heard.length, staying.heard.length]).toEqual([10, 10]);
      staying.commit();
      await expect.poll(() => sent.filter(({ acknowledged }) => acknowledged).length).toBe(10);
      leaving.client.stream.destroy();
      await Promise.all(sent.map(({ done }) => done));
      expect([...new Set(payloadsOf(staying))].sort()).toEqual(sent.map((_, i) => `login ${i}`).sort());
    },
  );

  test('what waits in the session of a service that never comes back goes to one that starts later', async () => {
    const broker = await start();
    const gone = await service(broker, 'gone-for-good');
    gone.client.stream.destroy();
    await expect.poll(() => broker.stats().clients).toBe(0);
    const hook = await join(broker.port, 'hook');
    const sent = [login(hook, 'ada'), login(hook, 'bob')];
    await ping(hook);
    const next = await service(broker, 'another-instance');
    next.commit();
    await Promise.all(sent.map(({ done }) => done));
    expect(payloadsOf(next)).toEqual(['ada', 'bob']);
  });

  test('a service that unsubscribes and leaves gives its logins back: they wait for the next subscription', async () => {
    const broker = await start();
    const leaving = await service(broker, 'leaving');
    const hook = await join(broker.port, 'hook');
    const sent = login(hook, 'ada');
    await until(leaving, 'ada');
    await leaving.client.unsubscribeAsync(SHARED);
    await leaving.client.endAsync();
    const next = await service(broker, 'next', LOGIN);
    next.commit();
    await sent.done;
    expect(payloadsOf(next)).toEqual(['ada']);
  });

  test('a service that ends its session by a clean connection gives its logins back', async () => {
    const broker = await start();
    const ending = await service(broker, 'ending', LOGIN);
    const hook = await join(broker.port, 'hook');
    const sent = login(hook, 'ada');
    await until(ending, 'ada');
    ending.client.stream.destroy();
    await join(broker.port, 'service', { clientId: 'ending' });
    const next = await service(broker, 'next', LOGIN);
    next.commit();
    await sent.done;
    expect(payloadsOf(next)).toEqual(['ada']);
  });

  test.each([
    ['a spectator with a kept session', false],
    ['a spectator with a clean session', true],
  ])('beside a group, the acknowledgement of %s proves nothing', async (_, clean) => {
    const broker = await start();
    const priority = await service(broker, 'priority');
    const spectator = await service(broker, 'spectator', LOGIN, clean);
    const hook = await join(broker.port, 'hook');
    const sent = login(hook, 'ada');
    await until(spectator, 'ada');
    spectator.commit();
    await ping(spectator);
    await ping(hook);
    expect(sent.acknowledged).toBe(false);
    priority.commit();
    await sent.done;
  });

  test('beside a group whose only service dies, the acknowledgement of a spectator proves nothing', async () => {
    const broker = await start();
    const priority = await service(broker, 'priority', SHARED, true);
    const spectator = await service(broker, 'spectator', LOGIN);
    const hook = await join(broker.port, 'hook');
    const sent = login(hook, 'ada');
    await until(spectator, 'ada');
    spectator.commit();
    await ping(spectator);
    await spectator.client.endAsync();
    priority.client.stream.destroy();
    await expect.poll(() => broker.stats().clients).toBe(1);
    await ping(hook);
    expect(sent.acknowledged).toBe(false);
    const again = await service(broker, 'priority', SHARED, true);
    again.commit();
    await sent.done;
    expect(payloadsOf(again)).toEqual(['ada']);
  });

  test('a login that only an absent spectator has goes to the first group that begins', async () => {
    const broker = await start();
    const spectator = await service(broker, 'spectator', LOGIN);
    await spectator.client.endAsync();
    const hook = await join(broker.port, 'hook');
    const sent = login(hook, 'ada');
    await ping(hook);
    const priority = await service(broker, 'priority');
    priority.commit();
    await sent.done;
    expect(payloadsOf(priority)).toEqual(['ada']);
  });

  test('a spectator that leaves without an acknowledgement holds nothing back', async () => {
    const broker = await start();
    const priority = await service(broker, 'priority');
    const spectator = await service(broker, 'spectator', '$share/spectators/events/login', true);
    const hook = await join(broker.port, 'hook');
    const sent = login(hook, 'ada');
    await until(spectator, 'ada');
    priority.commit();
    await ping(priority);
    expect(sent.acknowledged).toBe(false);
    spectator.client.stream.destroy();
    await sent.done;
    expect(payloadsOf(priority)).toEqual(['ada']);
  });

  test('of two plain subscribers both have to acknowledge', async () => {
    const broker = await start();
    const first = await service(broker, 'first', LOGIN);
    const second = await service(broker, 'second', LOGIN);
    const hook = await join(broker.port, 'hook');
    const sent = login(hook, 'ada');
    await until(first, 'ada');
    await until(second, 'ada');
    first.commit();
    await ping(first);
    await ping(hook);
    expect(sent.acknowledged).toBe(false);
    second.commit();
    await sent.done;
  });

  test('of two plain subscribers, one that is absent holds nothing back once the other has acknowledged', async () => {
    const broker = await start();
    const gone = await service(broker, 'gone', LOGIN);
    const staying = await service(broker, 'staying', LOGIN);
    const hook = await join(broker.port, 'hook');
    const sent = login(hook, 'ada');
    await until(gone, 'ada');
    await until(staying, 'ada');
    staying.commit();
    await ping(staying);
    await ping(hook);
    expect(sent.acknowledged).toBe(false);
    gone.client.stream.destroy();
    await sent.done;
    await login(hook, 'bob').done;
    expect(payloadsOf(staying)).toEqual(['ada', 'bob']);
  });

  test.each([
    ['a subscriber', LOGIN],
    ['a group', '$share/watching/events/login'],
  ])('%s of QoS 0 hears a login once and does not stand for its commit', async (_, filter) => {
    const broker = await start();
    const watching = await join(broker.port, 'service');
    await watching.client.subscribeAsync(filter, { qos: 0 });
    // One that subscribes to nothing is no receiver either: the login would be delivered to the first one twice.
    await join(broker.port, 'service');
    const hook = await join(broker.port, 'hook');
    const sent = login(hook, 'ada');
    await ping(hook);
    expect(sent.acknowledged).toBe(false);
    const priority = await service(broker, 'priority');
    priority.commit();
    await sent.done;
    expect(payloadsOf(watching)).toEqual(['ada']);
  });

  test.each([
    [0, 1],
    [1, 0],
  ] as const)(
    'a subscriber whose overlapping subscriptions have QoS %i and %i may get it by either, so it stands for no commit',
    async (one, other) => {
      const broker = await start();
      const watching = await join(broker.port, 'service');
      await watching.client.subscribeAsync(LOGIN, { qos: one });
      await watching.client.subscribeAsync('events/+', { qos: other });
      const hook = await join(broker.port, 'hook');
      const sent = login(hook, 'ada');
      await ping(hook);
      const priority = await service(broker, 'priority');
      await until(priority, 'ada');
      expect(sent.acknowledged).toBe(false);
      priority.commit();
      await sent.done;
      await ping(watching);
      expect(payloadsOf(watching)).toEqual(['ada']);
    },
  );
});

describe('the hook', () => {
  test('that sends the same again after a reconnect is answered once the first is committed; the service hears it once', async () => {
    const broker = await start();
    const priority = await service(broker, 'priority');
    // mqtt.js sends what is not acknowledged again, with the same packet identifier.
    const hook = await join(broker.port, 'hook', { clientId: 'hook-1', clean: false, reconnectPeriod: 10 });
    const sent = login(hook, 'ada');
    await until(priority, 'ada');
    hook.client.stream.destroy();
    await expect.poll(() => broker.stats().messagesIn).toBe(2);
    expect(sent.acknowledged).toBe(false);
    priority.commit();
    await sent.done;
    await ping(priority);
    expect(payloadsOf(priority)).toEqual(['ada']);
    await hook.client.endAsync(true);
  });

  test('that lost its own state and gives an unreleased QoS 2 identifier to another login is answered after the commit of that one', async () => {
    const broker = await start();
    const priority = await service(broker, 'priority');
    priority.commit();
    const send = async (payload: string): Promise<void> => {
      const socket = await rawConnection(broker.port);
      socket.write(connectPacket('hook', 'hook-1', 60, { clean: false }));
      await once(socket, 'data');
      // QoS 2, packet identifier 1
      const body = Buffer.concat([Buffer.from([0, LOGIN.length]), Buffer.from(LOGIN), Buffer.from([0, 1]), Buffer.from(payload)]);
      socket.write(Buffer.concat([Buffer.from([0x34, body.length]), body]));
      expect(await once(socket, 'data')).toEqual([Buffer.from([0x50, 2, 0, 1])]);
      socket.destroy();
      await expect.poll(() => broker.stats().clients).toBe(1);
    };
    await send('ada');
    await send('bob');
    expect(payloadsOf(priority)).toEqual(['ada', 'bob']);
  });

  test('that goes away before there is a subscriber takes its logins with it', async () => {
    const broker = await start();
    const hook = await join(broker.port, 'hook');
    for (let i = 0; i < 10; i++) login(hook, `login ${i}`);
    await ping(hook);
    expect(broker.stats()).toMatchObject({ held: 10 });
    hook.client.stream.destroy();
    await expect.poll(() => broker.stats()).toMatchObject({ held: 0, heldBytes: 0 });
  });

  test('that goes away while the service is absent takes its logins out of the kept session', async () => {
    const broker = await start();
    const priority = await service(broker, 'priority');
    await priority.client.endAsync();
    const hook = await join(broker.port, 'hook');
    for (let i = 0; i < 3; i++) login(hook, `login ${i}`);
    await ping(hook);
    expect(broker.stats()).toMatchObject({ held: 3 });
    await hook.client.endAsync(true);
    await expect.poll(() => broker.stats()).toMatchObject({ held: 0, heldBytes: 0 });
    const again = await service(broker, 'priority');
    const other = await join(broker.port, 'hook');
    const sent = login(other, 'the next one');
    again.commit();
    await sent.done;
    expect(payloadsOf(again)).toEqual(['the next one']);
  });

  test('that goes away while the service commits costs nothing more once that is done', async () => {
    const broker = await start();
    const priority = await service(broker, 'priority');
    const hook = await join(broker.port, 'hook');
    void login(hook, 'ada');
    await until(priority, 'ada');
    hook.client.stream.destroy();
    await expect.poll(() => broker.stats().clients).toBe(1);
    priority.commit();
    await expect.poll(() => broker.stats()).toMatchObject({ held: 0, heldBytes: 0 });
  });
});
