/** What a try to deliver a message came to. */
export type Outcome =
  | { kind: 'sent' }
  /** This message is not taken, and never will be. `code`: of a mail server. */
  | { kind: 'refused'; reason: string; code?: string | undefined; isForReceiver?: boolean }
  /** Nobody is asked: the receiver does not want it, or has no address. */
  | { kind: 'suppressed'; reason: string }
  /** This message is not taken now. */
  | { kind: 'later'; reason: string }
  /** The server or the receiver takes nothing now: no other message is tried either. */
  | { kind: 'away'; reason: string; seconds?: number | undefined };
