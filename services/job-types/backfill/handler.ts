import { refreshSymbol } from '../../market/bars/refresh.ts';
import { storeRefresh } from '../../market/bars/store.ts';
import { outputOf } from '../fetch/output.ts';
import { handler } from '../handler.ts';
import { BackfillPayload } from './definition.ts';

/** From the first day on, without a hole up to the newest bar there is: only bars adjusted on the same day go together. */
export const backfillHandler = handler(
  'backfill',
  BackfillPayload,
  async ({ symbol, from, to }, context) => outputOf(await refreshSymbol(symbol, context, { from, to })),
  storeRefresh,
);
