/** Pages of rows whose texts may be long: an answer stays below a megabyte whatever stands in it. */

/** Of the JSON of the rows of a page; the rest of a megabyte is for what stands around them. */
const MOST_BYTES = 900_000;

/**
 * The first rows that fit into a page of at most `most`, and the key of the last of them when there are more: the cursor of the next page. `found`: the rows of the page and
 * one more where there are more. A page has at least one row.
 */
export function pageOf<Row>(found: readonly Row[], most: number, keyOf: (row: Row) => string): { rows: Row[]; next: string | null } {
  let bytes = 0;
  let end = 0;
  while (end < Math.min(found.length, most)) {
    bytes += Buffer.byteLength(JSON.stringify(found[end])) + 1;
    if (bytes > MOST_BYTES && end > 0) break;
    end++;
  }
  const last = found[end - 1];
  return { rows: found.slice(0, end), next: last !== undefined && end < found.length ? keyOf(last) : null };
}
