/** What waits, by its source: the oldest of each source in turn, so that one thing does not wait behind ten thousand of another source. */
export interface Turns<Item> {
  readonly size: number;
  /** How many of one source wait. */
  of(source: string): number;
  add(item: Item): void;
  has(item: Item): boolean;
  /** The item whose turn it is, of the sources for which `mayHave` is true; it stays until it is deleted. */
  next(mayHave?: (source: string) => boolean): Item | undefined;
  /** Its source has its next turn after all others. */
  delete(item: Item): boolean;
}

export function createTurns<Item>(sourceOf: (item: Item) => string): Turns<Item> {
  /** The source whose turn is next comes first. */
  const bySource = new Map<string, Set<Item>>();
  let size = 0;
  return {
    get size() {
      return size;
    },
    of: (source) => bySource.get(source)?.size ?? 0,
    add(item) {
      const own = bySource.getOrInsertComputed(sourceOf(item), () => new Set());
      if (!own.has(item)) size++;
      own.add(item);
    },
    has: (item) => bySource.get(sourceOf(item))?.has(item) ?? false,
    next(mayHave) {
      for (const [source, own] of bySource) if (mayHave === undefined || mayHave(source)) return own.values().next().value;
      return undefined;
    },
    delete(item) {
      const source = sourceOf(item);
      const own = bySource.get(source);
      if (!own?.delete(item)) return false;
      size--;
      bySource.delete(source);
      if (own.size > 0) bySource.set(source, own);
      return true;
    },
  };
}
