import { handler } from '../../worker/handler.ts';
import { refreshSymbol } from '../../worker/refresh.ts';
import { BackfillPayload } from './definition.ts';

/** From the first day on, without a hole up to the newest bar there is: only bars adjusted on the same day go together. */
export const backfillHandler = handler('backfill', BackfillPayload, ({ symbol, from, to }, context) =>
  refreshSymbol(symbol, context, { from, to }),
);
