/** One signed delivery of a webhook, as Standard Webhooks has it: headers `webhook-id`, `webhook-timestamp`, `webhook-signature`. */
import { createHmac } from 'node:crypto';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { TransientError } from '../../platform/errors.ts';
import { publicLookup, refusePrivate } from './callback-address.ts';

export interface Delivery {
  /** The same for every attempt. */
  id: string;
  url: string;
  secret: Buffer;
  body: string;
  /** Seconds since the epoch. */
  timestamp: number;
}

/** `v1,` and the HMAC-SHA256 of id, timestamp and body, in base64. */
export function signatureOf({ id, timestamp, body, secret }: Omit<Delivery, 'url'>): string {
  return `v1,${createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
}

/**
 * Posts it and gives the receiver's status. Redirects are not followed: they could lead to a private address. Errors: `PermanentError('callback.private_address')`,
 * `TransientError('callback.timeout')`, and those of the connection.
 */
export async function deliver(
  delivery: Delivery,
  { timeoutMs, allowPrivate }: { timeoutMs: number; allowPrivate: boolean },
): Promise<number> {
  const url = new URL(delivery.url);
  if (!allowPrivate) refusePrivate(url);
  const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, {
    method: 'POST',
    // A new connection each time, so that the checked address is the one that is called.
    agent: false,
    ...(allowPrivate ? {} : { lookup: publicLookup }),
    headers: {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(delivery.body),
      'user-agent': 'stockmesh',
      'webhook-id': delivery.id,
      'webhook-timestamp': String(delivery.timestamp),
      'webhook-signature': signatureOf(delivery),
    },
  });
  // From the start of the connection to the status, however slowly the receiver sends.
  const late = setTimeout(
    () => request.destroy(new TransientError('callback.timeout', `no answer within ${timeoutMs / 1000} s (gateway.callbacks.timeout)`)),
    timeoutMs,
  );
  try {
    return await new Promise<number>((resolve, reject) => {
      request.once('response', (response) => {
        // Only the status is used.
        response.destroy();
        resolve(response.statusCode ?? 0);
      });
      // Also later: a connection that breaks after the answer must not end the process.
      request.on('error', reject);
      request.end(delivery.body);
    });
  } finally {
    clearTimeout(late);
  }
}
