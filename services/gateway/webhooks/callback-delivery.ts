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
  /** The present one first. */
  secrets: readonly Buffer[];
  body: string;
  /** Seconds since the epoch. */
  timestamp: number;
}

/** For each secret `v1,` and the HMAC-SHA256 of id, timestamp and body in base64, with a blank between them. A receiver takes the call when any of them is right. */
export function signatureOf({ id, timestamp, body, secrets }: Omit<Delivery, 'url'>): string {
  return secrets.map((secret) => `v1,${createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64')}`).join(' ');
}

/**
 * Posts it and gives the receiver's status. Redirects are not followed: they could lead to a private address. Errors: `PermanentError('callback.private_address')`,
 * `TransientError('callback.timeout')`, and those of the connection.
 */
export async function deliver(
  delivery: Delivery,
  { timeoutMs, connectMs = timeoutMs, allowPrivate }: { timeoutMs: number; connectMs?: number; allowPrivate: boolean },
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
  const stop = (ms: number, what: string): NodeJS.Timeout =>
    setTimeout(
      () =>
        request.destroy(
          new TransientError(
            'callback.timeout',
            `no ${what} within ${ms / 1000} s (gateway.callbacks.${what === 'answer' ? 'timeout' : 'connect_timeout'})`,
          ),
        ),
      ms,
    );
  // From the start of the connection to the status, however slowly the receiver sends.
  const late = stop(timeoutMs, 'answer');
  // The name is resolved and encryption agreed on in it, too.
  const unconnected = connectMs < timeoutMs ? stop(connectMs, 'connection') : undefined;
  request.once('socket', (socket) => socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => clearTimeout(unconnected)));
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
    clearTimeout(unconnected);
  }
}
