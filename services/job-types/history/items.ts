/** What an item of a download says: its state, its reason for people, and the rows that it leaves. */

import { daysText } from '../../history/absence.ts';
import type { Downloaded } from '../../history/download.ts';
import type { Absence, ManifestRow } from '../../history/manifest.ts';
import type { ItemResult } from '../../ledger/run/items.ts';
import type { Draft } from '../../platform/messages.ts';
import type { Claim } from './claims.ts';

/** What an item leaves: an object or why there is none, and the claim that it had. */
export interface HistoryRow {
  stored?: ManifestRow | undefined;
  absence?: Absence | undefined;
  claim?: Claim | undefined;
}

const count = new Intl.NumberFormat('en-US');

const counted = (number: number, one: string, many = `${one}s`): string => `${count.format(number)} ${number === 1 ? one : many}`;

const ODD: readonly [kind: keyof ManifestRow['quality'], text: string][] = [
  ['crossed', 'with bid above ask'],
  ['zeroBids', 'with a bid of 0'],
  ['outsideSession', 'outside of the regular session'],
  ['oddBids', 'with a bid far from the close'],
];

/** Of a stored object: source, rows, size, requests, and what is odd. */
export function doneItem({ row, missing, version }: Extract<Downloaded, { kind: 'stored' }>): ItemResult {
  const { rows, bytes, quality, degraded, isPartial, provenance } = row;
  const odd = ODD.flatMap(([kind, text]) => (quality[kind] > 0 ? [`${count.format(quality[kind])} ${text}`] : []));
  const parts = [
    `${version}: ${counted(rows, 'row')}, ${count.format(bytes)} bytes, ${counted(provenance.requests.length, 'request')}`,
    ...odd,
    ...(degraded === null ? [] : [degraded]),
    ...(isPartial && missing.length > 0 ? [`no rows of ${daysText(missing)} yet: asked for again with the next download`] : []),
    ...(isPartial && missing.length === 0 ? ['its period is not over: the next download brings the rest'] : []),
  ];
  return { key: row.object.key, state: 'done', rows, bytes, reason: parts.join('; ') };
}

export function skippedItem({ object, rows, bytes, source, storedAt }: ManifestRow): ItemResult {
  return {
    key: object.key,
    state: 'skipped',
    rows,
    bytes,
    reason: `stored already, from ${source} at ${storedAt.toISOString().slice(0, 16).replace('T', ' ')} UTC`,
  };
}

/** What is published of a stored object. */
export function dataMessage({ object, source, asOf, rows, days }: ManifestRow): Draft<'data'> {
  const through = Object.keys(days).sort().at(-1);
  return {
    symbol: object.root,
    kind: 'history',
    source,
    as_of: asOf.toISOString(),
    rows,
    ...(through !== undefined && { through }),
    ...(source === 'simulated' && { simulated: true }),
  };
}
