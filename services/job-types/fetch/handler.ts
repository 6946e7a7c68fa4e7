import { handler } from '../../worker/handler.ts';
import { refreshSymbol } from '../../worker/refresh.ts';
import { FetchPayload } from './definition.ts';

export const fetchHandler = handler('fetch', FetchPayload, ({ symbol, range }, context) => refreshSymbol(symbol, context, range));
