import type { CorporateAction } from '../bars/bars.ts';
import { actionFault, type LeftOut } from '../bars/sense.ts';
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
  /** Splits and dividends that cannot be true, by the date of their row. The rows are scaled as if these had not been. */
  leftOut: LeftOut[];
}

const NUMBER = String.raw`(-?\d+(?:\.\d+)?(?:[eE]-\d+)?)`;
const ROW = new RegExp(String.raw`^(\d{4})(\d\d)(\d\d),${NUMBER},${NUMBER},${NUMBER}$`);

/**
 * Parses `date,priceFactor,splitFactor,referencePrice`, ascending. A row with `inf` or a positive exponent has lost its precision and ends the usable history,
 * as Lean itself reads it (CorporateFactorRow.Parse). A row whose factor is not positive is left out.
 */
export function parseFactors(file: string, lines: string[]): FactorFile {
  const rows: FactorRow[] = [];
  const leftOut: LeftOut[] = [];
  let worthlessUntil: string | undefined;
  let previous = '';
  for (const [index, line] of lines.entries()) {
    const overflowed = /^(\d{4})(\d\d)(\d\d),.*(?:inf|e\+)/i.exec(line);
    if (overflowed !== null) {
      worthlessUntil = `${overflowed[1]}-${overflowed[2]}-${overflowed[3]}`;
      continue;
    }
    const [, year, month, day, ...numbers] = ROW.exec(line) ?? [];
    const date = `${year}-${month}-${day}`;
    if (year === undefined || date <= previous) {
      throw malformedLine(file, index + 1, line, 'a later date, a price factor, a split factor and a reference price');
    }
    previous = date;
    const [priceFactor, splitFactor, referencePrice] = numbers.map(Number) as [number, number, number];
    if (!(splitFactor > 0)) leftOut.push({ date, kind: 'split', reason: `a split factor of ${splitFactor} is none` });
    else if (!(priceFactor > 0)) leftOut.push({ date, kind: 'dividend', reason: `a price factor of ${priceFactor} is none` });
    else rows.push({ date, priceFactor, splitFactor, referencePrice });
  }
  const sensible = withoutSenselessSteps(rows);
  return { rows: sensible.rows, worthlessUntil, leftOut: [...leftOut, ...sensible.leftOut] };
}

/** From the newest row back: a step between two rows that is no possible split or dividend is undone in all rows before it. */
function withoutSenselessSteps(rows: readonly FactorRow[]): Pick<FactorFile, 'rows' | 'leftOut'> {
  const leftOut: LeftOut[] = [];
  const kept: FactorRow[] = [];
  let splitScale = 1;
  let priceScale = 1;
  for (const [index, row] of [...rows.entries()].reverse()) {
    const next = rows[index + 1];
    const split = next === undefined ? undefined : splitFault(row, next);
    if (next !== undefined && split !== undefined) {
      leftOut.push({ date: row.date, kind: 'split', reason: split });
      splitScale *= next.splitFactor / row.splitFactor;
    }
    if (next !== undefined && dividendOf(row, next) < 0) {
      leftOut.push({ date: row.date, kind: 'dividend', reason: `a dividend of ${dividendOf(row, next)} is none` });
      priceScale *= next.priceFactor / row.priceFactor;
    }
    kept.push({ ...row, splitFactor: row.splitFactor * splitScale, priceFactor: row.priceFactor * priceScale });
  }
  return { rows: kept.reverse(), leftOut };
}

function splitFault(row: FactorRow, next: FactorRow): string | undefined {
  const value = splitOf(row, next);
  return value === 1 ? undefined : actionFault({ kind: 'split', value });
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
 * new shares for one old = next split factor ÷ this one; dividend = reference price × (1 − this price factor ÷ the next), per share of the reference price. On the
 * day of a split that is an old share, so it is divided by the split: the dividend of a day is per share of that day, as from every source.
 */
export function actionsOf(rows: FactorRow[], sessionAfter: (date: string) => string): CorporateAction[] {
  const actions: CorporateAction[] = [];
  for (const [index, row] of rows.entries()) {
    const next = rows[index + 1];
    if (next === undefined) break;
    const split = splitOf(row, next);
    const dividend = dividendOf(row, next);
    if (split !== 1) actions.push({ date: sessionAfter(row.date), kind: 'split', value: split });
    if (dividend > 0) actions.push({ date: sessionAfter(row.date), kind: 'dividend', value: dividend });
  }
  return actions;
}

/** Half of the last decimal of the factors: most files have seven or eight decimals, the worst six. Products of several roundings are off by 6e-6 of their value (AIG). */
const FACTOR_ROUNDING = 5e-7;

/**
 * New shares for one old: the shortest decimal that gives the row's factor as it was rounded, 1 for no split. So 0.03571430 is 7 for one, and a stock dividend keeps
 * its digits: 0.997307 is 1.0027 (GOOG, April 2015).
 */
function splitOf(row: FactorRow, next: FactorRow): number {
  const ratio = next.splitFactor / row.splitFactor;
  const rounding = Math.min(Math.max(FACTOR_ROUNDING * (1 + 1 / ratio), 6e-6 * row.splitFactor), 1e-4 * row.splitFactor);
  for (let digits = 1; digits <= 8; digits++) {
    const decimal = Number(ratio.toPrecision(digits));
    if (Math.abs(next.splitFactor / decimal - row.splitFactor) <= rounding) return decimal;
  }
  return ratio;
}

/** Four decimals, or six significant digits of the price where it is so low that four decimals are fewer. */
function dividendOf(row: FactorRow, next: FactorRow): number {
  const decimals = Math.min(Math.max(4, 6 - Math.ceil(Math.log10(Math.max(row.referencePrice, 1e-12)))), 20);
  const perOldShare = row.referencePrice * (1 - row.priceFactor / next.priceFactor);
  return Number((perOldShare / splitOf(row, next)).toFixed(decimals)) + 0;
}
