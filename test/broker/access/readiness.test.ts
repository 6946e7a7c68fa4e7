/** A service says that it is ready only where its own subscriptions deliver: brokers grant what an account may not see. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Bus } from '../../../services/platform/bus/bus.ts';
import { openBus } from '../../platform/bus/brokers.ts';
import { onEachBroker, type RunningBroker } from '../brokers.ts';
import { accounts } from '../peers.ts';

const SERVICES = {
  'portfolio-priority': ['login', 'control'],
  worker: ['job', 'work', 'control'],
  scheduler: ['presence', 'alert', 'control'],
  notifier: ['presence', 'control'],
  gateway: ['job', 'status', 'data', 'portfolio', 'presence', 'stats', 'alert', 'control'],
} as const;

onEachBroker(({ name, start }) => {
  let broker: RunningBroker;
  beforeAll(async () => {
    broker = await start();
  });
  afterAll(() => broker.close());

  /** A service that subscribes to what that service needs, with an account. */
  function connect(service: keyof typeof SERVICES, account: string = service): Bus {
    const as = { username: account, password: accounts[account]!.password };
    const persistent = service === 'portfolio-priority';
    const bus = openBus(broker.port, { ...as, service, instance: `${service}-${account}`, version: '1', persistent });
    for (const kind of SERVICES[service]) bus.subscribe(kind, { acknowledge: persistent ? 'handled' : 'received' }, () => {});
    return bus;
  }

  test.each(Object.keys(SERVICES) as (keyof typeof SERVICES)[])(
    '%s misses nothing with its own account, nor with that of all services',
    async (service) => {
      for (const account of [service, 'service']) {
        const bus = connect(service, account);
        await expect.poll(() => [bus.state, bus.report().missing], { timeout: 10_000 }).toEqual(['online', []]);
      }
    },
  );

  test.each(['hook', 'monitor', 'worker'])(
    'portfolio-priority with the account %s is never ready, and names what is missing',
    async (account) => {
      const bus = connect('portfolio-priority', account);
      if (name === 'embedded') {
        // Its client id is refused before anything is subscribed.
        await expect.poll(() => bus.report().reason).toContain('Identifier rejected');
        expect(bus.report().missing).toContain('events/login');
      } else {
        await bus.online();
        // A second publish comes after the first presence, which does not come back.
        await bus.publish('presence', {
          service: 'portfolio-priority',
          instance: 'x',
          state: 'offline',
          session: randomUUID(),
          version: '1',
          at: '2026-01-05T00:00:00Z',
        });
        expect(bus.report().missing).toEqual([`mesh/portfolio-priority/portfolio-priority-${account}/state`]);
      }
    },
  );

  test('after an outage it misses what does not come yet, and nothing once it does', async () => {
    const own = await start();
    const account = { username: 'worker', password: accounts.worker!.password };
    const bus = openBus(own.port, { ...account, service: 'worker', instance: 'outage', version: '1' });
    bus.subscribe('job', {}, () => {});
    await expect.poll(() => bus.report().missing, { timeout: 10_000 }).toEqual([]);
    await own.close();
    await expect.poll(() => bus.report().missing).toEqual(expect.arrayContaining(['stock/+/+', 'mesh/worker/outage/state']));
    const again = await start(own.port);
    try {
      await expect.poll(() => [bus.state, bus.report().missing], { timeout: 10_000 }).toEqual(['online', []]);
    } finally {
      await bus.close();
      await again.close();
    }
  });
});
