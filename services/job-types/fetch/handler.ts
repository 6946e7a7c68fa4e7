import { z } from 'zod';
import { SymbolSchema } from '../../market/symbol.ts';
import { handler } from '../../worker/handler.ts';
import { refreshSymbol } from '../../worker/refresh.ts';

const day = z.iso.date();

/** A symbol made fresh; with a range: from its first day on, without a hole up to the newest bar there is, since only bars adjusted on the same day go together. */
export const FetchPayload = z.strictObject({ symbol: SymbolSchema, range: z.strictObject({ from: day, to: day.optional() }).optional() });

export const fetchHandler = handler('fetch', FetchPayload, ({ symbol, range }, context) => refreshSymbol(symbol, context, range));
