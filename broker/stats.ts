/** What the embedded broker counts. */
import type { LimitReports } from './edge/limits.ts';
import type { HeldStats } from './held/held-limits.ts';

/** Counted since the start. */
export interface BrokerStats extends HeldStats {
  /** Connected now. */
  clients: number;
  /** Publishes accepted. */
  messagesIn: number;
  /** Deliveries, one a receiver. */
  messagesOut: number;
  /** Publishes dropped because the role may not. */
  denied: number;
  /** Publishes and wills dropped because of their size. */
  oversize: number;
  /** Deliveries withheld because the role may not see the topic. */
  withheld: number;
  /** Connections that have not named their account, now. */
  unauthenticated: number;
  /** How often each limit was met. */
  limitsMet: ReturnType<LimitReports['counts']>;
  /** Connections refused: unknown account, wrong password, a client id that is none, unreadable or another account's, MQTT 5. */
  refusedConnections: number;
}
