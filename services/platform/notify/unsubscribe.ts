/**
 * The link of a mail by which its receiver ends messages of its kind, without signing in. It holds who and what, signed: nobody can make one for somebody else, and it works
 * as long as the secret stays, also when the message is deleted.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Config } from '../config/load.ts';

/** Where the gateway takes it: services/gateway/unsubscribe/routes.ts. */
const UNSUBSCRIBE_PATH = '/v1/unsubscribe';

/** What a link is about. */
export interface Subscription {
  /** A user, or an e-mail address of a route. */
  who: string;
  /** Names of events. */
  events: readonly string[];
}

/** What of the configuration a link is made with. */
interface Settings {
  gateway: Pick<Config['gateway'], 'public_url'>;
  notify: Pick<Config['notify'], 'unsubscribe_secret'>;
}

/** The link of a mail; undefined where the configuration names no address for it, or no secret. */
export function unsubscribeLink({ gateway, notify }: Settings, subscription: Subscription): string | undefined {
  const { public_url } = gateway;
  const { unsubscribe_secret: secret } = notify;
  if (public_url === null || secret === null) return undefined;
  return `${public_url}${UNSUBSCRIBE_PATH}?token=${tokenOf(secret, subscription)}`;
}

function tokenOf(secret: string, { who, events }: Subscription): string {
  const text = Buffer.from(JSON.stringify([who, ...events])).toString('base64url');
  return `${text}.${signatureOf(secret, text)}`;
}

/** Over the text as it was sent: so that no second spelling of the same bytes has the same signature. The first words keep it apart from whatever else a secret may sign. */
const signatureOf = (secret: string, text: string): string =>
  createHmac('sha256', secret).update(`stockmesh unsubscribe 1\n${text}`).digest('base64url');

/** What a token is about; undefined for one that was not made with this secret. */
export function subscriptionOf(secret: string, token: string): Subscription | undefined {
  const [text = '', signature = '', ...rest] = token.split('.');
  const expected = Buffer.from(signatureOf(secret, text));
  const given = Buffer.from(signature);
  if (rest.length > 0 || given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  const [who, ...events] = JSON.parse(Buffer.from(text, 'base64url').toString()) as [string, ...string[]];
  return { who, events };
}
