/** Random inputs that a seed gives again: input `index` of a seed is always the same, however many others are made. */

export interface Random {
  /** 0 to `end` - 1. */
  below(end: number): number;
  /** True once in `often` times. */
  once(often: number): boolean;
  pick<T>(list: readonly T[]): T;
  list<T>(most: number, item: () => T): T[];
  /** Text of up to `most` characters, most of them plain, some of the kinds that programs get wrong. */
  text(most: number): string;
}

/** Mulberry32 (Tommy Ettinger, public domain), begun at a mix of seed and index. */
export function randomOf(seed: number, index: number): Random {
  let state = (Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35)) | 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const below = (end: number): number => next() % end;
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  return {
    below,
    pick,
    once: (often) => below(often) === 0,
    list: (most, item) => Array.from({ length: below(most + 1) }, item),
    text: (most) => {
      const isPlain = below(3) > 0;
      const length = below(8) === 0 ? below(most + 1) : below(Math.min(most, 12) + 1);
      return Array.from({ length }, () => (isPlain || below(6) > 0 ? pick(PLAIN) : pick(ODD))).join('');
    },
  };
}

const PLAIN = [...'abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-_.@'];
/** Blanks, controls, directions, halves of characters, letters in parts, and what separates, quotes and escapes. */
const ODD = [
  ...[' ', '\t', '\n', '\r', '\0', '\x1b', '\x7f', '\x85', '\u00a0', '\u00ad', '\u200b', '\u200d', '\u2028', '\u202e', '\u2066', '\u3000'],
  ...['\ufeff', '\ufffd', '\uffff', '\ufe0f', '\ud800', '\udfff', '\u{1f600}', '\u{e0001}', '\u{10ffff}', 'e\u0301', '\u0301', '\u00e9'],
  ...[
    '\u0130',
    '\u017f',
    '\u212b',
    '\u4e2d',
    '"',
    "'",
    '\\',
    ',',
    ';',
    '/',
    '+',
    '#',
    '$',
    '%',
    '<',
    '{',
    '}',
    '[',
    ']',
    ':',
    '=',
    '&',
    '?',
  ],
];

/** Changes one to four places: flips a bit, puts in, leaves out, doubles, cuts off. */
export function mutated(random: Random, bytes: Buffer): Buffer {
  let changed = Buffer.from(bytes);
  for (let left = 1 + random.below(4); left > 0; left--) {
    const at = random.below(changed.length + 1);
    const end = Math.min(changed.length, at + 1 + random.below(8));
    const [before, part, after] = [changed.subarray(0, at), changed.subarray(at, end), changed.subarray(end)];
    const kind = random.below(6);
    if (kind === 0 && part.length > 0) part[0]! ^= 1 << random.below(8);
    else if (kind === 1) changed = Buffer.concat([before, Buffer.from([random.below(256)]), part, after]);
    else if (kind === 2) changed = Buffer.concat([before, after]);
    else if (kind === 3) changed = Buffer.concat([before, part, part, after]);
    else if (kind === 4 && random.once(4)) changed = Buffer.from(before);
    else changed = Buffer.concat([before, Buffer.from(random.pick(ODD)), part, after]);
  }
  return changed;
}

/** Bytes with a piece left out, large pieces first. */
export function* shorterBytes(bytes: Buffer): Generator<Buffer> {
  for (const part of shorterLists([...bytes])) yield Buffer.from(part);
}

/** A list with a piece left out, large pieces first. */
export function* shorterLists<T>(list: readonly T[]): Generator<T[]> {
  for (let size = Math.ceil(list.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2))
    for (let at = 0; at < list.length; at += size) yield [...list.slice(0, at), ...list.slice(at + size)];
}
