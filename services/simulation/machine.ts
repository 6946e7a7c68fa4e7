/** The processors that all parts of a simulated mesh share, and what is to happen at which time. */

/** Tasks take the core that is free first, in the order in which they come. */
export class Cores {
  readonly #freeAt: number[];
  /** Is told of each task's processor time. */
  readonly #spent: (ms: number) => void;

  constructor(count: number, spent: (ms: number) => void) {
    this.#freeAt = Array.from({ length: count }, () => 0);
    this.#spent = spent;
  }

  /** When a task that could begin at `nowMs` and takes `ms` of one core is done. */
  run(nowMs: number, ms: number): number {
    let first = 0;
    for (let core = 1; core < this.#freeAt.length; core++)
      if ((this.#freeAt[core] as number) < (this.#freeAt[first] as number)) first = core;
    const end = Math.max(nowMs, this.#freeAt[first] as number) + ms;
    this.#freeAt[first] = end;
    this.#spent(ms);
    return end;
  }
}

/** A heap: the smallest by `before` comes first. */
export class Heap<Item> {
  readonly #items: Item[] = [];
  readonly #before: (a: Item, b: Item) => boolean;

  constructor(before: (a: Item, b: Item) => boolean) {
    this.#before = before;
  }

  get first(): Item | undefined {
    return this.#items[0];
  }

  push(item: Item): void {
    const items = this.#items;
    let place = items.length;
    items.push(item);
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!this.#before(item, items[parent] as Item)) break;
      items[place] = items[parent] as Item;
      place = parent;
    }
    items[place] = item;
  }

  pop(): Item | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (items.length === 0 || last === undefined) return first;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && this.#before(items[child + 1] as Item, items[child] as Item)) child++;
      if (!this.#before(items[child] as Item, last)) break;
      items[place] = items[child] as Item;
      place = child;
    }
    items[place] = last;
    return first;
  }
}

interface Event {
  atMs: number;
  order: number;
  run: (nowMs: number) => void;
}

/** What is to happen, by time; of equal times in the order in which it was planned. */
export class Agenda {
  readonly #events = new Heap<Event>((a, b) => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order));
  #order = 0;

  at(atMs: number, run: Event['run']): void {
    this.#events.push({ atMs, order: this.#order++, run });
  }

  get nextMs(): number {
    return this.#events.first?.atMs ?? Number.POSITIVE_INFINITY;
  }

  /** Runs the next one. */
  step(): void {
    const event = this.#events.pop();
    event?.run(event.atMs);
  }
}
