/**
 * What a service keeps at a broker is out of reach of other accounts. The embedded broker refuses them; Mosquitto knows no rules for client ids and
 * shared subscriptions, so there the names themselves are secret. The attacker knows everything that the mesh says of itself.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Bus, BusState } from '../../../services/platform/bus/bus.ts';
import { openBus } from '../../platform/bus/brokers.ts';
import { onEachBroker, type RunningBroker } from '../brokers.ts';
import { accounts, join } from '../peers.ts';

const NAMES = ['stockmesh-portfolio-priority-one-listen', 'stockmesh-portfolio-priority-one', 'portfolio-priority', 'one'];

onEachBroker(({ start }) => {
  let broker: RunningBroker;
  beforeAll(async () => {
    broker = await start();
  });
  afterAll(() => broker.close());

  function service(instance: string): Bus {
    const account = { username: 'portfolio-priority', password: accounts['portfolio-priority']!.password };
    return openBus(broker.port, { ...account, service: 'portfolio-priority', instance, version: '1', persistent: true });
  }

  /** Subscribes as the service does. Gives the users whose logins it has handled. */
  async function hear(bus: Bus, shared?: string): Promise<string[]> {
    const users: string[] = [];
    const options = { acknowledge: 'handled' as const, ...(shared !== undefined && { shared }) };
    await bus.subscribe('login', options, ({ body }) => void users.push(body.userId)).ready;
    return users;
  }

  async function takeEveryName(clean: boolean): Promise<void> {
    for (const clientId of NAMES)
      await join(broker.port, 'hook', { clientId, clean }).then(
        ({ client }) => client.endAsync(),
        () => undefined,
      );
  }

  const signIn = async (...users: string[]): Promise<void> => {
    const hook = await join(broker.port, 'hook');
    await Promise.all(users.map((userId) => hook.client.publishAsync('events/login', JSON.stringify({ userId }), { qos: 1 })));
  };

  test('a service keeps its connection while another account connects by the names that it is known by', async () => {
    const bus = service('one');
    const users = await hear(bus);
    await bus.online();
    const changes: BusState[] = [];
    bus.onState((state) => changes.push(state));
    await takeEveryName(true);
    await takeEveryName(false);
    await signIn('ada');
    await expect.poll(() => users).toEqual(['ada']);
    expect(changes).toEqual([]);
  });

  test('what waits for an absent service is there when it comes back, though another account used its names', async () => {
    const away = service('one');
    await hear(away);
    await away.close();
    // The embedded broker acknowledges it when the service has.
    const signedIn = signIn('grace');
    await takeEveryName(true);
    const users = await hear(service('one'));
    await expect.poll(() => users).toEqual(['grace']);
    await signedIn;
  });

  test.each([true, false])("another account in a group of the service's name takes no login away (clean: %s)", async (clean) => {
    const thief = await join(broker.port, 'hook', { clientId: `thief-${clean}`, clean });
    await thief.client.subscribeAsync('$share/portfolio-priority/events/login', { qos: 1 }).catch(() => undefined);
    const first = service('group-1');
    const second = service('group-2');
    const heard = [await hear(first, 'portfolio-priority'), await hear(second, 'portfolio-priority')];
    const all = Array.from({ length: 20 }, (_, at) => `user-${at}`);
    await signIn(...all);
    await thief.client.endAsync();
    await signIn('last');
    await expect.poll(() => heard.flat().toSorted()).toEqual([...all, 'last'].toSorted());
    expect(thief.heard).toEqual([]);
  });
});
