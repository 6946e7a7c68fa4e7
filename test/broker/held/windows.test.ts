/** How many logins a service gets before it acknowledges, and whose: the embedded broker only. */
import { describe, expect, test } from 'vitest';
import { payloadsOf, until } from '../both-brokers.ts';
import { join } from '../peers.ts';
import { LOGIN, login, ping, SHARED, service, start } from './held-logins.ts';

const names = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${prefix} ${i}`);

describe('a window of ten', () => {
  const holdLimits = { window: 10 };

  test.each([SHARED, LOGIN])(
    'a burst of one hook fills all but a part of it, and each acknowledgement brings its next login (%s)',
    async (filter) => {
      const broker = await start({ holdLimits });
      const priority = await service(broker, 'priority', filter);
      const hook = await join(broker.port, 'hook');
      const payloads = names('login', 30);
      const sent = payloads.map((payload) => login(hook, payload));
      await until(priority, 'login 8');
      await ping(hook);
      await ping(priority);
      expect(payloadsOf(priority)).toEqual(payloads.slice(0, 9));
      priority.acknowledge(priority.unacknowledged()[0]!);
      await until(priority, 'login 9');
      expect(priority.heard).toHaveLength(10);
      priority.commit();
      await Promise.all(sent.map(({ done }) => done));
      expect(payloadsOf(priority)).toEqual(payloads);
    },
  );

  test('a login of another hook is delivered at once in the middle of a burst', async () => {
    const broker = await start({ holdLimits });
    const priority = await service(broker, 'priority');
    const [busy, other] = [await join(broker.port, 'hook'), await join(broker.port, 'hook')];
    for (const payload of names('busy', 30)) login(busy, payload);
    await until(priority, 'busy 8');
    login(other, 'other');
    await until(priority, 'other');
    expect(payloadsOf(priority)).toEqual([...names('busy', 9), 'other']);
  });

  test('the logins of two hooks that waited for a service are delivered by turns', async () => {
    const broker = await start({ holdLimits });
    const [ada, bob] = [await join(broker.port, 'hook'), await join(broker.port, 'hook')];
    for (const payload of names('ada', 20)) login(ada, payload);
    await ping(ada);
    for (const payload of names('bob', 20)) login(bob, payload);
    await ping(bob);
    const priority = await service(broker, 'priority');
    await until(priority, 'bob 4');
    expect(payloadsOf(priority)).toEqual(names('ada', 5).flatMap((payload, i) => [payload, `bob ${i}`]));
  });

  test('of two services in a group the one that acknowledges nothing has a window of logins, the other commits all others', async () => {
    const broker = await start({ holdLimits });
    const stuck = await service(broker, 'stuck');
    const working = await service(broker, 'working');
    working.commit();
    const hook = await join(broker.port, 'hook');
    const sent = names('login', 100).map((payload) => login(hook, payload));
    await expect.poll(() => sent.filter(({ acknowledged }) => acknowledged).length).toBe(90);
    expect([stuck.heard.length, working.heard.length]).toEqual([10, 90]);
  });

  test.each([false, true])('a service that was killed gets all logins after its return (clean session: %s)', async (clean) => {
    const broker = await start({ holdLimits });
    const killed = await service(broker, 'priority', LOGIN, clean);
    const hook = await join(broker.port, 'hook');
    const payloads = names('login', 40);
    const sent = payloads.slice(0, 20).map((payload) => login(hook, payload));
    await until(killed, 'login 8');
    killed.client.stream.destroy();
    await expect.poll(() => broker.stats().clients).toBe(1);
    sent.push(...payloads.slice(20).map((payload) => login(hook, payload)));
    await ping(hook);
    const again = await service(broker, 'priority', LOGIN, clean);
    again.commit();
    await Promise.all(sent.map(({ done }) => done));
    expect(new Set(payloadsOf(again))).toEqual(new Set(payloads));
    expect(broker.stats()).toMatchObject({ held: 0, heldBytes: 0 });
  });
});
