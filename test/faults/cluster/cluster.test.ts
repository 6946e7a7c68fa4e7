/** What of `npm run trial:cluster` needs no cluster: how nodes and services are told of each other, and what counts as a broken promise. */
import { expect, test } from 'vitest';
import { loadConfig } from '../../../services/platform/config/load.ts';
import { brokerAddress, databaseOptions } from '../../../services/platform/connections.ts';
import { serverSettings } from './galera.ts';
import { placesOf } from './mesh.ts';
import { configOf, environmentOf } from './nats.ts';
import { brokenCounts, type ClusterRow } from './run-case.ts';

test('three database nodes name each other, one alone is no cluster', () => {
  const of = (addresses: string[]) => serverSettings({ folder: '/db', address: 'a', addresses });
  expect(of(['a', 'b', 'c'])).toMatchObject({
    'wsrep-cluster-address': 'gcomm://a,b,c',
    'wsrep-node-address': 'a',
    'binlog-format': 'ROW',
  });
  expect(Object.keys(of(['a'])).filter((name) => name.startsWith('wsrep'))).toEqual([]);
});

test('a broker node runs the shipped configuration over a folder of its own, and every variable in it has a value', () => {
  const roles = ['hook', 'monitor', 'portfolio-priority', 'worker', 'scheduler', 'notifier', 'gateway', 'cli', 'service'];
  const environment = environmentOf('mq1', ['a', 'b'], Object.fromEntries(roles.map((role) => [role, `${role} "1"`])));
  expect(JSON.parse(environment.CLUSTER_ROUTES as string)).toEqual([
    'nats-route://node:hook%20%221%22@a:6222',
    'nats-route://node:hook%20%221%22@b:6222',
  ]);
  for (const nodes of [1, 3] as const) {
    const config = configOf(nodes, '/mq/store');
    expect(config).toContain('store_dir: "/mq/store"');
    expect(config).not.toContain('127.0.0.1:1883');
    const named = [...config.matchAll(/\$([A-Z_]+)/g)].map(([, name]) => name as string).filter((name) => name !== 'MQTT');
    expect(named.filter((name) => !Object.hasOwn(environment, name))).toEqual([]);
  }
});

test('a service is given all addresses', () => {
  const passwords = { service: 'p' } as never;
  const places = placesOf(['a', 'b'], ['c', 'd'], { database: passwords, mqtt: passwords });
  const overrides = Object.fromEntries(Object.entries(places).map(([key, value]) => [key, { value, option: 'test' }]));
  const { config } = loadConfig({ env: {}, files: [], overrides });
  expect(databaseOptions(config, '/nowhere', 'service')).toMatchObject({
    addresses: [
      { host: 'a', port: 3306 },
      { host: 'b', port: 3306 },
    ],
  });
  expect(brokerAddress(config, '/nowhere', 'worker')).toMatchObject({ host: 'c,d', username: 'service', password: 'p' });
});

test('lost logins, logins that are never acknowledged, and jobs that are doubled or not done break the promise; an answer that was not heard does not', () => {
  const kept: ClusterRow = {
    ...{ fault: 'a fault', nodes: 3, rounds: 1, sent: 5, acknowledged: 5, committed: 5, lost: 0, answered: 4, answeredTwice: 1 },
    ...{ jobs: 2, jobsTwice: 0, jobsUndone: 0, slowestSeconds: 1 },
  };
  expect(brokenCounts(kept)).toEqual([]);
  expect(brokenCounts({ ...kept, acknowledged: 4, lost: 2, jobsTwice: 3, jobsUndone: 1 })).toEqual([
    '2 acknowledged logins lost',
    '1 logins never acknowledged',
    '3 jobs done twice',
    '1 jobs not completed',
  ]);
});
