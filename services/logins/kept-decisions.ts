/** How the decisions of a login stand in the column `decisions` of its row. */
import { deflateSync, inflateSync } from 'node:zlib';
import { fromJson, toJson } from '../platform/database/database.ts';
import { fits } from '../platform/database/packets.ts';
import type { KeptDecision } from './answer.ts';

/** The decisions as a JSON value of at most `mostBytes`. Those of 6,000 symbols are 2 MB, more than some servers take in a statement: compressed they are a sixth. */
export function keptJson(kept: readonly KeptDecision[], mostBytes: number): ReturnType<typeof toJson> {
  const json = toJson(kept);
  return fits(json.toSqlString(), mostBytes) ? json : toJson({ deflated: deflateSync(JSON.stringify(kept)).toString('base64') });
}

/** The decisions of a row, as `keptJson` wrote them. */
export function keptOf(value: unknown): KeptDecision[] {
  const json = fromJson(value) as KeptDecision[] | { deflated: string };
  return Array.isArray(json) ? json : JSON.parse(inflateSync(Buffer.from(json.deflated, 'base64')).toString());
}
