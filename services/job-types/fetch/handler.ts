import { refreshSymbol } from '../../market/bars/refresh.ts';
import { handler } from '../handler.ts';
import { fetchType } from './definition.ts';
import { outputOf, rowsOfFailure, storeFetched } from './output.ts';

export const fetchHandler = handler(
  fetchType,
  async ({ symbol, range }, context) => outputOf(await refreshSymbol(symbol, context, range), context),
  storeFetched,
  rowsOfFailure,
);
