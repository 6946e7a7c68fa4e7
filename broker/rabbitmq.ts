/** A RabbitMQ cluster in the embedded broker's place: its configuration and permissions, generated from the same access rules. */
import { type AccessRules, CLIENT_ID_PREFIX, clientIdPrefixes } from './access.ts';

const generated = (comment: string): string =>
  `${comment} Generated from broker/access.yaml by broker/rabbitmq.ts. Change those, then: npx vitest run test/broker/rabbitmq.test.ts --update\n`;

/** The text of `rabbitmq.conf`. For RabbitMQ 3.10 and later. */
export function rabbitmqConfig(): string {
  return `${generated('#')}
# Reached from this machine only. For others give the address to listen on, and mqtt.listeners.ssl before passwords cross a network.
mqtt.listeners.tcp.1 = 127.0.0.1:1883
mqtt.allow_anonymous = false
mqtt.vhost = /
mqtt.exchange = amq.topic

# A kept session is replicated, so that it outlives the node. Set it before the first subscription: a queue keeps its type.
mqtt.durable_queue_type = quorum
# Messages that a service may have unacknowledged. With the default of 10, each commit would take 10 logins.
mqtt.prefetch = 1000
# A session that nobody uses is deleted with its messages after this many milliseconds; infinity: never.
mqtt.subscription_ttl = infinity
`;
}

/** The text of a script that gives each role its account and its permissions. It reads the passwords from the environment. */
export function rabbitmqPermissions({ roles }: AccessRules): string {
  const reserved = Object.values(roles).flatMap((role) => clientIdPrefixes(role, CLIENT_ID_PREFIX) ?? []);
  const accounts = Object.entries(roles).map(([role, rules]) => {
    const { publish, subscribe } = rules;
    const password = `${role.toUpperCase().replaceAll('-', '_')}_PASSWORD`;
    // A subscription is a queue, named after the client id and bound to the exchange.
    const own = clientIdPrefixes(rules, CLIENT_ID_PREFIX);
    const ids = own !== undefined ? `(${own.join('|')})` : rules.client_ids === 'any' ? '' : `(?!${reserved.join('|')})`;
    const queues = subscribe.length === 0 ? undefined : `mqtt-subscription-${ids}.*`;
    const both = queues === undefined ? '^amq\\.topic$' : `^(${queues}|amq\\.topic)$`;
    const configure = queues === undefined ? '^$' : `^${queues}$`;
    return `# ${role}
if [ -n "\${${password}:-}" ]; then
  printf '%s' "$${password}" | rabbitmqctl add_user ${role}
  rabbitmqctl set_permissions ${role} '${configure}' '${both}' '${queues === undefined ? '^$' : both}'
  rabbitmqctl set_topic_permissions ${role} amq.topic '${routingKeys(publish)}' '${routingKeys(subscribe)}'
else
  echo "${password} is not set: no account ${role}"
fi
`;
  });
  return `#!/bin/sh
${generated('#')}#
# Creates an account a role, with the password of HOOK_PASSWORD, PORTFOLIO_PRIORITY_PASSWORD and so on; one without a password is left out.
# What is not listed is not allowed. Client ids of services begin with "${CLIENT_ID_PREFIX}-"; with another queue.mqtt.client_id_prefix replace it.
set -eu

${accounts.join('\n')}`;
}

/** A regular expression of the routing keys of these topic patterns, and of the binding keys that match no more than they do. */
function routingKeys(patterns: string[]): string {
  if (patterns.length === 0) return '^$';
  const keys = patterns.map((pattern) => pattern.replaceAll('+', '[^.#]+').replace('/#', '(/.+)?').replaceAll('/', '\\.'));
  return `^(${keys.join('|')})$`;
}
