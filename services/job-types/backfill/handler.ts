import { refreshSymbol } from '../../market/bars/refresh.ts';
import { outputOf, rowsOfFailure, storeFetched } from '../fetch/output.ts';
import { handler } from '../handler.ts';
import { backfillType } from './definition.ts';

/** Fetches the whole range again, up to the newest bar: adjusted prices of one symbol must all be adjusted on the same day. */
export const backfillHandler = handler(
  backfillType,
  async ({ symbol, from, to }, context) => outputOf(await refreshSymbol(symbol, context, { from, to }), context),
  storeFetched,
  rowsOfFailure,
);
