/** Stores the days of past chains, so that the first ranking of a symbol has a history to compare with. */
import type { Config } from '../../../platform/config/load.ts';
import type { Database } from '../../../platform/database/database.ts';
import { InputError } from '../../../platform/errors.ts';
import type { Chain } from '../chain/chain.ts';
import { chainDay, encodeChainDay } from '../chain/history.ts';
import { expiryTimes } from '../chain/time.ts';
import { surfaceOf } from '../pricing/surface.ts';
import { sessionOf } from '../ranking/run.ts';
import type { DailyIv } from '../scoring/iv-history.ts';
import { chainsInFolder } from '../sources/folder.ts';
import { type DayOrigin, type StoredChainDay, storeChainDays, storeIvs } from './past.ts';

/** What was stored of one symbol. */
export interface Seeded {
  symbol: string;
  /** Days of contracts, and those among them that have a 30-day volatility. */
  days: number;
  ivs: number;
  /** `YYYY-MM-DD`. */
  from: string;
  to: string;
}

/**
 * Reads the chains of `symbol` in a folder of past chains and stores the volatility and the contracts of each day, in one transaction. Days that are stored from a newer
 * chain stay. Rankings that were made without them do not stand for a request any more.
 * @throws InputError `backfill.no_chain` for a folder without a chain of the symbol; those of `chainsInFolder`
 */
export async function seedPast(db: Database, config: Config, symbol: string, folder: string, signal: AbortSignal): Promise<Seeded> {
  const days = new Map<string, { iv: DayOrigin & DailyIv; day: StoredChainDay }>();
  for await (const chain of chainsInFolder(folder, symbol, signal)) {
    const { iv, day } = pastOf(symbol, chain, config);
    const known = days.get(day.date);
    // Of several chains of one day the last one counts, as when each of them was ranked.
    if (known === undefined || known.day.asOf <= day.asOf) days.set(day.date, { iv, day });
  }
  if (days.size === 0)
    throw new InputError(
      'backfill.no_chain',
      `${folder} has no option chain of ${symbol}; give a folder of chain files (CSV or JSON, one chain each), or a Lean data folder`,
    );
  const all = [...days.values()].sort((a, b) => (a.day.date < b.day.date ? -1 : 1));
  const ivs = all.map(({ iv }) => iv).filter(({ iv }) => iv > 0);
  await db.transaction(async (tx) => {
    await storeIvs(tx, ivs);
    await storeChainDays(
      tx,
      all.map(({ day }) => day),
    );
    // The keys of `rankKey`, as one range of the primary key.
    tx.later('DELETE FROM dedupe_windows WHERE dedupe_key > ? AND dedupe_key < ?', [`rank:${symbol}:`, `rank:${symbol};`]);
  });
  return { symbol, days: all.length, ivs: ivs.length, from: all[0]!.day.date, to: all.at(-1)!.day.date };
}

/** What a ranking of the chain would have stored of its day. */
function pastOf(symbol: string, chain: Chain, { ranking: { rules, chains } }: Config): { iv: DayOrigin & DailyIv; day: StoredChainDay } {
  const market = { rate: rules.risk_free_rate, dividendYield: chains.dividend_yield };
  const { iv30, greeks } = surfaceOf(chain, expiryTimes(chain.expirations, chain.asOf, chain.roots), market);
  const date = sessionOf(chain);
  const origin = { symbol, source: chain.source, asOf: new Date(chain.asOf.epochMilliseconds) };
  const day = chainDay(chain, greeks.iv, date);
  return { iv: { ...origin, date, iv: iv30 }, day: { ...origin, date, contracts: day.key.length, data: encodeChainDay(day) } };
}
