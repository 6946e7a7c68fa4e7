/** Shared filters of accounts that may not see what is inside them, at the embedded broker. */
import { describe, expect, test } from 'vitest';
import { loadAccess } from '../../../broker/access.ts';
import { LOGIN, login, ping, SHARED, start } from '../held/held-logins.ts';
import { accounts, join, type Peer } from '../peers.ts';

const priority = (port: number): Promise<Peer> =>
  join(port, 'portfolio-priority', { clientId: 'stockmesh-portfolio-priority-one-listen', clean: false });

const fifty = Array.from({ length: 50 }, (_, at) => `login ${at}`);

test('a kept session may not join a group whose messages its account may not see', async () => {
  const broker = await start();
  const hook = await join(broker.port, 'hook', { clientId: 'thief', clean: false });
  await expect(hook.client.subscribeAsync(SHARED, { qos: 1 })).rejects.toThrow('Subscribe error');
});

test.each([true, false])(
  'a hook in the group of the service takes no login from it, over a restart of the service (clean: %s)',
  async (clean) => {
    const broker = await start();
    const thief = await join(broker.port, 'hook', { clientId: 'thief', clean });
    await thief.client.subscribeAsync(SHARED, { qos: 1 }).catch(() => undefined);
    const first = await priority(broker.port);
    await first.client.subscribeAsync(SHARED, { qos: 1 });
    const hook = await join(broker.port, 'hook');
    await login(hook, 'before').done;
    await first.client.endAsync();
    const logins = fifty.map((payload) => login(hook, payload));
    await ping(hook);
    await thief.client.endAsync();
    const again = await priority(broker.port);
    await again.client.subscribeAsync(SHARED, { qos: 1 });
    await Promise.all(logins.map(({ done }) => done));
    expect([...first.heard, ...again.heard].map(({ payload }) => payload)).toEqual(['before', ...fifty]);
    expect(thief.heard).toEqual([]);
  },
);

describe('a login is not acknowledged for', () => {
  test('a group that only a hook is in: it waits for the service', async () => {
    const broker = await start();
    const thief = await join(broker.port, 'hook');
    await thief.client.subscribeAsync(SHARED, { qos: 1 });
    const hook = await join(broker.port, 'hook');
    const waiting = login(hook, 'ada');
    await ping(hook);
    expect([waiting.acknowledged, broker.stats().held]).toEqual([false, 1]);
    const service = await priority(broker.port);
    await service.client.subscribeAsync(SHARED, { qos: 1 });
    await waiting.done;
    expect(service.heard.map(({ payload }) => payload)).toEqual(['ada']);
  });

  test('a filter of a kept session that was refused beside one that was granted', async () => {
    const broker = await start();
    const session = { clientId: 'watcher', clean: false };
    const monitor = await join(broker.port, 'monitor', session);
    await monitor.client.subscribeAsync(['mesh/#', LOGIN], { qos: 1 }).catch(() => undefined);
    await monitor.client.endAsync();
    const hook = await join(broker.port, 'hook');
    const waiting = login(hook, 'ada');
    await ping(hook);
    const back = await join(broker.port, 'monitor', session);
    await ping(back);
    expect([waiting.acknowledged, broker.stats().held, back.heard]).toEqual([false, 1, []]);
  });

  test('an account that may see logins and does not commit them', async () => {
    const broker = await start({
      access: { roles: { ...loadAccess().roles, auditor: { publish: [], subscribe: [LOGIN], acknowledge_after_commit: [], commits: [] } } },
      accounts: { ...accounts, auditor: { password: 'audits-1', role: 'auditor' } },
    });
    const auditor = await join(broker.port, 'auditor', { password: 'audits-1', clientId: 'auditor', clean: false });
    await auditor.client.subscribeAsync([LOGIN, '$share/audit/events/login'], { qos: 1 });
    const hook = await join(broker.port, 'hook');
    const waiting = login(hook, 'ada');
    await ping(hook);
    expect(waiting.acknowledged).toBe(false);
    const service = await priority(broker.port);
    await service.client.subscribeAsync(LOGIN, { qos: 1 });
    await waiting.done;
    await expect.poll(() => auditor.heard.length).toBeGreaterThan(0);
    expect(service.heard.map(({ payload }) => payload)).toEqual(['ada']);
  });
});
