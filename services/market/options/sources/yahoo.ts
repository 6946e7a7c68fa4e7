import { bulkhead } from 'cockatiel';
import { z } from 'zod';
import type { Clock } from '../../../platform/clock.ts';
import { messageOf, PermanentError, StockmeshError, TransientError } from '../../../platform/errors.ts';
import type { Budget } from '../../sources/failover-source.ts';
import type { Fetch } from '../../sources/http.ts';
import { askedAs, EpochSeconds, forgetCrumb, isQuestion, malformed, yahooClient, yahooFetch } from '../../sources/yahoo-client.ts';
import { parseSymbol, spellingsOf } from '../../symbol.ts';
import type { Chain } from '../chain/chain.ts';
import { chainBuilder } from './chain-builder.ts';
import { coalesced } from './coalesce.ts';
import type { ChainSource } from './source.ts';

const source = 'yahoo_finance';
const EXPECTED = 'an option chain';

// Rows are parsed one by one, so a broken row does not affect the others.
const Answer = z.object({
  expirationDates: z.array(EpochSeconds),
  quote: z.object({ regularMarketPrice: z.number().nullish(), regularMarketTime: EpochSeconds.nullish() }),
  options: z.array(z.object({ expirationDate: EpochSeconds, calls: z.array(z.unknown()), puts: z.array(z.unknown()) })),
});
type Answer = z.infer<typeof Answer>;

const Row = z.object({
  contractSymbol: z.string(),
  contractSize: z.string().nullish(),
  bid: z.number().nullish(),
  ask: z.number().nullish(),
  volume: z.number().nullish(),
  openInterest: z.number().nullish(),
  impliedVolatility: z.number().nullish(),
});

/** Yahoo writes an IV of 0.00001 where its solver found none. */
const LEAST_IV = 1e-4;

/**
 * Option chains of Yahoo Finance: one request for the expirations and the first of them, one for each of the others, at most `concurrency` at a time. Concurrent calls for the same
 * underlying share one answer. Each HTTP request takes one token of `budget`, also the requests for Yahoo's cookie and crumb.
 *
 * One transient error fails the whole chain, and the remaining expirations are not requested. An expiration that Yahoo lists without giving its contracts
 * is named in `gaps`. A contract with neither bid nor ask has no quote, and no IV: Yahoo writes its solver's last step there (0.5, 0.25, …, 0.00001: in
 * recorded chains 557 of 557). The time of a contract's last trade is not the time of its quote, so `quotedAt` is the time of the underlying's quote. No Greeks.
 *
 * Errors: those of `yahooFetch`; `source.malformed` (transient) for anything but an option chain; `chain.empty`, `source.unknown_symbol` (permanent).
 */
export function yahooChains({
  fetch = globalThis.fetch,
  clock,
  budget,
  timeoutMs = 10_000,
  concurrency = 4,
  spell = spellingsOf(source),
}: {
  fetch?: Fetch;
  clock: Clock;
  budget?: Budget | undefined;
  timeoutMs?: number;
  concurrency?: number;
  spell?: (symbol: string) => string;
}): ChainSource {
  const yahoo = yahooClient();
  const lane = bulkhead(concurrency, Number.POSITIVE_INFINITY);

  /** One request. Without a date: the first expiration. */
  async function ask(symbol: string, date: number | undefined, signal: AbortSignal): Promise<Answer> {
    signal.throwIfAborted();
    let raw: unknown;
    let staleCrumb = false;
    let asked = false;
    const asking = yahooFetch({ fetch, clock, timeoutMs, budget }, askedAs(symbol, spell(symbol)), signal, ({ code }) => {
      staleCrumb ||= code === 'Unauthorized';
    });
    const guarded: Fetch = async (url, init) => {
      asked ||= isQuestion(url);
      const answer = await asking(url, init);
      // Checked here, because the library prints its schema when there is no result.
      if (!(await answer.clone().text()).startsWith('{"optionChain":{"result":[]')) return answer;
      throw new PermanentError('source.unknown_symbol', `${source}: unknown symbol ${symbol} (an empty result)`);
    };
    try {
      raw = await yahoo.options(spell(symbol), date === undefined ? {} : { date: new Date(date * 1000) }, {
        validateResult: false,
        fetch: guarded,
      });
    } catch (error) {
      if (staleCrumb) forgetCrumb(yahoo);
      signal.throwIfAborted();
      if (error instanceof StockmeshError) throw error;
      if (!asked) throw new TransientError('source.blocked', `${source}: gives no cookie and crumb: ${messageOf(error)}`, { cause: error });
      throw malformed(symbol, EXPECTED, messageOf(error), error);
    }
    const parsed = Answer.safeParse(raw);
    if (!parsed.success) throw malformed(symbol, EXPECTED, z.prettifyError(parsed.error), parsed.error);
    return parsed.data;
  }

  const load = coalesced(async (symbol, signal): Promise<Chain> => {
    const first = await lane.execute(() => ask(symbol, undefined, signal));
    const given = new Set(first.options.map(({ expirationDate }) => expirationDate));
    const failed = new AbortController();
    const until = AbortSignal.any([signal, failed.signal]);
    const askFor = async (date: number): Promise<Answer> => {
      try {
        return await ask(symbol, date, until);
      } catch (error) {
        // Checked here, before the next request starts.
        failed.abort(error);
        throw error;
      }
    };
    const rest = first.expirationDates.filter((date) => !given.has(date));
    return chainOf(symbol, [first, ...(await Promise.all(rest.map((date) => lane.execute(() => askFor(date)))))], clock.now());
  });

  return { name: source, chain: async (underlying, signal) => load(parseSymbol(underlying), signal) };
}

function chainOf(symbol: string, answers: readonly Answer[], now: Temporal.Instant): Chain {
  const builder = chainBuilder({ underlying: symbol, source });
  const empty = new Set(answers[0]!.expirationDates);
  let newest = Number.NEGATIVE_INFINITY;
  let spot = Number.NaN;
  for (const { quote, options } of answers) {
    const seconds = Math.min(quote.regularMarketTime ?? Number.NaN, now.epochMilliseconds / 1000);
    if (seconds > newest && quote.regularMarketPrice != null) {
      newest = seconds;
      spot = quote.regularMarketPrice;
    }
    for (const { expirationDate, calls, puts } of options) {
      if (calls.length + puts.length > 0) empty.delete(expirationDate);
      for (const row of calls) addRow(builder, row, seconds * 1000);
      for (const row of puts) addRow(builder, row, seconds * 1000);
    }
  }
  for (const date of empty) builder.miss(dayOf(date), 'Yahoo lists this expiration without contracts');
  return builder.build({ asOf: Number.isFinite(newest) ? Temporal.Instant.fromEpochMilliseconds(newest * 1000) : now, spot });
}

function addRow(builder: ReturnType<typeof chainBuilder>, raw: unknown, quotedAt: number): void {
  const parsed = Row.safeParse(raw);
  if (!parsed.success) {
    builder.drop(`a field of the row cannot be read: ${parsed.error.issues[0]?.path.join('.') || 'all'}`);
    return;
  }
  const { contractSymbol, contractSize, bid, ask, volume, openInterest, impliedVolatility } = parsed.data;
  if (contractSize != null && contractSize !== 'REGULAR') {
    builder.drop(`the contract is not for 100 shares: ${contractSize}`);
    return;
  }
  const quoted = (bid ?? 0) > 0 || (ask ?? 0) > 0;
  builder.add(contractSymbol, {
    volume,
    openInterest,
    quotedAt,
    ...(quoted && { bid, ask, iv: (impliedVolatility ?? 0) > LEAST_IV ? impliedVolatility : undefined }),
  });
}

/** Yahoo stamps an expiration with its day's midnight in UTC. */
function dayOf(seconds: number): string {
  return Temporal.Instant.fromEpochMilliseconds(seconds * 1000)
    .toString()
    .slice(0, 10);
}
