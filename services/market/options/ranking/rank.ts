import { countReasons } from '../chain/eligibility.ts';
import { measure } from '../scoring/measure.ts';
import { partsOf, rankBy } from '../scoring/parts.ts';
import { compareText, leftOutOf } from './left-out.ts';
import { candidatesOf, pick, type RankInput, rowsOf, type Selection } from './rank-input.ts';
import { type RankedRun, rankedRows } from './ranked.ts';

/**
 * Ranks a chain, or in exit mode the positions in it, by its mode's rank: descending, then narrower spread, larger open interest, contract symbol, position id. The best
 * `top_n` are kept by the same order. The order of contracts in the chain does not matter.
 * @throws InputError `options.column_length`, `options.duplicate_contract`, `options.duplicate_position`, `options.bad_position`
 */
export function rankChain(input: RankInput): RankedRun {
  const { mode, rules } = input;
  const { reasons, selection, indexes } = candidatesOf(input);
  const { order, rows } = orderOf(input, selection);
  return {
    mode,
    total: reasons.length,
    eligible: order.length,
    reasons: { ...countReasons(reasons), not_measured: rows - order.length },
    leftOut: mode === 'exit' ? leftOutOf(input, reasons, indexes, new Set(pick(selection, order).positions)) : [],
    ranks: rankedRows(input, pick(selection, order.subarray(0, rules.top_n))),
  };
}

/**
 * Rows with a rank, best first. Only the parts of the mode's own rank count. The keys are compared as they are stored, so sorting the stored rows gives the same order.
 */
function orderOf(input: RankInput, selection: Selection): { order: Uint32Array; rows: number } {
  const { chain, mode, rules } = input;
  const { contracts, positions } = selection;
  const rows = rowsOf(input, selection);
  const blocks = measure(rows, rules);
  const { score: rank } = rankBy(mode, partsOf(mode, blocks, rules), rules, rows.count);
  const spread = blocks.spread_pct;
  const { openInterest } = rows.numbers;
  const ranked = new Uint32Array(rows.count);
  let count = 0;
  for (let row = 0; row < rows.count; row++) if (!Number.isNaN(rank[row]!)) ranked[count++] = row;
  // Unknown open interest comes last: NaN cannot be compared.
  const open = (row: number) => (Number.isNaN(openInterest[row]!) ? -1 : openInterest[row]!);
  const name = (row: number) => chain.contracts[contracts[row]!]!;
  const id = (row: number) => positions?.[row]?.id ?? '';
  const order = ranked
    .subarray(0, count)
    .sort(
      (a, b) =>
        rank[b]! - rank[a]! || spread[a]! - spread[b]! || open(b) - open(a) || compareText(name(a), name(b)) || compareText(id(a), id(b)),
    );
  return { order, rows: rows.count };
}
