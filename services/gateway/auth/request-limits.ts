/** How often a caller may ask: a key, a user with all of that user's keys, an address without a key. What is over the limit costs no query, also not for a key that nobody knows. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../../platform/config/load.ts';
import { hashOfKey } from '../../platform/machine/api-key.ts';
import { RefusedError } from '../http/problems.ts';
import type { Caller } from './access.ts';
import type { Addresses } from './addresses.ts';
import { requestWindows } from './request-windows.ts';

interface Quota {
  /** Whose requests are counted together. */
  of: string;
  most: number;
  key: `gateway.rate_limit.${'requests' | 'user_requests' | 'anonymous_requests'}`;
}

export interface RequestLimits {
  /**
   * The caller by the key of the request, and counts the request: for the key and its users, else for the address, apart without a key and with one that nobody knows.
   * `find` is asked for a key that was not found before only within the limit of the address. Errors: `RefusedError('request.too_many')`, those of `find`.
   */
  identify<C extends Caller>(
    request: FastifyRequest,
    reply: FastifyReply,
    key: string | undefined,
    find: (key: string) => Promise<C | undefined>,
  ): Promise<C | undefined>;
  /** Counts a request to a path that takes no key: apart from those that should have one, which must not use up what a load balancer's question needs. */
  countOpen(request: FastifyRequest, reply: FastifyReply): void;
}

/** Keys that were found once, or are looked for, of this many the newest. */
const MOST_KNOWN = 10_000;

export function createRequestLimits({ rate_limit }: Config['gateway'], addresses: Addresses): RequestLimits {
  const { requests, user_requests, anonymous_requests, window } = rate_limit;
  const windows = requestWindows(window * 1000);
  /** By hash, as in the database. */
  const known = new Set<string>();

  const addressQuota = ({ ip }: FastifyRequest, what: 'address' | 'open paths from' | 'unknown keys from'): Quota => ({
    of: `${what} ${addresses.groupOf(ip)}`,
    most: anonymous_requests,
    key: 'gateway.rate_limit.anonymous_requests',
  });
  const callerQuotas = ({ id, scopes }: Caller): Quota[] => [
    { of: `key ${id}`, most: requests, key: 'gateway.rate_limit.requests' },
    ...usersOf(scopes).map((user): Quota => ({ of: `user ${user}`, most: user_requests, key: 'gateway.rate_limit.user_requests' })),
  ];

  /** Counts the request for each, and tells the caller about the one with the least left. */
  function count(reply: FastifyReply, quotas: readonly Quota[]): void {
    const counted = quotas.map((quota) => ({ ...quota, ...windows.count(quota.of) }));
    const least = counted.reduce((a, b) => (b.most - b.requests < a.most - a.requests ? b : a));
    const seconds = Math.ceil(least.endsInMs / 1000);
    reply.header('x-ratelimit-limit', least.most);
    reply.header('x-ratelimit-remaining', Math.max(0, least.most - least.requests));
    reply.header('x-ratelimit-reset', seconds);
    if (least.requests <= least.most) return;
    throw new RefusedError(
      429,
      'request.too_many',
      `more than ${least.most} requests within ${window} s from ${least.of} (${least.key}); try again in ${seconds} s`,
      { retryAfterSeconds: seconds, quota: least.key },
    );
  }

  function remember(hash: string): void {
    known.delete(hash);
    known.add(hash);
    if (known.size > MOST_KNOWN) known.delete(known.values().next().value as string);
  }

  return {
    async identify(request, reply, key, find) {
      if (key === undefined) {
        count(reply, [addressQuota(request, 'address')]);
        return undefined;
      }
      const unknown = addressQuota(request, 'unknown keys from');
      const hash = hashOfKey(key).toString('base64');
      const wasKnown = known.has(hash);
      if (!wasKnown) count(reply, [unknown]);
      // From here on other requests with this key wait for the same answer, and are counted by it.
      remember(hash);
      const found = await find(key).catch((error: unknown) => {
        // A database that is away says nothing about the key.
        if (!wasKnown) {
          known.delete(hash);
          windows.uncount(unknown.of);
        }
        throw error;
      });
      if (found === undefined) {
        known.delete(hash);
        if (wasKnown) count(reply, [unknown]);
        return undefined;
      }
      if (!wasKnown) windows.uncount(unknown.of);
      count(reply, callerQuotas(found));
      return found;
    },
    countOpen: (request, reply) => count(reply, [addressQuota(request, 'open paths from')]),
  };
}

/** The users whose key it is; none for a key that may see or do more than that. */
export function usersOf(scopes: readonly string[]): string[] {
  const users = scopes.flatMap((scope) => (scope.startsWith('user:') ? [scope.slice('user:'.length)] : []));
  return users.length === scopes.length ? users : [];
}
