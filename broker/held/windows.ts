/** How many messages each receiver has unacknowledged, and how many more it takes. */
export interface Windows {
  /** Messages that a receiver may have. */
  readonly size: number;
  /** How many more it takes. */
  leftOf(clientId: string): number;
  add(copy: { clientId: string }): void;
  remove(copy: { clientId: string }): void;
}

/** `onRoom` is called whenever a receiver has a message less. */
export function createWindows(size: number, onRoom: () => void): Windows {
  const underWay = new Map<string, Set<object>>();
  return {
    size,
    leftOf: (clientId) => Math.max(0, size - (underWay.get(clientId)?.size ?? 0)),
    add(copy) {
      underWay.getOrInsertComputed(copy.clientId, () => new Set()).add(copy);
    },
    remove(copy) {
      const own = underWay.get(copy.clientId);
      if (!own?.delete(copy)) return;
      if (own.size === 0) underWay.delete(copy.clientId);
      onRoom();
    },
  };
}
