/** Turns the files of a source into a Parquet file, in a process of its own. */
import { rm } from 'node:fs/promises';
import { PermanentError } from '../../platform/errors.ts';
import { createParquetChild, type ParquetChildOptions } from './child.ts';
import type { Conversion, Converter } from './convert.ts';
import { dayWindows, offsetPeriods } from './days.ts';

/** One conversion at a time. Starts its process with the first one, and ends it when it was idle for a while. */
export function createConverter(options: ParquetChildOptions): Converter {
  const child = createParquetChild(options);
  return {
    async convert(conversion, signal) {
      requireUnderlying(conversion);
      const days = dayWindows(conversion.days, conversion.asset, conversion.root);
      // Where the rows stand until they are checked.
      const part = `${conversion.out}.part`;
      try {
        return await child.call({ kind: 'convert', conversion, part, days, offsets: offsetPeriods(conversion.days) }, signal);
      } catch (error) {
        // Of a process that was killed.
        await rm(part, { force: true });
        throw error;
      }
    },
    close: () => child.close(),
  };
}

/** A contract cannot be kept or dropped without the price. */
function requireUnderlying({ root, days, filter }: Conversion): void {
  if (filter === undefined) return;
  const without = days.find((day) => !((filter.underlying[day] ?? 0) > 0));
  if (without !== undefined)
    throw new PermanentError(
      'history.no_underlying',
      `the filter needs the closing price of ${root} on ${without}, and there is none; fetch the prices of ${root} first, or download without a filter`,
    );
}
