/** The columns of a rank in `options_ranks`: one for each field by which readers filter or sort; the other building blocks share one column. */
import { BLOCKS, type BlockName } from '../scoring/measure.ts';
import { PARTS, RANK_COLUMN } from '../scoring/parts.ts';
import type { Ranked } from './ranked.ts';

/** Blocks with a column of their own. */
const OWN_BLOCKS = ['spread_score', 'iv_rank', 'iv_percentile', 'iv_discount_score'] as const satisfies readonly BlockName[];
const OTHER_BLOCKS = BLOCKS.filter((name) => !OWN_BLOCKS.some((own) => own === name));

/** Columns with four decimals. The driver gives them as text. */
const SCORES = [...Object.values(RANK_COLUMN), ...PARTS, ...OWN_BLOCKS] as const;
const AS_IS = [
  'place',
  'ranking_mode',
  'contract',
  'side',
  'expiration',
  'strike',
  'dte',
  'spot',
  'bid',
  'ask',
  'mid',
  'volume',
  'open_interest',
  'iv',
  'delta',
  'gamma',
  'theta',
  'vega',
  'rho',
  'iv_source',
  'entry_price',
  'stop_pct',
  'band',
] as const satisfies readonly (keyof Ranked)[];
const AS_JSON = ['signals', 'marks', 'missing'] as const satisfies readonly (keyof Ranked)[];

/** A rank as it is read, with the moment of its run and the owner of its position. */
export interface StoredRank extends Ranked {
  run_at: Date;
  user_id: string | null;
}

/** In the order of `rankValues`. `signals` is a word of SQL in one of its spellings. */
export const RANK_COLUMNS: readonly string[] = [
  ...AS_IS,
  ...SCORES,
  ...AS_JSON,
  'weights',
  'position',
  'quoted_at',
  'data_quality',
  'blocks',
  'symbol',
  'user_id',
  'run_at',
];

const TEXTS: readonly string[] = [...AS_JSON, 'weights', 'blocks'];

/** The same for a SELECT. JSON as text: parsing it the driver's way, which keeps large integers exact, took three quarters of the time of reading 50 ranks. */
export const RANK_SELECT = RANK_COLUMNS.map((name) =>
  TEXTS.includes(name) ? `CAST(\`${name}\` AS CHAR) AS \`${name}\`` : `\`${name}\``,
).join(', ');

export function rankValues(rank: Ranked, symbol: string, userId: string | null, runAt: Date): unknown[] {
  return [
    ...AS_IS.map((name) => rank[name]),
    ...SCORES.map((name) => rank[name]),
    ...AS_JSON.map((name) => JSON.stringify(rank[name])),
    JSON.stringify(Object.entries(rank.weights).map(([name, used]) => [name, Object.entries(used)])),
    rank.position ?? '',
    new Date(rank.quoted_at),
    rank.data_quality,
    JSON.stringify(Object.fromEntries(OTHER_BLOCKS.map((name) => [name, rank[name]]))),
    symbol,
    userId,
    runAt,
  ];
}

/** A row of `RANK_SELECT`. */
export type RankRow = Record<string, unknown> & { run_at: Date; quoted_at: Date; symbol: string; user_id: string | null };

export function rankOf(row: RankRow, parse: (json: unknown) => unknown): StoredRank {
  return {
    ...pick(row, AS_IS),
    underlying: row.symbol,
    quoted_at: row.quoted_at.getTime(),
    position: row.position === '' ? null : row.position,
    ...Object.fromEntries(SCORES.map((name) => [name, row[name] === null ? null : Number(row[name])])),
    ...(parse(row.blocks) as object),
    // Null in ranks of earlier versions.
    ...Object.fromEntries(AS_JSON.map((name) => [name, parse(row[name]) ?? []])),
    weights: weightsOf(parse(row.weights)),
    data_quality: Number(row.data_quality),
    run_at: row.run_at,
    user_id: row.user_id,
  } as StoredRank;
}

/** The weights as they are stored: pairs, since MySQL sorts the keys of an object and an explanation goes by their order. Of earlier versions: the object itself. */
function weightsOf(kept: unknown): Ranked['weights'] {
  if (!Array.isArray(kept)) return kept as Ranked['weights'];
  return Object.fromEntries((kept as [string, [string, number][]][]).map(([name, used]) => [name, Object.fromEntries(used)]));
}

function pick(row: RankRow, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [name, row[name]]));
}

/** The columns by which a list can be sorted, best first. The highest value is best except in columns marked ASC. Unknown values come last. */
export const SORTS: Readonly<Record<string, 'DESC' | 'ASC'>> = {
  ...Object.fromEntries(SCORES.map((name) => [name, 'DESC'])),
  iv_rank: 'ASC',
  iv_percentile: 'ASC',
  data_quality: 'DESC',
  volume: 'DESC',
  open_interest: 'DESC',
  iv: 'ASC',
  mid: 'ASC',
  dte: 'ASC',
  expiration: 'ASC',
  strike: 'ASC',
  contract: 'ASC',
};
