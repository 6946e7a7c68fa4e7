import { z } from 'zod';
import { type Refresh, refreshSymbol } from '../../market/bars/refresh.ts';
import { type RefreshRows, storeRefresh } from '../../market/bars/store.ts';
import { SymbolSchema } from '../../market/symbol.ts';
import type { Draft } from '../../platform/messages.ts';
import { handler, type JobOutput } from '../handler.ts';

const day = z.iso.date();

/**
 * Makes a symbol fresh. With a range: from its first day to the newest bar there is, without a hole, since only bars that were adjusted on the same day can be
 * compared.
 */
export const FetchPayload = z.strictObject({ symbol: SymbolSchema, range: z.strictObject({ from: day, to: day.optional() }).optional() });

export const fetchHandler = handler(
  'fetch',
  FetchPayload,
  async ({ symbol, range }, context) => outputOf(await refreshSymbol(symbol, context, range)),
  storeRefresh,
);

/** The rows, result and data message of a refreshed symbol. */
export function outputOf({ rows, asOf, result }: Refresh): JobOutput<RefreshRows> & Pick<Refresh, 'result'> {
  const { symbol, source, bars, through, stale, simulated } = result;
  const message: Draft<'data'> = {
    symbol,
    kind: 'bars',
    source,
    as_of: asOf.toString({ smallestUnit: 'millisecond' }),
    rows: bars,
    ...(through === null ? {} : { through }),
    ...(stale ? { stale } : {}),
    ...(simulated ? { simulated } : {}),
  };
  return { rows: rows === undefined ? [] : [rows], result, dataMessages: [message] };
}
