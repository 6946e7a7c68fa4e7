/** `stockmesh ranks`: the newest ranking of a symbol's options. */

import { readRankState } from '../../job-types/rank/state.ts';
import { nowOf } from '../../ledger/job.ts';
import type { ChainGap } from '../../market/options/chain/chain.ts';
import { parseContract } from '../../market/options/chain/contract.ts';
import type { StoredRank } from '../../market/options/ranking/rank-columns.ts';
import { RANK_CSV_COLUMNS, type RankCsvRow, rankJson, runJson } from '../../market/options/ranking/run-json.ts';
import { explainLines, scoreText } from '../../market/options/ranking/why.ts';
import { type Mode, RANK_COLUMN } from '../../market/options/scoring/parts.ts';
import { type RankFilter, type RunPage, type RunSummary, readRun } from '../../market/options/store/runs.ts';
import { parseSymbol } from '../../market/symbol.ts';
import { COMMAND } from '../../platform/command-name.ts';
import { csvOf } from '../../platform/text/csv.ts';
import { paint } from '../output/colour.ts';
import { FAILURE } from '../output/failure.ts';
import { ago, money, plural, stamp } from '../output/numbers.ts';
import { print, printCsv, printJson } from '../output/print.ts';
import { type Column, fields, plain, table } from '../output/table.ts';
import { type GlobalOptions, withSession } from '../session.ts';

export interface RanksOptions extends GlobalOptions, RankFilter {
  mode: Mode;
  why?: boolean | undefined;
  csv?: boolean | undefined;
  json?: boolean | undefined;
}

/** Errors: `InputError('symbol.invalid' | 'contract.invalid')`, and those of `readRun`. The exit code is 1 where there is no ranking. */
export async function ranks(text: string, options: RanksOptions): Promise<number> {
  const symbol = parseSymbol(text);
  const { mode, side, expiry, signal, minRank, contract, user, sort, limit, cursor } = options;
  if (contract !== undefined) parseContract(contract);
  const filter: RankFilter = { side, expiry, signal, minRank, contract, user, sort, limit, cursor };
  return withSession(options, async ({ db, clock }) => {
    const page = await readRun(db, symbol, mode, filter);
    const state = page === undefined ? await readRankState(db, symbol, mode) : null;
    if (options.csv && page !== undefined)
      printCsv(
        csvOf(
          RANK_CSV_COLUMNS,
          page.ranks.map((rank) => ({ ...rankJson(rank), signals: rank.signals.join(' ') }) as RankCsvRow),
        ),
      );
    else if (options.json) printJson(runJson(symbol, mode, page, filter, state && { ...state }));
    else if (page === undefined)
      process.stderr.write(
        `stockmesh: ${plain(state?.text ?? '')}${state?.state === 'pending' ? '' : `; "${COMMAND} rank ${symbol} --mode ${mode} --wait" makes one`}\n`,
      );
    else print([...sections(page, options.why === true, user, nowOf({ clock }))].join('\n'));
    return page === undefined ? FAILURE : 0;
  });
}

/** `owner`: whose positions are shown; all without one. */
function* sections({ run, matching, ranks: rows, next }: RunPage, why: boolean, owner: string | undefined, now: Date): Generator<string> {
  yield fields([
    ['ranking', `${paint('bold', run.symbol)}, ${run.mode}, ${stamp(run.run_at)}, ${ago(run.run_at, now)}`],
    [
      'chain',
      `${run.source === 'simulated' ? paint('yellow', 'simulated: made-up quotes') : run.source}, quoted ${ago(run.as_of, now)}; underlying at ${money(run.spot)}, ${run.trend}`,
    ],
    ['volatility', volatilityOf(run)],
    ['ranked', `${run.eligible} of ${plural(run.total, run.mode === 'exit' ? 'position' : 'contract')}${leftOut(run)}`],
    ['gaps', run.gaps.length === 0 ? null : plain(run.gaps.map(gapText).join('; '))],
  ]);
  for (const { position, contract, reason, why: text, user } of run.left_out)
    if (owner === undefined || user === owner)
      yield `not ranked: position ${position} of ${plain(user ?? '')} in ${contract}, ${reason.replaceAll('_', ' ')}: ${plain(text)}\n`;
  if (rows.length === 0) {
    yield run.mode === 'exit' && run.total === 0
      ? `no user held an option of ${run.symbol} at that time; "${COMMAND} position add" adds a position, "${COMMAND} rank ${run.symbol} --mode exit" ranks it\n`
      : 'no contract fits\n';
    return;
  }
  if (why) yield rows.map((rank) => `${paint('bold', titleOf(rank))}\n${explainLines(rank).join('\n')}\n`).join('\n');
  else yield table(rows, columnsOf(run.mode));
  const more = next === null ? '' : `; "--cursor ${next}" shows more`;
  yield `${rows.length} of ${matching}${more}\n`;
}

function volatilityOf({ atm_iv, iv_rank, iv_percentile }: RunSummary): string | null {
  if (atm_iv === null) return null;
  const standing =
    iv_rank === null
      ? 'less than 20 days of history'
      : `IV rank ${scoreText(iv_rank)}, percentile ${iv_percentile === null ? 'unknown' : scoreText(iv_percentile)}`;
  return `${percent(atm_iv)} at the money in 30 days, ${standing}`;
}

function leftOut({ reasons }: RunSummary): string {
  const counts = Object.entries(reasons).filter(([, count]) => count > 0);
  return counts.length === 0 ? '' : `; left out: ${counts.map(([reason, count]) => `${count} ${reason.replaceAll('_', ' ')}`).join(', ')}`;
}

function gapText({ expiry, contracts, reason }: ChainGap): string {
  return `${expiry ?? (contracts === undefined ? '' : `${contracts}:`)} ${reason}`.trim();
}

function titleOf({ place, contract, user_id, position }: StoredRank): string {
  return `${place}. ${contract}${position === null ? '' : ` (position ${position} of ${plain(user_id ?? '')})`}`;
}

const percent = (value: number | null) => (value === null ? null : `${(100 * value).toFixed(1)} %`);
/** A score as it is stored and as HTTP gives it. */
const shown = (value: number | null) => (value === null ? null : scoreText(value));
const BAND_STYLES = { strong: 'green', good: 'cyan', fair: 'yellow', weak: 'dim' } as const;

const PARTS_OF: Record<Mode, readonly [title: string, value: (rank: StoredRank) => number | null][]> = {
  monitor: [
    ['MOMENTUM', (rank) => rank.momentum_score],
    ['VALUE', (rank) => rank.value_score],
    ['GREEKS', (rank) => rank.greeks_score],
  ],
  entry: [
    ['VALUE', (rank) => rank.entry_value_score],
    ['CATALYST', (rank) => rank.catalyst_score],
    ['GREEKS', (rank) => rank.greeks_score],
  ],
  exit: [
    ['PROTECTION', (rank) => rank.protection_score],
    ['DETERIORATION', (rank) => rank.deterioration_score],
    ['TIME', (rank) => rank.time_urgency_score],
  ],
};

function columnsOf(mode: Mode): Column<StoredRank>[] {
  return [
    { title: '#', value: ({ place }) => place, align: 'right', optional: 12 },
    { title: 'CONTRACT', value: ({ contract }) => contract },
    { title: 'USER', value: ({ user_id }) => user_id, optional: 2 },
    { title: 'DAYS', value: ({ dte }) => dte, align: 'right', optional: 5 },
    { title: 'BID', value: ({ bid }) => money(bid), align: 'right', optional: 6 },
    { title: 'ASK', value: ({ ask }) => money(ask), align: 'right', optional: 6 },
    { title: 'P/L', value: ({ pnl_pct }) => (pnl_pct === null ? null : `${pnl_pct.toFixed(1)} %`), align: 'right', optional: 1 },
    { title: 'VOLUME', value: ({ volume }) => volume, align: 'right', optional: 9 },
    { title: 'OPEN', value: ({ open_interest }) => open_interest, align: 'right', optional: 10 },
    { title: 'IV', value: ({ iv }) => percent(iv), align: 'right', optional: 7 },
    { title: 'DELTA', value: ({ delta }) => (delta === null ? null : delta.toFixed(2)), align: 'right', optional: 8 },
    ...PARTS_OF[mode].map(
      ([title, value]): Column<StoredRank> => ({ title, value: (rank) => shown(value(rank)), align: 'right', optional: 4 }),
    ),
    {
      title: 'RANK',
      value: (rank) => shown(rank[RANK_COLUMN[mode]]),
      align: 'right',
      paint: (text, { band }) => paint(BAND_STYLES[band], text),
    },
    { title: 'MEASURED', value: ({ data_quality }) => `${(100 * data_quality).toFixed(2)} %`, align: 'right', optional: 11 },
    { title: 'SIGNALS', value: ({ signals }) => signals.join(', '), optional: 3 },
  ];
}
