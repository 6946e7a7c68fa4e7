import { z } from 'zod';
import { readBrokerUrl } from '../../bus/broker-url.ts';
import { secretUrl } from '../../text/secret-url.ts';
import { because, count, duration, file, missingOfPair, port, secret, text } from '../fields.ts';

const tls = z
  .strictObject({
    enabled: z.boolean(),
    ca_file: file(),
    verify: z.boolean(),
    cert_file: file(),
    key_file: file(),
    client_ca_file: file(),
    listen_host: text(),
    listen_port: port(),
    listen_websocket_port: port().nullable(),
  })
  .check(({ value: { cert_file, key_file, client_ca_file, listen_websocket_port }, issues }) => {
    const report = (key: string, message: string) =>
      issues.push({ code: 'custom', input: null, path: [key], ...because('config.missing_value', message) });
    const missing = missingOfPair({ cert_file, key_file });
    if (missing !== undefined) issues.push({ code: 'custom', input: null, ...missing });
    if (cert_file !== null || key_file !== null) return;
    if (client_ca_file !== null) report('cert_file', 'client_ca_file asks clients for certificates, so the broker needs one too');
    if (listen_websocket_port !== null) report('cert_file', 'listen_websocket_port is encrypted, so the broker needs a certificate');
  });

const limits = z.strictObject({
  connections: count(1),
  connections_per_account: count(1),
  unauthenticated: count(1),
  connect_timeout: duration(),
  wrong_passwords: count(1),
  messages_per_second: count(1),
  bytes_per_second: count(1024),
  subscriptions: count(1),
  sessions_per_account: count(0),
  queued_bytes_per_session: count(1024),
  queued_bytes_per_account: count(1024),
});

/** The broker: where it is, how it is reached, and what the embedded one takes. The keys are documented in `config/default.yaml`. */
export const mqtt = z
  .strictObject({
    url: secretUrl('bus.invalid_url', readBrokerUrl),
    host: text().nullable(),
    port: port(),
    username: text().nullable(),
    password: secret(),
    passwords: z.strictObject({
      portfolio_priority: secret(),
      worker: secret(),
      scheduler: secret(),
      notifier: secret(),
      gateway: secret(),
      cli: secret(),
    }),
    tls,
    protocol_version: z.union([z.literal(4), z.literal(5)]),
    keepalive: count(0, 65_535),
    client_id_prefix: z.string().regex(/^[A-Za-z0-9_-]{1,40}$/, 'must be 1-40 letters, digits, "_" or "-"'),
    publish_timeout: duration(),
    max_in_flight: count(1, 65_535),
    websocket_port: port().nullable(),
    max_payload: count(1024, 268_435_455),
    share_logins: z.boolean().nullable(),
    limits,
  })
  .refine(
    ({ url, host, protocol_version }) => url || host !== null || protocol_version === 4,
    because(
      'config.out_of_range',
      'the embedded broker speaks MQTT 3.1.1: protocol_version must be 4, or url or host must name a broker that speaks MQTT 5',
    ),
  )
  .refine(
    ({ url, host, tls: { cert_file } }) => cert_file === null || (!url && host === null),
    because(
      'config.conflicting_keys',
      'tls.cert_file is the certificate of the embedded broker, which does not run where url or host names another: give that broker the certificate, or leave one of them out',
    ),
  );
