/** Who may do what, and what no client can do to the others, whichever of the two brokers runs. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { findProgram } from '../../services/platform/machine/programs.ts';
import { onBothBrokers, payloadsOf, topicsOf, until } from './both-brokers.ts';
import { accounts, happens, join, rawConnection, refusalOf } from './peers.ts';

onBothBrokers(({ broker, listener }) => {
  describe('accounts', () => {
    test('a wrong password is refused as not authorized', async () => {
      expect(await refusalOf(broker.port, { username: 'service', password: 'wrong' })).toBe(5);
    });

    test('an unknown user is refused as not authorized', async () => {
      expect(await refusalOf(broker.port, { username: 'constructor', password: 'x' })).toBe(5);
    });

    test('a user without a password is refused as not authorized', async () => {
      expect(await refusalOf(broker.port, { username: 'service' })).toBe(5);
    });

    test('an anonymous connection is refused as not authorized', async () => {
      expect(await refusalOf(broker.port, {})).toBe(5);
    });

    test('a second connection with the same client id takes over from the first', async () => {
      const first = await join(broker.port, 'service', { clientId: 'twin' });
      const closed = happens(first.client, 'close');
      const second = await join(broker.port, 'service', { clientId: 'twin' });
      await closed;
      await second.client.subscribeAsync('control/+', { qos: 1 });
      await second.client.publishAsync('control/twin', 'still here', { qos: 1 });
      await until(second, 'still here');
    });
  });

  describe('access', () => {
    test("the hook's login reaches a service", async () => {
      const service = await listener();
      const hook = await join(broker.port, 'hook');
      await hook.client.publishAsync('events/login', '{"userId":"ada"}', { qos: 1 });
      await until(service, '{"userId":"ada"}');
    });

    test.each(['stock/fetch/AAPL', 'control/worker-1', 'mesh/worker/w1/state', 'events/logout', 'events/login/more'])(
      'what the hook publishes on %s is acknowledged and reaches nobody',
      async (topic) => {
        const service = await listener();
        await service.client.subscribeAsync('#', { qos: 1 });
        const hook = await join(broker.port, 'hook');
        await hook.client.publishAsync(topic, 'forged', { qos: 1, retain: true });
        await hook.client.publishAsync(topic, 'forged', { qos: 0 });
        await hook.client.publishAsync(topic, 'forged', { qos: 2 });
        await hook.client.publishAsync('events/login', 'sentinel', { qos: 1 });
        await until(service, 'sentinel');
        expect(payloadsOf(service)).not.toContain('forged');
        const late = await join(broker.port, 'service');
        await late.client.subscribeAsync('#', { qos: 1 });
        await late.client.publishAsync('events/login', 'late sentinel', { qos: 1 });
        await until(late, 'late sentinel');
        expect(payloadsOf(late)).not.toContain('forged');
      },
    );

    test('the hook sees nothing, not even its own events, whatever it subscribes to', async () => {
      const hook = await join(broker.port, 'hook');
      await hook.client.subscribeAsync(['#', 'events/login', 'stock/+/+', '+/+/+', '$SYS/#']);
      const service = await listener();
      await hook.client.publishAsync('events/login', 'mine', { qos: 1 });
      await service.client.publishAsync('stock/fetch/AAPL', 'job', { qos: 1 });
      await until(service, 'mine');
      await until(service, 'job');
      // An answer to a ping comes after everything that was on its way.
      const answered = new Promise<void>((resolve) => hook.client.on('packetreceive', ({ cmd }) => cmd === 'pingresp' && resolve()));
      hook.client.sendPing();
      await answered;
      expect(hook.heard).toEqual([]);
    });

    test('the monitor sees every job on stock/+/+', async () => {
      const monitor = await join(broker.port, 'monitor');
      await monitor.client.subscribeAsync('stock/+/+', { qos: 1 });
      const service = await join(broker.port, 'service');
      const jobs = ['stock/fetch/AAPL', 'stock/fetch/batch', 'stock/analysis/BRK_2EB', 'stock/picks/ada'];
      for (const topic of jobs) await service.client.publishAsync(topic, 'job', { qos: 1 });
      await expect.poll(() => topicsOf(monitor)).toEqual(jobs);
    });

    test('what the monitor publishes is acknowledged and reaches nobody', async () => {
      const service = await listener();
      const monitor = await join(broker.port, 'monitor');
      for (const topic of ['stock/fetch/AAPL', 'events/login', 'mesh/stats'])
        await monitor.client.publishAsync(topic, 'forged', { qos: 1 });
      // Its own order to the same receiver is the only proof, so the sentinel follows once all three are acknowledged.
      await service.client.publishAsync('events/login', 'sentinel', { qos: 1 });
      await until(service, 'sentinel');
      expect(payloadsOf(service)).not.toContain('forged');
    });

    test('a monitor that subscribes to # sees what it may and nothing else', async () => {
      const service = await join(broker.port, 'service');
      await service.client.publishAsync('control/worker-9', 'retained secret', { qos: 1, retain: true });
      const monitor = await join(broker.port, 'monitor');
      await monitor.client.subscribeAsync(['#', '+/+', 'control/+', 'events/#'], { qos: 1 });
      for (const topic of ['control/worker-1', 'events/login', 'stock/fetch/AAPL', 'mesh/worker/w1/state', 'alerts/depth'])
        await service.client.publishAsync(topic, topic, { qos: 1 });
      await expect.poll(() => payloadsOf(monitor)).toContain('alerts/depth');
      expect(new Set(topicsOf(monitor))).toEqual(new Set(['stock/fetch/AAPL', 'mesh/worker/w1/state', 'alerts/depth']));
      await service.client.publishAsync('control/worker-9', '', { qos: 1, retain: true });
    });

    test("nobody sees the broker's own $SYS topics", async () => {
      const service = await listener();
      await service.client.subscribeAsync(['$SYS/#'], { qos: 1 });
      await join(broker.port, 'monitor');
      await service.client.publishAsync('events/login', 'sentinel', { qos: 1 });
      await until(service, 'sentinel');
      expect(topicsOf(service).filter((topic) => topic.startsWith('$'))).toEqual([]);
    });

    const subscribe = findProgram(['mosquitto_sub']);
    const publish = findProgram(['mosquitto_pub']);
    test.skipIf(subscribe === undefined || publish === undefined)(
      'the command line tools watch as monitor and sign in as hook',
      async () => {
        const account = (user: string) => ['-p', `${broker.port}`, '-u', user, '-P', accounts[user]!.password];
        const service = await listener();
        await promisify(execFile)(publish!, [...account('hook'), '-t', 'events/login', '-m', '{"userId":"bob"}', '-q', '1']);
        await until(service, '{"userId":"bob"}');
        const watch = spawn(subscribe!, [...account('monitor'), '-t', 'stock/+/+', '-v', '-C', '1'], {
          stdio: ['ignore', 'pipe', 'ignore'],
        });
        let shown = '';
        watch.stdout.setEncoding('utf8').on('data', (chunk: string) => {
          shown += chunk;
        });
        const ended = once(watch, 'exit');
        // It does not say when its subscription stands, and ends with the first message.
        const told = async () => {
          await service.client.publishAsync('stock/fetch/AAPL', '{"why":"login"}', { qos: 1 });
          return watch.exitCode;
        };
        await expect.poll(told).toBe(0);
        await ended;
        expect(shown).toContain('stock/fetch/AAPL {"why":"login"}');
      },
    );
  });

  describe('size', () => {
    test('a payload of 64 KiB is delivered, one byte more is acknowledged and dropped, and the connection goes on', async () => {
      const service = await listener();
      const hook = await join(broker.port, 'hook');
      await hook.client.publishAsync('events/login', 'x'.repeat(65_537), { qos: 1 });
      await hook.client.publishAsync('events/login', 'y'.repeat(65_536), { qos: 1 });
      await hook.client.publishAsync('events/login', 'sentinel', { qos: 1 });
      await until(service, 'sentinel');
      expect(service.heard.map(({ payload }) => `${payload[0]}${payload.length}`)).toEqual(['y65536', 's8']);
    });

    test.each([0, 1, 2] as const)(
      'a publish of 1 MB at QoS %i is not delivered, not retained, and harms neither its sender nor others',
      async (qos) => {
        const service = await listener();
        const other = await join(broker.port, 'service');
        const sender = await join(broker.port, 'service');
        const topic = `mesh/worker/large-${qos}/state`;
        const published = sender.client.publishAsync(topic, Buffer.alloc(1_000_000, 'x'), { qos, retain: true });
        await other.client.publishAsync('events/login', 'meanwhile', { qos: 1 });
        await published;
        await sender.client.publishAsync('events/login', 'afterwards', { qos: 1 });
        await until(service, 'afterwards');
        await until(service, 'meanwhile');
        expect(topicsOf(service)).toEqual(['events/login', 'events/login']);
        const late = await join(broker.port, 'service');
        await late.client.subscribeAsync(['mesh/#', 'events/login'], { qos: 1 });
        await late.client.publishAsync('events/login', 'sentinel', { qos: 1 });
        await until(late, 'sentinel');
        expect(topicsOf(late)).not.toContain(topic);
      },
    );

    test('garbage instead of MQTT ends its own connection only', async () => {
      const service = await listener();
      const socket = await rawConnection(broker.port);
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
      await closed;
      await service.client.publishAsync('events/login', 'goes on', { qos: 1 });
      await until(service, 'goes on');
    });

    test('a subscriber that stops reading keeps nothing from the others', async () => {
      const frozen = await join(broker.port, 'service');
      await frozen.client.subscribeAsync('data/+/+', { qos: 0 });
      frozen.client.stream.unpipe();
      frozen.client.stream.pause();
      const service = await listener();
      const publisher = await join(broker.port, 'service');
      const payload = 'x'.repeat(60_000);
      for (let i = 0; i < 300; i++) publisher.client.publish('data/AAPL/bars', payload);
      await publisher.client.publishAsync('events/login', 'sentinel', { qos: 1 });
      await until(service, 'sentinel');
      expect(service.heard).toHaveLength(301);
    });
  });
});
