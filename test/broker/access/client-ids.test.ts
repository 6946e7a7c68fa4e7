/** Client ids belong to accounts, at the embedded broker: whoever takes an id takes its connection and its session. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { findProgram } from '../../../services/platform/machine/programs.ts';
import { login, start } from '../held/held-logins.ts';
import { accounts, connectPacket, join, rawConnection, refusalOf } from '../peers.ts';

const as = (account: string) => ({ username: account, password: accounts[account]!.password });
/** Return codes of CONNACK [MQTT-3.2.2.3]. */
const IDENTIFIER_REJECTED = 2;
const ID = 'stockmesh-portfolio-priority-one-listen';

test.each(['hook', 'monitor', 'worker', 'gateway'])(
  "%s is refused with a service's id, whether the service is there or not yet",
  async (account) => {
    const broker = await start();
    expect(await refusalOf(broker.port, { ...as(account), clientId: ID })).toBe(IDENTIFIER_REJECTED);
    const service = await join(broker.port, 'portfolio-priority', { clientId: ID, clean: false });
    await service.client.subscribeAsync('events/login', { qos: 1 });
    for (const clean of [true, false])
      expect(await refusalOf(broker.port, { ...as(account), clientId: ID, clean })).toBe(IDENTIFIER_REJECTED);
    const hook = await join(broker.port, 'hook');
    await login(hook, 'ada').done;
    expect(service.heard.map(({ payload }) => payload)).toEqual(['ada']);
  },
);

test('while a service is away, nobody else ends its kept session with the logins in it', async () => {
  const broker = await start();
  const session = { clientId: ID, clean: false };
  const first = await join(broker.port, 'portfolio-priority', session);
  await first.client.subscribeAsync('events/login', { qos: 1 });
  await first.client.endAsync();
  const hook = await join(broker.port, 'hook');
  const waiting = login(hook, 'ada');
  expect(await refusalOf(broker.port, { ...as('hook'), clientId: ID, clean: true })).toBe(IDENTIFIER_REJECTED);
  const back = await join(broker.port, 'portfolio-priority', session);
  await waiting.done;
  expect(back.heard.map(({ payload }) => payload)).toEqual(['ada']);
});

test.each([
  ['a control character', 'ho\u0001ok'],
  ['a C1 control character', 'ho\u009bok'],
  ['a direction mark', '\u202ekooh'],
  ['a zero-width character', 'stockmesh\u200b-worker-1'],
  ['a line separator', 'ho\u2028ok'],
  ['bytes that are not UTF-8', '\ufffd'],
  ['more than 1,024 bytes', 'x'.repeat(1_025)],
])('a client id with %s is refused', async (_name, clientId) => {
  const broker = await start();
  expect(await refusalOf(broker.port, { ...as('hook'), clientId })).toBe(IDENTIFIER_REJECTED);
});

test('two ids that are not UTF-8 do not become one', async () => {
  const broker = await start();
  const connect = connectPacket('monitor', 'a?', 60);
  connect[connect.indexOf('a?') + 1] = 0xff;
  const socket = await rawConnection(broker.port);
  const answer = new Promise<Buffer>((resolve) => socket.once('data', resolve));
  socket.write(connect);
  expect([...(await answer)]).toEqual([0x20, 2, 0, IDENTIFIER_REJECTED]);
});

test('the hook and the monitor may use an empty id, one that their program makes, and one of 1,024 bytes', async () => {
  const broker = await start();
  for (const account of ['hook', 'monitor'])
    for (const clientId of ['', `mosqpub|${account}-host`, `auto-${account}-8F1E`, `mqttjs_${account}`, account, account[0]!.repeat(1_024)])
      expect((await join(broker.port, account, { clientId })).client.connected).toBe(true);
});

const mosquittoPub = findProgram(['mosquitto_pub']);
test.skipIf(mosquittoPub === undefined)('mosquitto_pub without an id sends a login', async () => {
  const broker = await start();
  const service = await join(broker.port, 'portfolio-priority');
  await service.client.subscribeAsync('events/login', { qos: 1 });
  const { username, password } = as('hook');
  const options = ['-p', String(broker.port), '-u', username, '-P', password, '-q', '1', '-t', 'events/login', '-m', 'ada'];
  await promisify(execFile)(mosquittoPub!, options);
  expect(service.heard.map(({ payload }) => payload)).toEqual(['ada']);
});

test('a service of another prefix is named by it', async () => {
  const broker = await start({ clientIdPrefix: 'desk' });
  expect((await join(broker.port, 'worker', { clientId: 'desk-worker-1-listen' })).client.connected).toBe(true);
  expect(await refusalOf(broker.port, { ...as('worker'), clientId: 'stockmesh-worker-1-listen' })).toBe(IDENTIFIER_REJECTED);
});
