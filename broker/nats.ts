/** NATS JetStream in the embedded broker's place: its configuration, generated from the same access rules. */
import type { AccessRules } from './access.ts';

const GENERATED =
  '# Generated from broker/access.yaml by broker/nats.ts. Change those, then: npx vitest run test/broker/nats.test.ts --update\n';

/** What differs between one node and each of three, which have one text: name, routes and the password between nodes come from the environment. */
const ONE_NODE = {
  place: `# Reached from this machine only. For others give the address to listen on, and tls {} in mqtt {} before passwords cross a network.
server_name: stockmesh
listen: "127.0.0.1:4222"`,
  mqtt: '127.0.0.1:1883',
  replicas: '',
};
const THREE_NODES = {
  place: `# For a network that nobody else uses. Before passwords cross another one give tls {} in mqtt {} and in cluster {}.
server_name: $NODE_NAME
listen: "127.0.0.1:4222"
cluster {
  name: stockmesh
  listen: "0.0.0.0:6222"
  authorization { user: node, password: $CLUSTER_PASSWORD }
  # Of all three nodes: [nats-route://node:<the password>@<node>:6222, ...]
  routes: $CLUSTER_ROUTES
}`,
  mqtt: '0.0.0.0:1883',
  replicas: `
  # Each message and each session stands on all three nodes, and two of them must have it before it is acknowledged.
  stream_replicas: 3
  consumer_replicas: 3`,
};

/** The text of `nats-server.conf`, or of `cluster.conf` for each of three nodes: one account a role, its password from the environment. For NATS 2.9 and later. */
export function natsConfig({ roles }: AccessRules, nodes: 1 | 3 = 1): string {
  const { place, mqtt, replicas } = nodes === 1 ? ONE_NODE : THREE_NODES;
  const users = Object.entries(roles).map(([role, { publish, subscribe }]) => {
    // A subscriber of QoS 1 is fed by JetStream through a subject of its own.
    const seen = subscribe.length === 0 ? [] : [...subscribe.flatMap(subjects), '$MQTT.sub.>'];
    return `    {
      user: ${role}
      password: $${role.toUpperCase().replaceAll('-', '_')}_PASSWORD
      permissions: {
        publish: ${permission(publish.flatMap(subjects))}
        subscribe: ${permission(seen)}
      }
    }`;
  });
  return `${GENERATED}
${place}
jetstream { store_dir: "/var/lib/nats/stockmesh" }

mqtt {
  listen: "${mqtt}"
  # What a killed service had not acknowledged is delivered again after this time. Longer than the slowest commit, else messages arrive twice.
  # Applies to new subscriptions only.
  ack_wait: "3s"
  max_ack_pending: 1000${replicas}
}

# Stop it by SIGUSR2, never by SIGTERM: that one acknowledges a few messages that it does not store.
lame_duck_duration: "30s"
lame_duck_grace_period: "1s"

# What is not listed is not allowed. Leave out the accounts that you do not use: "service" is all services in one.
authorization {
  users: [
${users.join('\n')}
  ]
}
`;
}

/** The subjects of a topic pattern. `a/#` matches `a` too [MQTT-4.7.1-2], `a.>` does not. */
function subjects(pattern: string): string[] {
  const subject = pattern.replaceAll('/', '.').replaceAll('+', '*').replace('#', '>');
  return subject.endsWith('.>') ? [subject, subject.slice(0, -2)] : [subject];
}

const permission = (allowed: string[]): string =>
  allowed.length === 0 ? '{ deny: ">" }' : `{ allow: [${allowed.map((subject) => `"${subject}"`).join(', ')}] }`;
