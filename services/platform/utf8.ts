/** Bytes that should be UTF-8. */

/** The place, from 0, of the first byte that is not UTF-8; the length where all are. Reads the bytes twice at most, so that a long text with one wrong byte at its end costs milliseconds. */
export function firstInvalidByte(bytes: Buffer): number {
  const text = bytes.toString('utf8');
  let place = 0;
  for (let from = 0; ; ) {
    const next = text.indexOf('\ufffd', from);
    place += Buffer.byteLength(text.slice(from, next === -1 ? undefined : next));
    // U+FFFD stands for a wrong byte, unless it was written so.
    if (next === -1 || bytes[place] !== 0xef || bytes[place + 1] !== 0xbf || bytes[place + 2] !== 0xbd) return place;
    place += 3;
    from = next + 1;
  }
}
