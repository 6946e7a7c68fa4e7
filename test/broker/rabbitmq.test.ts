import { expect, test } from 'vitest';
import { loadAccess } from '../../broker/access.ts';
import { rabbitmqConfig, rabbitmqPermissions } from '../../broker/rabbitmq.ts';

const shipped = (name: string) => new URL(`../../broker/rabbitmq/${name}`, import.meta.url).pathname;

test('the shipped configuration and permissions are what the access rules give', async () => {
  await expect(rabbitmqConfig()).toMatchFileSnapshot(shipped('rabbitmq.conf'));
  await expect(rabbitmqPermissions(loadAccess())).toMatchFileSnapshot(shipped('accounts.sh'));
});

/** The expressions of `rabbitmqctl set_topic_permissions`: what may be published, what may be bound. */
function topicPermissions(role: string): { write: RegExp; read: RegExp } {
  const line = new RegExp(`set_topic_permissions ${role} amq\\.topic '(.*)' '(.*)'`).exec(rabbitmqPermissions(loadAccess()));
  return { write: new RegExp(line![1]!), read: new RegExp(line![2]!) };
}

test.each([
  ['hook', 'write', 'events.login', true],
  ['hook', 'write', 'events.login.more', false],
  ['hook', 'write', 'stock.fetch.AAPL', false],
  ['hook', 'read', 'events.login', false],
  ['monitor', 'write', 'mesh.stats', false],
  ['monitor', 'read', 'stock.fetch.AAPL', true],
  ['monitor', 'read', 'stock.*.*', true],
  ['monitor', 'read', 'stock.#', false],
  ['monitor', 'read', 'mesh.#', true],
  ['monitor', 'read', 'mesh', true],
  ['monitor', 'read', 'mesh.worker.w1.state', true],
  ['monitor', 'read', 'meshes.worker', false],
  ['monitor', 'read', '#', false],
  ['monitor', 'read', 'control.worker-1', false],
  ['service', 'write', 'control.worker-1', true],
  ['service', 'read', 'events.login', true],
] as const)('%s may %s %s: %s', (role, operation, routingKey, allowed) => {
  expect(topicPermissions(role)[operation].test(routingKey)).toBe(allowed);
});

/** The expression of `rabbitmqctl set_permissions` that names the queues that the role may make and read. JavaScript and Erlang read it alike. */
function ownQueues(role: string): RegExp {
  return new RegExp(new RegExp(`set_permissions ${role} '(.*?)' `).exec(rabbitmqPermissions(loadAccess()))![1]!);
}

// RabbitMQ names the queue of a subscription after the client id.
test.each([
  ['hook', 'mosq-1', false],
  ['monitor', 'mosq-1', true],
  ['monitor', 'stockmesh-portfolio-priority-one-listen', false],
  ['worker', 'stockmesh-worker-one-listen', true],
  ['worker', 'stockmesh-portfolio-priority-one-listen', false],
  ['service', 'stockmesh-portfolio-priority-one-listen', true],
])('%s may use the queue of the client id %s: %s', (role, clientId, allowed) => {
  expect(ownQueues(role).test(`mqtt-subscription-${clientId}qos1`)).toBe(allowed);
});
