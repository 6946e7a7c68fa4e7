/** `stockmesh signals`: what a symbol's analysis has said day by day. */
import { type PastSignal, readPastSignals, SIGNAL_COLUMNS } from '../../market/indicators/past-signals.ts';
import { parseSymbol } from '../../market/symbol.ts';
import { COMMAND } from '../../platform/command-name.ts';
import { csvOf } from '../../platform/text/csv.ts';
import { paintSignal } from '../output/colour.ts';
import { sharePrice } from '../output/numbers.ts';
import { print, printCsv, printJson } from '../output/print.ts';
import { type Column, table } from '../output/table.ts';
import { type GlobalOptions, withSession } from '../session.ts';

export interface SignalsOptions extends GlobalOptions {
  before?: string | undefined;
  limit: number;
  csv?: boolean | undefined;
  json?: boolean | undefined;
}

/** Errors: `InputError('symbol.invalid')`. */
export async function signals(text: string, { before, limit, csv, json, ...options }: SignalsOptions): Promise<number> {
  const symbol = parseSymbol(text);
  return withSession(options, async ({ db }) => {
    const found = await readPastSignals(db, symbol, { before, limit: limit + 1 });
    const page = found.slice(0, limit);
    const next = found.length > limit ? (page.at(-1)?.date ?? null) : null;
    if (csv) printCsv(csvOf(SIGNAL_COLUMNS, page));
    else if (json) printJson({ symbol, signals: page, next });
    else if (page.length === 0) print(`no signals of ${symbol}; "${COMMAND} fetch ${symbol} --wait" makes one`);
    else print(`${table(page, COLUMNS)}${next === null ? '' : `\nolder ones: --before ${next}\n`}`);
    return 0;
  });
}

const COLUMNS: Column<PastSignal>[] = [
  { title: 'DATE', value: ({ date }) => date },
  { title: 'SIGNAL', value: ({ signal }) => signal, paint: (text, { signal }) => paintSignal(text, signal) },
  { title: 'CONFIDENCE', value: ({ confidence }) => `${Math.round(100 * confidence)} %`, align: 'right' },
  { title: 'CLOSE', value: ({ close }) => sharePrice(close), align: 'right', optional: 1 },
  {
    title: 'REASONS',
    value: ({ reasons }) =>
      reasons
        .filter(({ points }) => points !== 0)
        .map(({ indicator, points }) => `${indicator} ${points > 0 ? '+' : ''}${points}`)
        .join(', '),
    flexible: 20,
  },
];
