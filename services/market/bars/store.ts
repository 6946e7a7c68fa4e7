/**
 * Writes of the market data. Each takes rows of many symbols at once and is idempotent: the same rows again change nothing, older data never replaces newer, and a
 * live bar replaces itself.
 */
import { type Transaction, toJson } from '../../platform/database/database.ts';
import { TransientError } from '../../platform/errors.ts';
import type { Analysis } from '../indicators/analysis.ts';
import type { Bar, CorporateAction, SourceName } from './bars.ts';
import type { KnownBars } from './digest.ts';

/** All rows that the refresh of one symbol writes. */
export interface RefreshRows {
  plan: BarsPlan;
  bars: readonly StoredBar[];
  actions: readonly StoredAction[];
  check: SymbolCheck;
}

/** Writes the refreshes of many symbols: one statement a table. Errors: those of `beginBars`. */
export async function storeRefresh(tx: Transaction, rows: readonly RefreshRows[]): Promise<void> {
  await beginBars(
    tx,
    rows.map(({ plan }) => plan),
  );
  await storeBars(
    tx,
    rows.flatMap(({ bars }) => bars),
  );
  await storeActions(
    tx,
    rows.flatMap(({ actions }) => actions),
  );
  await storeChecks(
    tx,
    rows.map(({ check }) => check),
  );
}

/** Rows of `bars` to write, with where they come from. */
export interface StoredBar extends Bar {
  symbol: string;
  source: SourceName;
  asOf: Date;
}

/** Rows of one statement: a year of bars of two symbols, about 60 KB of text. */
const CHUNK = 500;

/** Inserts bars or replaces those of the same day that are not newer. */
export async function storeBars(tx: Transaction, bars: readonly StoredBar[]): Promise<void> {
  for (let start = 0; start < bars.length; start += CHUNK) {
    // as_of comes last: assignments run from left to right, and each one before it compares with the stored moment.
    tx.later(
      `INSERT INTO bars (symbol, date, open, high, low, close, adjusted_close, volume, source, as_of) VALUES ?
       ON DUPLICATE KEY UPDATE
         open = IF(VALUES(as_of) >= as_of, VALUES(open), open), high = IF(VALUES(as_of) >= as_of, VALUES(high), high),
         low = IF(VALUES(as_of) >= as_of, VALUES(low), low), close = IF(VALUES(as_of) >= as_of, VALUES(close), close),
         adjusted_close = IF(VALUES(as_of) >= as_of, VALUES(adjusted_close), adjusted_close),
         volume = IF(VALUES(as_of) >= as_of, VALUES(volume), volume), source = IF(VALUES(as_of) >= as_of, VALUES(source), source),
         as_of = GREATEST(as_of, VALUES(as_of))`,
      [
        bars
          .slice(start, start + CHUNK)
          .map((bar) => [
            bar.symbol,
            bar.date,
            bar.open,
            bar.high,
            bar.low,
            bar.close,
            bar.adjustedClose,
            bar.volume,
            bar.source,
            bar.asOf,
          ]),
      ],
    );
  }
}

/** How the bars of a symbol are about to be written. */
export interface BarsPlan {
  symbol: string;
  /** Whether the bars are simulated; undefined when there are none to write. */
  simulated: boolean | undefined;
  /** The stored bars and actions are deleted first, and the symbol's newest bar is cleared. */
  replaces: boolean;
}

/**
 * Comes before `storeBars`, `storeActions` and `storeChecks` of the same symbols. Locks the rows of the symbols in order, so that two writers never meet a deadlock,
 * and deletes the bars that are to be replaced. Errors: `TransientError('bars.mixed')` when another job has stored bars of the other kind since the plan was made: real
 * and simulated bars must not stand side by side. Real bars may replace simulated ones, never the reverse.
 */
export async function beginBars(tx: Transaction, plans: readonly BarsPlan[]): Promise<void> {
  const symbols = [...new Set(plans.map(({ symbol }) => symbol))].sort();
  if (symbols.length === 0) return;
  tx.later('INSERT INTO symbols (symbol) VALUES ? ON DUPLICATE KEY UPDATE symbol = VALUES(symbol)', [symbols.map((symbol) => [symbol])]);
  const rows = await tx.rows<{ symbol: string; source: SourceName }>(
    'SELECT symbol, source FROM symbols WHERE symbol IN (?) AND newest_bar IS NOT NULL',
    [symbols],
  );
  const stored = new Map(rows.map(({ symbol, source }) => [symbol, source === 'simulated']));
  const written = new Map<string, boolean>();
  for (const { symbol, simulated, replaces } of plans) {
    if (simulated === undefined) continue;
    const fits = (kind: boolean | undefined): boolean => kind === undefined || kind === simulated;
    if (!fits(written.get(symbol)) || !(fits(stored.get(symbol)) || (replaces && !simulated)))
      throw new TransientError(
        'bars.mixed',
        `another job has stored ${simulated ? 'real' : 'simulated'} bars of ${symbol} meanwhile; ${symbol} is fetched again`,
      );
    written.set(symbol, simulated);
  }
  const replaced = symbols.filter((symbol) => plans.some((plan) => plan.replaces && plan.symbol === symbol));
  await clearBars(tx, replaced);
  await clearAnalyses(
    tx,
    replaced.filter((symbol) => stored.get(symbol) !== written.get(symbol)),
  );
}

async function clearBars(tx: Transaction, symbols: readonly string[]): Promise<void> {
  if (symbols.length === 0) return;
  tx.later('DELETE FROM bars WHERE symbol IN (?)', [symbols]);
  tx.later('DELETE FROM corporate_actions WHERE symbol IN (?)', [symbols]);
  // Otherwise the new bars would count as older than a newest bar that is deleted.
  // The analysis was made from other prices, so it is due again.
  tx.later('UPDATE symbols SET newest_bar = NULL, as_of = NULL, close = NULL, source = NULL, analysed_at = NULL WHERE symbol IN (?)', [
    symbols,
  ]);
}

/** Deletes what was computed from simulated bars. */
async function clearAnalyses(tx: Transaction, symbols: readonly string[]): Promise<void> {
  if (symbols.length === 0) return;
  tx.later('DELETE FROM analyses WHERE symbol IN (?)', [symbols]);
  tx.later('UPDATE symbols SET analysed_at = NULL, analysed_bar = NULL, analysed_as_of = NULL, volatility = NULL WHERE symbol IN (?)', [
    symbols,
  ]);
}

export interface StoredAction extends CorporateAction {
  symbol: string;
  source: SourceName;
  asOf: Date;
}

/** Inserts splits and dividends, or replaces those that are not newer. */
export async function storeActions(tx: Transaction, actions: readonly StoredAction[]): Promise<void> {
  for (let start = 0; start < actions.length; start += CHUNK)
    tx.later(
      `INSERT INTO corporate_actions (symbol, date, kind, value, source, as_of) VALUES ?
       ON DUPLICATE KEY UPDATE value = IF(VALUES(as_of) >= as_of, VALUES(value), value), source = IF(VALUES(as_of) >= as_of, VALUES(source), source), as_of = GREATEST(as_of, VALUES(as_of))`,
      [
        actions
          .slice(start, start + CHUNK)
          .map((action) => [action.symbol, action.date, action.kind, action.value, action.source, action.asOf]),
      ],
    );
}

/** What a successful answer changes in the symbol's row. The newest bar and its close stay when the answer has nothing newer. */
export interface SymbolCheck {
  symbol: string;
  newestBar: string | null;
  asOf: Date | null;
  checkedAt: Date;
  close: number | null;
  currency: string | null;
  timeZone: string | null;
  source: SourceName;
  /** Set when all stored bars were compared with the answer. Such a check alone can end `unrestatedSplit`. */
  historyCheckedAt?: Date | undefined;
  /** Ex-date of a split for which the source has not restated the older prices. */
  unrestatedSplit?: string | undefined;
  /** What is known of the bars from now on, provided that their version is the one here: nobody has stored an answer since the bars were read. Without it nothing is known. */
  known?: KnownBars | undefined;
}

export async function storeChecks(tx: Transaction, checks: readonly SymbolCheck[]): Promise<void> {
  if (checks.length === 0) return;
  const isNewer = '(newest_bar IS NULL OR VALUES(newest_bar) > newest_bar OR (VALUES(newest_bar) = newest_bar AND VALUES(as_of) >= as_of))';
  const isSeen = 'bars_version = VALUES(bars_version)';
  // as_of and newest_bar come last, bars_version behind the digest: assignments run from left to right, and each one before them compares with the stored values.
  tx.later(
    `INSERT INTO symbols (symbol, newest_bar, as_of, checked_at, close, currency, time_zone, source, history_checked_at, unrestated_split,
                          bars_version, bars_digest, digest_from, digest_through) VALUES ?
     ON DUPLICATE KEY UPDATE
       bars_digest = IF(${isSeen}, VALUES(bars_digest), NULL), digest_from = IF(${isSeen}, VALUES(digest_from), NULL),
       digest_through = IF(${isSeen}, VALUES(digest_through), NULL), bars_version = bars_version + 1,
       unrestated_split = IF(VALUES(history_checked_at) IS NOT NULL OR VALUES(unrestated_split) IS NOT NULL, VALUES(unrestated_split), unrestated_split),
       history_checked_at = COALESCE(VALUES(history_checked_at), history_checked_at),
       close = IF(${isNewer}, VALUES(close), close), source = IF(${isNewer}, VALUES(source), source),
       as_of = IF(${isNewer}, VALUES(as_of), as_of), newest_bar = COALESCE(GREATEST(newest_bar, VALUES(newest_bar)), newest_bar, VALUES(newest_bar)),
       checked_at = GREATEST(COALESCE(checked_at, VALUES(checked_at)), VALUES(checked_at)),
       currency = COALESCE(VALUES(currency), currency), time_zone = COALESCE(VALUES(time_zone), time_zone)`,
    [
      checks.map((row) => [
        row.symbol,
        row.newestBar,
        row.asOf,
        row.checkedAt,
        row.close,
        row.currency,
        row.timeZone,
        row.source,
        row.historyCheckedAt ?? null,
        row.unrestatedSplit ?? null,
        row.known?.version ?? 0,
        row.known?.digest?.digest ?? null,
        row.known?.digest?.from ?? null,
        row.known?.digest?.through ?? null,
      ]),
    ],
  );
}

export interface StoredAnalysis extends Analysis {
  computedAt: Date;
  barsUsed: number;
  /** The moment the newest bar was true. */
  asOf: Date | null;
}

/** Inserts or replaces the analysis of a day, and the symbol's row with it. */
export async function storeAnalyses(tx: Transaction, analyses: readonly StoredAnalysis[]): Promise<void> {
  if (analyses.length === 0) return;
  tx.later(
    `INSERT INTO analyses (symbol, date, computed_at, bars_used, indicators, \`signal\`, confidence, reasons) VALUES ?
     ON DUPLICATE KEY UPDATE computed_at = VALUES(computed_at), bars_used = VALUES(bars_used), indicators = VALUES(indicators), \`signal\` = VALUES(\`signal\`),
       confidence = VALUES(confidence), reasons = VALUES(reasons)`,
    [
      analyses.map((row) => [
        row.symbol,
        row.date,
        row.computedAt,
        row.barsUsed,
        toJson(row.values),
        row.signal,
        row.confidence,
        toJson(row.reasons),
      ]),
    ],
  );
  tx.later(
    `INSERT INTO symbols (symbol, analysed_at, analysed_bar, analysed_as_of, volatility) VALUES ?
     ON DUPLICATE KEY UPDATE analysed_at = VALUES(analysed_at), analysed_bar = VALUES(analysed_bar), analysed_as_of = VALUES(analysed_as_of), volatility = VALUES(volatility)`,
    [analyses.map((row) => [row.symbol, row.computedAt, row.date, row.asOf, row.values.volatility20])],
  );
}
