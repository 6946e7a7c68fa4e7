/**
 * How much the embedded broker holds unacknowledged, and the alerts about it: retained on `alerts/{name}`, in the shape of the scheduler's, raised once and cleared once.
 *
 * - `held_logins`: a limit is reached, so logins are neither taken nor acknowledged. Cleared when half of the room is free again.
 * - `login_wait`: a login has waited too long: no service subscribes, or none commits.
 */
import type { Logger } from '../../services/platform/log/log.ts';
import type { Draft } from '../../services/platform/messages.ts';
import type { BROKER_ALERTS } from '../../services/platform/topics.ts';

export interface HoldLimits {
  /** Messages held for one client id. */
  perClient: number;
  /** Messages held in all. Below 65,535, the number of packet identifiers that one receiver has. */
  messages: number;
  /** Bytes held in all: payloads and what a message costs beside. */
  bytes: number;
  /** Messages that one receiver has unacknowledged: the more, the longer the login of another hook waits behind a burst. portfolio-priority takes 1,000 at once. */
  window: number;
}

export const HOLD_LIMITS: HoldLimits = { perClient: 20_000, messages: 50_000, bytes: 64 * 1024 * 1024, window: 1_000 };
/** The part of the windows that the messages of one sender take. The rest is free for what comes from others in the middle of its burst: with 0.9 the batches of a burst were smaller. */
export const MOST_OF_ONE_SENDER = 0.98;

/** A limit that left no room for a message. */
export interface LimitReached {
  value: number;
  threshold: number;
  text: string;
}

export interface HeldStats {
  /** Publishes that wait for the acknowledgement of their receivers now. */
  held: number;
  heldBytes: number;
  /** Milliseconds that the oldest of them has waited; 0 when there is none. */
  heldOldestMs: number;
  /** Publishes not taken since the start, because the limits were reached. */
  heldRefused: number;
  /** Set from the first publish that is not taken until half of the room is free again. */
  heldFull: LimitReached | undefined;
}

/** The limit that leaves no room for a message of so many bytes of a client that has `own` messages. */
export function limitReached(
  { perClient, messages, bytes }: Omit<HoldLimits, 'window'>,
  held: { own: number; messages: number; bytes: number },
): LimitReached | undefined {
  if (held.own >= perClient) return { value: held.own, threshold: perClient, text: `${held.own} logins of one client wait` };
  if (held.messages >= messages) return { value: held.messages, threshold: messages, text: `${held.messages} logins wait` };
  if (held.bytes > bytes) return { value: held.bytes, threshold: bytes, text: `logins of ${held.bytes} bytes wait` };
  return undefined;
}

export interface HeldAlertTimes {
  /** Milliseconds between looks. Two in a row must agree before an alert is cleared. */
  lookMs: number;
  /** Milliseconds that a login may wait before `login_wait` is raised. */
  waitMs: number;
}

export const HELD_ALERT_TIMES: HeldAlertTimes = { lookMs: 1_000, waitMs: 60_000 };

export interface HeldAlerts {
  /** Looks now instead of at the next time. */
  look(): void;
  stop(): void;
}

interface Finding {
  beyond: boolean;
  value: number;
  threshold: number;
  text: string;
}

const LOOKS_TO_CLEAR = 2;

/** Begins to look at what is held. `publish` sends an alert to the subscribers of its topic. */
export function startHeldAlerts(options: {
  stats: () => HeldStats;
  times: HeldAlertTimes;
  publish: (alert: Draft<'alert'>) => void;
  log: Logger;
}): HeldAlerts {
  const { stats, times, publish, log } = options;
  /** Of each raised alert the looks in a row that found its limit kept. */
  const keptLooks = new Map<string, number>();

  function change(name: string, state: 'raised' | 'cleared', { value, threshold, text }: Finding): void {
    publish({ name, state, value, threshold, since: Temporal.Now.instant().toString({ smallestUnit: 'millisecond' }), text });
    log[state === 'raised' ? 'warn' : 'info']({ event: 'broker.alert', alert: name, value, threshold }, `alert ${name} ${state}: ${text}`);
  }

  function look(): void {
    for (const [name, finding] of Object.entries(findingsOf(stats(), times.waitMs))) {
      const kept = keptLooks.get(name);
      if (finding.beyond) {
        keptLooks.set(name, 0);
        if (kept === undefined) change(name, 'raised', finding);
      } else if (kept !== undefined && kept + 1 < LOOKS_TO_CLEAR) {
        keptLooks.set(name, kept + 1);
      } else if (kept !== undefined) {
        keptLooks.delete(name);
        change(name, 'cleared', finding);
      }
    }
  }
  const timer = setInterval(look, times.lookMs);
  return { look, stop: () => clearInterval(timer) };
}

function findingsOf({ held, heldOldestMs, heldFull }: HeldStats, waitMs: number): Record<(typeof BROKER_ALERTS)[number], Finding> {
  const waited = Math.round(heldOldestMs / 1000);
  const advice = 'is portfolio-priority running, and does it reach its database?';
  return {
    held_logins:
      heldFull === undefined
        ? {
            beyond: false,
            value: held,
            threshold: held,
            text: `${held} logins wait for the acknowledgement of a service: there is room for more`,
          }
        : {
            beyond: true,
            value: heldFull.value,
            threshold: heldFull.threshold,
            text: `${heldFull.text} for the acknowledgement of a service; the limit is ${heldFull.threshold}: more are not taken and not acknowledged; ${advice}`,
          },
    login_wait: {
      beyond: heldOldestMs > waitMs,
      value: waited,
      threshold: waitMs / 1000,
      text:
        held === 0
          ? 'no login waits for the acknowledgement of a service'
          : `${held} logins wait for the acknowledgement of a service, the oldest for ${waited} s; the limit is ${waitMs / 1000} s; ${advice}`,
    },
  };
}
