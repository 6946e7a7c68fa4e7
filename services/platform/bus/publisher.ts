import type { MqttClient, PacketCallback } from 'mqtt';
import { messageOf, PermanentError, TransientError } from '../errors.ts';
import type { Encoded } from '../messages.ts';
import { createBoundedQueue } from './bounded-queue.ts';

/** Enough to hide the broker's latency, few enough that a lost connection loses little. */
const IN_FLIGHT = 64;
const WAITING = 10_000;
const TIMEOUT_MS = 5000;

export interface PublishLimits {
  /** Messages that wait for the broker's acknowledgement at once; 64. */
  maxInFlight?: number | undefined;
  /** Milliseconds that a publish may take, waiting included; 5,000. */
  publishTimeoutMs?: number | undefined;
}

export interface Publisher {
  /**
   * Resolves when the broker has the message (QoS 1: acknowledged; QoS 0: handed to the socket, or dropped and counted). `first`: ahead of all others that wait. `now`: within this
   * call and not after what the caller goes on with; that costs a system call. `orReject`: rejects where a message of QoS 0 would be dropped.
   */
  publish(message: Encoded, options?: { first?: boolean; now?: boolean; orReject?: boolean }): Promise<void>;
  /** Rejects all publishes under way. To be called when the connection is lost. */
  connectionLost(reason: string): void;
  idle(): Promise<void>;
  /** `failed` counts rejected QoS 1 messages, `dropped` QoS 0 messages that were not sent. */
  readonly counters: { published: number; failed: number; dropped: number };
}

interface Flight {
  message: Encoded;
  finished: boolean;
  finish(error?: Error): void;
  /** mqtt.js calls it with the acknowledgement; set once the message was handed over. */
  answered?: PacketCallback;
  leaveWindow?(): void;
}

/**
 * Publishes through a client that does nothing else. Each publish has a time limit of its own, waiting included; mqtt.js has none.
 *
 * Nothing outlives a connection: mqtt.js would send an unacknowledged publish again after each reconnection, and if the broker closes the connection because of that very
 * message, again, for ever. So a lost connection rejects all publishes under way: a caller that must not lose a message publishes it again, all others go on by polling.
 */
export function createPublisher(client: MqttClient, isUp: () => boolean, limits: PublishLimits): Publisher {
  const timeoutMs = limits.publishTimeoutMs ?? TIMEOUT_MS;
  const counters = { published: 0, failed: 0, dropped: 0 };
  const flights = new Set<Flight>();
  const window = createBoundedQueue<Flight>({ concurrency: limits.maxInFlight ?? IN_FLIGHT, queueLimit: WAITING }, async (flight) => {
    if (flight.finished) return;
    const { topic, payload, qos, retain } = flight.message;
    await new Promise<void>((resolve) => {
      flight.leaveWindow = resolve;
      flight.answered = (error) => flight.finish(error ? refusal(flight.message, error) : undefined);
      client.publish(topic, payload, { qos, retain }, flight.answered);
    });
  });

  function withdraw({ answered }: Flight): void {
    if (answered === undefined) return;
    for (const [id, { cb }] of Object.entries(client.outgoing)) if (cb === answered) client.removeOutgoingMessage(Number(id));
  }

  function giveUp({ qos }: Encoded, orReject: boolean, error: Error): Promise<void> {
    counters[qos === 0 ? 'dropped' : 'failed']++;
    return qos === 0 && !orReject ? Promise.resolve() : Promise.reject(error);
  }

  return {
    counters,
    publish(message, { first = false, now = false, orReject = false } = {}) {
      if (!isUp())
        return giveUp(
          message,
          orReject,
          new TransientError('bus.offline', `${message.topic}: not published, there is no connection to the broker`),
        );
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const limit = setTimeout(
        () =>
          flight.finish(new TransientError('bus.timeout', `${message.topic}: the broker did not acknowledge it within ${timeoutMs} ms`)),
        timeoutMs,
      );
      const flight: Flight = {
        message,
        finished: false,
        finish(error) {
          if (flight.finished) return;
          flight.finished = true;
          clearTimeout(limit);
          flights.delete(flight);
          if (error === undefined) {
            counters.published++;
            resolve();
          } else {
            withdraw(flight);
            giveUp(message, orReject, error).then(resolve, reject);
          }
          flight.leaveWindow?.();
        },
      };
      flights.add(flight);
      if (!window.offer(flight, first))
        flight.finish(new TransientError('bus.busy', `${message.topic}: not published, ${WAITING} messages are waiting already`));
      // The writer corks the stream until the next tick, which comes after all promises that are settled by then.
      if (now) client.stream.uncork();
      return promise;
    },
    connectionLost(reason) {
      // Finished in one go, before any of them leaves the window, so that none of the waiting ones is handed to a client without a connection.
      for (const flight of [...flights]) {
        flight.finish(
          new TransientError(
            'bus.offline',
            `${flight.message.topic}: the connection was lost before the broker acknowledged it (${reason})`,
          ),
        );
      }
    },
    idle: () => window.idle(),
  };
}

/** Only MQTT 5 says why it refuses; 135 is "not authorized", and stays so. */
function refusal({ topic }: Encoded, error: Error & { code?: number }): Error {
  if (error.code === 135)
    return new PermanentError('bus.refused', `${topic}: the broker's access rules do not allow it to this account`, { cause: error });
  return new TransientError('bus.not_published', `${topic}: ${messageOf(error)}`, { cause: error });
}
