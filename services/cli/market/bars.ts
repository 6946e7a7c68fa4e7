/** `stockmesh bars` and `stockmesh indicators`: the stored days of a symbol. */
import {
  adjustedBars,
  BAR_COLUMNS,
  barJson,
  columnsCsv,
  indicatorColumns,
  readBarRange,
  readKnownSymbol,
} from '../../gateway/routes/symbol-reader.ts';
import { isSimulated } from '../../market/freshness/symbol-judgement.ts';
import { WARM_UP_BARS } from '../../market/indicators/indicators.ts';
import { parseSymbol } from '../../market/symbol.ts';
import { csvOf } from '../../platform/text/csv.ts';
import { quantity, sharePrice } from '../output/numbers.ts';
import { print, printCsv, printJson } from '../output/print.ts';
import { type Column, table } from '../output/table.ts';
import { type GlobalOptions, type Session, withSession } from '../session.ts';

export interface DaysOptions extends GlobalOptions {
  from?: string | undefined;
  to?: string | undefined;
  limit: number;
  raw?: boolean | undefined;
  csv?: boolean | undefined;
  json?: boolean | undefined;
}

const readKnown = ({ db, clock, loaded }: Session, symbol: string) => readKnownSymbol({ db, clock, config: loaded.config }, symbol);

/** Errors: `InputError('symbol.invalid' | 'symbol.unknown' | 'request.bad_range')`. */
export async function bars(text: string, { from, to, limit, raw = false, csv, json, ...options }: DaysOptions): Promise<number> {
  const symbol = parseSymbol(text);
  return withSession(options, async (session) => {
    const { state } = await readKnown(session, symbol);
    const { bars: stored } = await readBarRange(session.db, symbol, { from, to, limit }, state.newestBar);
    const shown = (raw ? stored : adjustedBars(stored)).map(barJson);
    if (csv) printCsv(csvOf(BAR_COLUMNS, shown));
    else if (json)
      printJson({
        ...{ symbol, currency: state.currency, source: state.source, simulated: isSimulated(state), adjusted: !raw },
        bars: shown,
      });
    else if (shown.length === 0) print('no bars in this range');
    else print(table(shown, COLUMNS));
    return 0;
  });
}

const COLUMNS: Column<ReturnType<typeof barJson>>[] = [
  { title: 'DATE', value: ({ date }) => date },
  ...(['open', 'high', 'low', 'close'] as const).map(
    (name): Column<ReturnType<typeof barJson>> => ({ title: name.toUpperCase(), value: (bar) => sharePrice(bar[name]), align: 'right' }),
  ),
  { title: 'VOLUME', value: ({ volume }) => quantity(volume), align: 'right', optional: 1 },
];

/** Errors: as of `bars`. */
export async function indicators(text: string, { from, to, limit, raw = false, csv, json, ...options }: DaysOptions): Promise<number> {
  const symbol = parseSymbol(text);
  return withSession(options, async (session) => {
    const { state } = await readKnown(session, symbol);
    const { bars: stored, first } = await readBarRange(session.db, symbol, { from, to, limit }, state.newestBar, WARM_UP_BARS);
    const { dates, indicators: columns } = indicatorColumns(stored, first, !raw);
    if (csv) printCsv(columnsCsv(dates, columns));
    else if (json) printJson({ symbol, adjusted: !raw, dates, indicators: columns });
    else if (dates.length === 0) print('no bars in this range');
    else
      print(
        table(
          dates.map((date, index) => ({ date, index })),
          [
            { title: 'DATE', value: ({ date }) => date },
            ...Object.entries(columns).map(
              ([name, values], place): Column<{ date: string; index: number }> => ({
                ...{ title: name.toUpperCase(), value: ({ index }) => sharePrice(values[index]), align: 'right' },
                // Those of the end give way on a narrow terminal.
                optional: place + 1,
              }),
            ),
          ],
        ),
      );
    return 0;
  });
}
