/** Messages that wait to be delivered: the oldest of each sender in turn, so that the login of one hook does not wait behind ten thousand of another. */

export interface SenderTurns<Message> {
  readonly size: number;
  /** How many of one sender wait. */
  of(clientId: string): number;
  add(message: Message): void;
  has(message: Message): boolean;
  delete(message: Message): boolean;
  /** Takes up to `most` messages of the senders for which `mayHave` is true. It is asked again before each message. */
  take(most: number, mayHave: (clientId: string) => boolean): Generator<Message>;
}

export function createSenderTurns<Message extends { clientId: string }>(): SenderTurns<Message> {
  /** By client id; the sender whose turn is next comes first. */
  const bySender = new Map<string, Set<Message>>();
  let size = 0;

  function remove(message: Message): boolean {
    const own = bySender.get(message.clientId);
    if (!own?.delete(message)) return false;
    size--;
    if (own.size === 0) bySender.delete(message.clientId);
    return true;
  }

  return {
    get size() {
      return size;
    },
    of: (clientId) => bySender.get(clientId)?.size ?? 0,
    add(message) {
      const own = bySender.getOrInsertComputed(message.clientId, () => new Set());
      if (own.has(message)) return;
      own.add(message);
      size++;
    },
    has: (message) => bySender.get(message.clientId)?.has(message) ?? false,
    delete: remove,
    *take(most, mayHave) {
      let left = most;
      /** Senders in a row that may not have more. */
      let skipped = 0;
      while (left > 0 && skipped < bySender.size) {
        const [clientId, own] = bySender.entries().next().value!;
        bySender.delete(clientId);
        bySender.set(clientId, own);
        if (!mayHave(clientId)) {
          skipped++;
          continue;
        }
        skipped = 0;
        left--;
        const [message] = own as Set<Message>;
        remove(message!);
        yield message!;
      }
    },
  };
}
