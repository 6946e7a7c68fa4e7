/** The numbers of a company for people: each with its unit, its day and the only form in which it is shown. */
import { FUNDAMENTALS, type FundamentalName, type Fundamentals } from './source.ts';

export interface ShownFundamental {
  name: FundamentalName;
  label: string;
  value: number;
  unit: 'money' | 'ratio' | 'fraction' | 'count';
  /** Of an amount of money. */
  currency: string | null;
  /** The day on which it was fetched, UTC. */
  asOf: string;
  shown: string;
}

/** Fewer analysts are no consensus: their mean is left out. */
const LEAST_ANALYSTS = 3;

/** The numbers that are known, in the order of `FUNDAMENTALS`. */
export function shownFundamentals({ values, currency, financialCurrency, fetchedAt }: Fundamentals): ShownFundamental[] {
  const asOf = fetchedAt.toString().slice(0, 10);
  return (Object.keys(FUNDAMENTALS) as FundamentalName[]).flatMap((name): ShownFundamental[] => {
    const value = values[name] ?? null;
    if (value === null || (name === 'recommendationMean' && (values.analysts ?? 0) < LEAST_ANALYSTS)) return [];
    const { label, unit: kind } = FUNDAMENTALS[name];
    const unit = kind === 'statement_money' ? 'money' : kind;
    const of = kind === 'money' ? currency : kind === 'statement_money' ? financialCurrency : null;
    return [{ name, label, value, unit, currency: of, asOf, shown: shownValue(value, unit, of) }];
  });
}

const LARGE = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 2 });
const SMALL = new Intl.NumberFormat('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
/** Shorter in millions. */
const LARGE_FROM = 1e6;

/** `3.21T USD`, `189.30 USD`; `12.3%` of a fraction. */
function shownValue(value: number, unit: ShownFundamental['unit'], currency: string | null): string {
  if (unit === 'fraction') return `${(value * 100).toFixed(1)}%`;
  if (unit === 'count') return String(value);
  if (unit === 'ratio') return value.toFixed(2);
  return shownMoney(value, currency);
}

/** An amount of money with its currency, where that is known. */
export function shownMoney(value: number, currency: string | null): string {
  const amount = (Math.abs(value) >= LARGE_FROM ? LARGE : SMALL).format(value);
  return currency === null ? amount : `${amount} ${currency}`;
}
