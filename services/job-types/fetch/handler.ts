import { refreshSymbol } from '../../market/bars/refresh.ts';
import { storeRefresh } from '../../market/bars/store.ts';
import { handler } from '../handler.ts';
import { FetchPayload } from './definition.ts';
import { outputOf } from './output.ts';

export const fetchHandler = handler(
  'fetch',
  FetchPayload,
  async ({ symbol, range }, context) => outputOf(await refreshSymbol(symbol, context, range)),
  storeRefresh,
);
