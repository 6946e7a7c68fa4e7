import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { loadAccess } from '../../broker/access.ts';
import { natsConfig } from '../../broker/nats.ts';
import { freePort } from '../../services/platform/machine/ports.ts';
import { findProgram } from '../../services/platform/machine/programs.ts';
import { openBus } from '../platform/bus/brokers.ts';
import { payloadsOf, until } from './both-brokers.ts';
import { accounts, join, refusalOf } from './peers.ts';

const shipped = new URL('../../broker/nats/nats-server.conf', import.meta.url).pathname;

test('the shipped configurations are what the access rules give', async () => {
  await expect(natsConfig(loadAccess())).toMatchFileSnapshot(shipped);
  await expect(natsConfig(loadAccess(), 3)).toMatchFileSnapshot(new URL('cluster.conf', `file://${shipped}`).pathname);
});

const binary = findProgram(['nats-server']);
describe.skipIf(binary === undefined)(
  binary ? 'the shipped file runs' : 'the shipped file runs (not installed: apt-get install nats-server)',
  () => {
    const folder = mkdtempSync(joinPath(tmpdir(), 'stockmesh-nats-'));
    let port: number;
    let stop: () => Promise<unknown>;

    beforeAll(async () => {
      port = await freePort();
      const conf = readFileSync(shipped, 'utf8')
        .replace('127.0.0.1:1883', `127.0.0.1:${port}`)
        .replace('127.0.0.1:4222', `127.0.0.1:${await freePort()}`)
        .replace('/var/lib/nats/stockmesh', folder);
      writeFileSync(joinPath(folder, 'nats-server.conf'), conf);
      const passwords = Object.entries(accounts).map(([name, { password }]) => [
        `${name.toUpperCase().replaceAll('-', '_')}_PASSWORD`,
        JSON.stringify(password),
      ]);
      const server = spawn(binary!, ['-c', joinPath(folder, 'nats-server.conf')], {
        env: { ...process.env, ...Object.fromEntries(passwords) },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let said = '';
      server.stderr.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
      const exited = once(server, 'exit');
      stop = () => {
        server.kill('SIGUSR2');
        return exited;
      };
      await vi.waitFor(() => expect(said).toContain('Server is ready'), { timeout: 10_000 });
    });
    afterAll(async () => {
      await stop();
      rmSync(folder, { recursive: true });
    });

    test("a login of the hook reaches the service's kept session after its absence", async () => {
      const session = { clientId: 'priority', clean: false };
      const first = await join(port, 'service', session);
      await first.client.subscribeAsync('events/login', { qos: 1 });
      await first.client.endAsync();
      const hook = await join(port, 'hook');
      await hook.client.publishAsync('events/login', 'ada', { qos: 1 });
      const again = await join(port, 'service', session);
      await until(again, 'ada');
    });

    test('the hook may publish nothing else and see nothing; the monitor sees jobs and nothing that it may not', async () => {
      const service = await join(port, 'service');
      await service.client.subscribeAsync(['stock/+/+', 'mesh/#', 'events/login'], { qos: 1 });
      const monitor = await join(port, 'monitor');
      await monitor.client.subscribeAsync(['stock/+/+', 'mesh/#'], { qos: 1 });
      await expect(monitor.client.subscribeAsync('control/+', { qos: 1 })).rejects.toThrow();
      const hook = await join(port, 'hook');
      await expect(hook.client.subscribeAsync('events/login', { qos: 1 })).rejects.toThrow();
      await hook.client.publishAsync('stock/fetch/AAPL', 'forged', { qos: 1 });
      await service.client.publishAsync('mesh', 'the parent of mesh/#', { qos: 1 });
      await service.client.publishAsync('stock/fetch/AAPL', 'job', { qos: 1 });
      await until(monitor, 'job');
      await until(monitor, 'the parent of mesh/#');
      await until(service, 'job');
      expect(payloadsOf(service)).not.toContain('forged');
    });

    test.each(['portfolio-priority', 'worker', 'scheduler', 'gateway'])('%s hears what it needs with its own account', async (service) => {
      const account = { username: service, password: accounts[service]!.password };
      const bus = openBus(port, { ...account, service, instance: 'one', version: '1', persistent: service === 'portfolio-priority' });
      bus.subscribe('control', { params: { instance: 'one' } }, () => {});
      if (service === 'portfolio-priority') bus.subscribe('login', { acknowledge: 'handled' }, () => {});
      else if (service === 'worker') bus.onDoorbell('job', () => {});
      else for (const kind of ['presence', 'alert'] as const) bus.subscribe(kind, {}, () => {});
      await expect.poll(() => [bus.state, bus.report().missing], { timeout: 10_000 }).toEqual(['online', []]);
    });

    test('a wrong password is refused', async () => {
      expect(await refusalOf(port, { username: 'hook', password: 'wrong' })).toBe(5);
    });
  },
);
