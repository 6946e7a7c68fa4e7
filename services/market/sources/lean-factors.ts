import type { CorporateAction } from '../bars/bars.ts';
import { malformedLine } from './lean-files.ts';

/** A row of a factor file. It applies to the dates after the row before it, up to and including its own date. */
export interface FactorRow {
  date: string;
  priceFactor: number;
  splitFactor: number;
  /** The raw close of `date`, in dollars; 0 or 1 in the last and the first row. */
  referencePrice: number;
}

interface FactorFile {
  rows: FactorRow[];
  /** The last date whose prices are unusable because its factor has overflowed. History begins the day after. */
  worthlessUntil: string | undefined;
}

const ROW = /^(\d{4})(\d\d)(\d\d),(\d+(?:\.\d+)?(?:[eE]-\d+)?),(\d+(?:\.\d+)?(?:[eE]-\d+)?),(\d+(?:\.\d+)?(?:[eE]-\d+)?)$/;

/**
 * Parses `date,priceFactor,splitFactor,referencePrice`, ascending. A row with `inf` or a positive exponent has lost its precision and ends the usable history,
 * as Lean itself reads it (CorporateFactorRow.Parse).
 */
export function parseFactors(file: string, lines: string[]): FactorFile {
  const rows: FactorRow[] = [];
  let worthlessUntil: string | undefined;
  for (const [index, line] of lines.entries()) {
    const overflowed = /^(\d{4})(\d\d)(\d\d),.*(?:inf|e\+)/i.exec(line);
    if (overflowed !== null) {
      worthlessUntil = `${overflowed[1]}-${overflowed[2]}-${overflowed[3]}`;
      continue;
    }
    const [, year, month, day, priceFactor, splitFactor, referencePrice] = ROW.exec(line) ?? [];
    const date = `${year}-${month}-${day}`;
    if (year === undefined || date <= (rows.at(-1)?.date ?? '') || Number(priceFactor) === 0 || Number(splitFactor) === 0) {
      throw malformedLine(file, index + 1, line, 'a later date, a price factor, a split factor and a reference price');
    }
    rows.push({ date, priceFactor: Number(priceFactor), splitFactor: Number(splitFactor), referencePrice: Number(referencePrice) });
  }
  return { rows, worthlessUntil };
}

/** A function of ascending dates: price factor × split factor of the first row that is not before the date; 1 after the last. */
export function factorWalk(rows: FactorRow[]): (date: string) => number {
  let index = 0;
  return (date) => {
    while ((rows[index]?.date ?? '9999') < date) index++;
    const row = rows[index];
    return row === undefined ? 1 : row.priceFactor * row.splitFactor;
  };
}

/**
 * The splits and dividends between consecutive rows, on the session after the earlier row's date. Lean's own formulas (CorporateFactorRow.GetSplit, GetDividend):
 * new shares for one old = next split factor ÷ this one; dividend per share = reference price × (1 − this price factor ÷ the next).
 * Factors have seven or eight decimals, so a split keeps five significant digits and a dividend four decimals.
 */
export function actionsOf(rows: FactorRow[], sessionAfter: (date: string) => string): CorporateAction[] {
  const actions: CorporateAction[] = [];
  for (const [index, row] of rows.entries()) {
    const next = rows[index + 1];
    if (next === undefined) break;
    const split = Number((next.splitFactor / row.splitFactor).toPrecision(5));
    const dividend = Number((row.referencePrice * (1 - row.priceFactor / next.priceFactor)).toFixed(4));
    if (split !== 1) actions.push({ date: sessionAfter(row.date), kind: 'split', value: split });
    if (dividend > 0) actions.push({ date: sessionAfter(row.date), kind: 'dividend', value: dividend });
  }
  return actions;
}
