import { expect, test } from 'vitest';
import { checkAccounts, compileAccess, includes, loadAccess, parseAccess } from '../../../broker/access.ts';
import { ConfigError } from '../../../services/platform/errors.ts';

const problem = (yaml: string): ConfigError => {
  try {
    parseAccess(yaml, 'access.yaml');
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('the rules were accepted');
};

test('the shipped rules are valid and have a role for the hook, for people, for each service, and one for all services', () => {
  const services = ['portfolio-priority', 'worker', 'scheduler', 'notifier', 'gateway', 'cli'];
  expect(Object.keys(loadAccess().roles)).toEqual(['hook', 'monitor', ...services, 'service']);
});

test('only the account of portfolio-priority sees logins, and the one for all services', () => {
  const { maySee } = compileAccess(loadAccess());
  expect(Object.keys(loadAccess().roles).filter((role) => maySee(role, 'events/login'))).toEqual(['portfolio-priority', 'service']);
});

test('the hook may publish logins and nothing else, and sees nothing', () => {
  expect(loadAccess().roles.hook).toMatchObject({ publish: ['events/login'], subscribe: [] });
});

test('the monitor publishes nothing', () => {
  expect(loadAccess().roles.monitor!.publish).toEqual([]);
});

test.each([
  ['not YAML', 'roles: [', 'not YAML'],
  ['an unknown key', 'roles: { hook: { publish: [], subscribe: [], publsh: [] } }', 'roles.hook: Unrecognized key: "publsh"'],
  ['a missing list', 'roles: { hook: { publish: [] } }', 'roles.hook.subscribe'],
  ['"#" before the end', 'roles: { hook: { publish: [stock/#/fetch], subscribe: [] } }', 'not "stock/#/fetch"'],
  ['everything', 'roles: { hook: { publish: ["#"], subscribe: [] } }', 'not "#"'],
  ['a wildcard inside a level', 'roles: { hook: { publish: [stock/fetch+], subscribe: [] } }', 'not "stock/fetch+"'],
  ['an empty level', 'roles: { hook: { publish: [stock//fetch], subscribe: [] } }', 'not "stock//fetch"'],
  ["the broker's own topics", 'roles: { hook: { publish: [], subscribe: [$SYS/broker] } }', 'roles.hook.subscribe.0'],
  ['a client id that may be any role', 'roles: { hook: { publish: [], subscribe: [], client_ids: [""] } }', 'roles.hook.client_ids'],
  ['no roles', 'roles: {}', 'at least one role'],
])('rules with %s are refused, naming the place', (_name, yaml, told) => {
  const error = problem(yaml);
  expect(error.code).toBe('access.invalid');
  expect(error.message).toContain('access.yaml');
  expect(error.message).toContain(told);
});

test('a file that is not there is refused, naming it', () => {
  expect(() => loadAccess('/nowhere/access.yaml')).toThrow('/nowhere/access.yaml');
});

// MQTT 3.1.1, 4.7: the examples of the specification, and what follows for filters inside filters.
test.each([
  ['sport/tennis/player1/#', 'sport/tennis/player1', true],
  ['sport/tennis/player1/#', 'sport/tennis/player1/score/wimbledon', true],
  ['sport/+', 'sport', false],
  ['sport/+', 'sport/', true],
  ['sport/tennis/+', 'sport/tennis/player1/ranking', false],
  ['+/+', '/finance', true],
  ['+', '/finance', false],
  ['#', '$SYS/broker', false],
  ['#', 'sport/tennis', true],
  ['$SYS/#', '$SYS/broker', true],
  ['sport/+', 'sport/$tennis', true],
  ['+/monitor/Clients', '$SYS/monitor/Clients', false],
  ['stock/+/+', 'stock/fetch/+', true],
  ['stock/fetch/+', 'stock/+/+', false],
  ['stock/+/+', 'stock/#', false],
  ['stock/+', 'stock/#', false],
  ['stock/fetch', 'stock/+', false],
  ['stock/fetch', 'stock/#', false],
  ['+', '#', false],
  ['stock/+', 'stock/+', true],
  ['stock/#', 'stock/#', true],
  ['stock/#', 'stock/+', true],
  ['stock/fetch/#', 'stock/#', false],
  ['mesh/#', 'mesh/+/+/state', true],
  ['mesh/#', '#', false],
])('%s includes %s: %s', (pattern, filter, expected) => {
  expect(includes(pattern, filter)).toBe(expected);
});

test('decisions stay right after more topics than are remembered', () => {
  const access = compileAccess(loadAccess());
  const numbers = Array.from({ length: 25_000 }, (_, i) => i);
  expect(numbers.every((i) => access.maySee('monitor', `stock/fetch/S${i}`))).toBe(true);
  expect(numbers.some((i) => access.maySee('monitor', `control/S${i}`))).toBe(false);
});

test('an unknown role may nothing', () => {
  const access = compileAccess(loadAccess());
  expect([access.mayPublish('constructor', 'events/login'), access.maySee('', 'mesh/stats')]).toEqual([false, false]);
  expect([access.covers('nobody', 'stock/fetch/AAPL'), access.covers('monitor', 'stock/+/+')]).toEqual([false, true]);
});

test.each([
  [
    'a name that a password file cannot hold',
    { 'e:ve': { password: 'x', role: 'hook' } },
    'access.bad_account',
    '"e:ve": a name is letters',
  ],
  ['an unknown role', { eve: { password: 'x', role: 'admin' } }, 'access.unknown_role', 'the roles are hook, monitor, '],
  ['no password', { eve: { password: '', role: 'hook' } }, 'access.bad_account', '"eve" needs a password of one line'],
  ['a password of two lines', { eve: { password: 'a\nb', role: 'hook' } }, 'access.bad_account', '"eve" needs a password of one line'],
])('an account with %s is refused', (_, accounts, code, text) => {
  expect(() => checkAccounts(accounts as unknown as Parameters<typeof checkAccounts>[0], loadAccess())).toThrow(
    expect.objectContaining({ name: 'ConfigError', code, message: expect.stringContaining(text) }),
  );
});

test('any other account is taken', () => {
  checkAccounts({ 'web_1.hook-A': { password: ' ', role: 'hook' } }, loadAccess());
});

test('the acknowledgement of a publish is held only where the rules say so', () => {
  const access = compileAccess(
    parseAccess(
      'roles: { hook: { publish: [a, b], subscribe: [], acknowledge_after_commit: [a] }, other: { publish: [a], subscribe: [] } }',
      'x',
    ),
  );
  expect([access.isHeld('hook', 'a'), access.isHeld('hook', 'b'), access.isHeld('other', 'a'), access.isHeld('nobody', 'a')]).toEqual([
    true,
    false,
    false,
    false,
  ]);
});

test.each([
  ['hook', 'mosq-4fJ2', true],
  ['hook', '', true],
  ['hook', 'stockmesh', true],
  ['hook', 'stockmesh-hooks-1', true],
  ['hook', 'stockmesh-worker-1-listen', false],
  ['hook', 'STOCKMESH-WORKER-1-LISTEN', false],
  ['monitor', 'stockmesh-portfolio-priority-', false],
  ['worker', 'stockmesh-worker-1-listen', true],
  ['worker', 'STOCKMESH-WORKER-1-LISTEN', false],
  ['worker', 'stockmesh-worker', false],
  ['worker', 'stockmesh-gateway-1-listen', false],
  ['worker', 'anything', false],
  ['worker', '', false],
  ['service', 'stockmesh-worker-1-listen', true],
  ['service', 'anything', true],
  ['nobody', 'anything', false],
])('%s may call itself "%s": %s', (role, clientId, expected) => {
  expect(compileAccess(loadAccess()).mayUse(role, clientId)).toBe(expected);
});

test('client ids begin with the configured prefix, and those of the default are free then', () => {
  const { mayUse } = compileAccess(loadAccess(), 'desk');
  expect([mayUse('worker', 'desk-worker-1'), mayUse('worker', 'stockmesh-worker-1'), mayUse('hook', 'desk-worker-1')]).toEqual([
    true,
    false,
    false,
  ]);
});
