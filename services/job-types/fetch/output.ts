/** What a refreshed symbol leaves, the same for each type that fetches bars. */
import type { Refresh } from '../../market/bars/refresh.ts';
import type { RefreshRows } from '../../market/bars/store.ts';
import type { Draft } from '../../platform/messages.ts';
import type { JobOutput } from '../handler.ts';

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
