/** One service that is told to end or to start again, and what the command says of it. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Bus, connectBus } from '../../../services/platform/bus/bus.ts';
import { reportInstance, retireInstance } from '../../../services/platform/registry/instances.ts';
import { accounts, silent } from '../../broker/peers.ts';
import { overDatabase } from '../over-database.ts';

const { db, brokerPort, run, json } = await overDatabase({ broker: true });
const INSTANCE = 'worker-one';
let session: string;
let bus: Bus;
/** What the service does when it is told. */
let react: (action: string) => Promise<void>;
const told: string[] = [];

const report = (running = 0, instance = INSTANCE): Promise<void> => {
  const now = new Date();
  return reportInstance(db, { instance, service: 'worker', session, capacity: 5, running, started_at: now, heartbeat_at: now });
};
const leave = () => retireInstance(db, { instance: INSTANCE, service: 'worker', session, capacity: 5 }, new Date(0));

beforeEach(async () => {
  session = randomUUID();
  told.length = 0;
  await report(2);
  const account = { username: 'worker', password: accounts.worker!.password };
  bus = connectBus({ host: '127.0.0.1', port: brokerPort!, ...account, service: 'worker', instance: INSTANCE, version: '0', log: silent });
  bus.subscribe('control', { params: { instance: INSTANCE } }, async ({ body }) => {
    told.push(body.action);
    await react(body.action);
  });
  await bus.online();
  await expect.poll(() => bus.state).toBe('online');
});
afterEach(async () => {
  await bus.close();
  await db.run('DELETE FROM instances');
});

test('drain waits until the service has left', async () => {
  react = async () => void (await leave());
  const { code, stdout } = await run('drain', INSTANCE, '--yes');
  expect({ code, stdout, told }).toEqual({
    code: 0,
    stdout: expect.stringMatching(/^worker worker-one has ended, after \d+\.\d s\n$/),
    told: ['drain'],
  });
});

test.each([INSTANCE, 'worker-two'])('reload waits for the next process of the service, whatever its name: %s', async (next) => {
  react = async () => {
    await leave();
    session = randomUUID();
    await report(0, next);
  };
  expect(await json('reload', INSTANCE, '--yes')).toEqual({
    ok: true,
    instance: INSTANCE,
    action: 'reload',
    outcome: 'started again',
    seconds: expect.any(Number),
  });
  expect(told).toEqual(['reload']);
});

test('with --no-wait it is told alone', async () => {
  react = async () => {};
  expect(await run('drain', INSTANCE, '--yes', '--no-wait')).toMatchObject({ code: 0, stdout: 'worker worker-one was told\n' });
  await expect.poll(() => told).toEqual(['drain']);
});

test('it stands in the audit log', async () => {
  react = async () => {};
  await run('reload', INSTANCE, '--yes', '--no-wait');
  const { rows } = await json('audit', '--action', 'instance.reload');
  expect(rows[0]).toMatchObject({ action: 'instance.reload', target: `instance:${INSTANCE}`, source: 'cli' });
});

test('without a terminal it wants --yes, and says what would happen', async () => {
  const { code, stderr } = await run('drain', INSTANCE);
  expect({ code, stderr, told }).toEqual({
    code: 2,
    stderr:
      'stockmesh: worker worker-one would be told to stop: it finishes 2 jobs or hands them back, then it ends; what watches over it ("up", systemd, a container engine) starts another one unless it is stopped there; confirm it with --yes\n',
    told: [],
  });
});

test('of a name that nobody has, those that are alive are named', async () => {
  const { code, stderr } = await run('drain', 'worker-two', '--yes');
  expect({ code, stderr }).toEqual({ code: 1, stderr: 'stockmesh: no instance "worker-two" is alive; these are: worker-one\n' });
});
