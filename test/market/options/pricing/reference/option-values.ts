import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** An option with its value and Greeks, computed without any option formula: see `option-values.py`. Units as in `Valuation`. */
export interface OptionValue {
  name: string;
  spot: number;
  strike: number;
  years: number;
  rate: number;
  dividendYield: number;
  volatility: number;
  isPut: boolean;
  price: number;
  delta: number;
  gamma: number;
  theta: number;
  vega: number;
}

/** 1,320 options: strikes of 0.6 to 1.6 times the spot, 1 day to 2 years, volatility 0.1 to 1.2, without and with dividends, calls and puts. */
export const optionValues: readonly OptionValue[] = readFileSync(join(import.meta.dirname, 'option-values.csv'), 'utf8')
  .trim()
  .split('\n')
  .slice(1)
  .map((line) => {
    const fields = line.split(',');
    const number = (column: number) => Number(fields[column]);
    return {
      name: fields.slice(0, 7).join(' '),
      spot: number(0),
      strike: number(1),
      years: number(2) / 365,
      rate: number(3),
      dividendYield: number(4),
      volatility: number(5),
      isPut: fields[6] === 'P',
      price: number(7),
      delta: number(8),
      gamma: number(9),
      theta: number(10),
      vega: number(11),
    };
  });
