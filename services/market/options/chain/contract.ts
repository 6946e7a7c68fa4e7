import { InputError } from '../../../platform/errors.ts';

/** The fields of an option contract's symbol. */
export interface Contract {
  /** Option root: 1 to 6 capital letters and digits. The root of an adjusted contract has a digit (AAPL1), the root of a share class has no dot (BRKB). */
  underlying: string;
  /** `YYYY-MM-DD`. */
  expiry: string;
  isPut: boolean;
  /** Dollars a share, a multiple of 0.001. */
  strike: number;
}

const SHAPE =
  'a contract is the underlying (1 to 6 capital letters and digits, alone or padded with spaces to 6), yymmdd, C or P, and the strike in thousandths of a dollar as 8 digits, such as AAPL140621C00500000';
const TAIL_LENGTH = 15;
const PADDED_LENGTH = 21;
const ROOT = /^(?=.*[A-Z])[A-Z0-9]{1,6}$/;
const TAIL = /^(\d\d)(\d\d)(\d\d)([CP])(\d{8})$/;
const MAX_STRIKE = 99_999.999;

/**
 * An OCC contract symbol, as the Options Symbology Initiative of 2010 defines it: 21 characters with the root padded by spaces, or the compact form without them.
 * Throws `InputError('contract.invalid')`, which names the value, the fault and the shape.
 */
export function parseContract(text: string): Contract {
  const head = text.slice(0, -TAIL_LENGTH);
  const underlying = text.length === PADDED_LENGTH ? head.replace(/ +$/, '') : head;
  const tail = TAIL.exec(text.slice(-TAIL_LENGTH));
  if (tail === null || !ROOT.test(underlying)) throw invalid(text, 'has another shape');
  const [, year, month, day, side, thousandths] = tail;
  const expiry = `20${year}-${month}-${day}`;
  if (!isDate(expiry)) throw invalid(text, `expires on ${expiry}, which is no date`);
  const strike = Number(thousandths) / 1000;
  if (strike === 0) throw invalid(text, 'has a strike of 0');
  return { underlying, expiry, isPut: side === 'P', strike };
}

/** The compact symbol: `parseContract` of it gives the same contract. Throws `InputError('contract.invalid')` for a contract that has none. */
export function formatContract({ underlying, expiry, isPut, strike }: Contract): string {
  const named = `${underlying} ${expiry} ${isPut ? 'put' : 'call'} ${strike}`;
  if (!ROOT.test(underlying)) throw invalid(named, 'has no root of that shape');
  if (!/^20\d\d-\d\d-\d\d$/.test(expiry) || !isDate(expiry)) throw invalid(named, 'expires on no date of the years 2000 to 2099');
  const thousandths = Math.round(strike * 1000);
  // A strike read from a decimal text is the double nearest to its thousandths.
  if (!(strike > 0 && strike <= MAX_STRIKE && thousandths / 1000 === strike)) {
    throw invalid(named, `has a strike that is no multiple of 0.001 up to ${MAX_STRIKE}`);
  }
  const [year, month, day] = expiry.split('-');
  return `${underlying}${year!.slice(2)}${month}${day}${isPut ? 'P' : 'C'}${String(thousandths).padStart(8, '0')}`;
}

/** Whether a text of the shape `YYYY-MM-DD` is a day of the calendar. */
function isDate(text: string): boolean {
  const [year, month, day] = text.split('-').map(Number) as [number, number, number];
  return month >= 1 && month <= 12 && day >= 1 && day <= new Date(Date.UTC(year, month, 0)).getUTCDate();
}

function invalid(value: string, fault: string): InputError {
  // Only printable ASCII: the value goes to logs and terminals.
  const shown = JSON.stringify(value.slice(0, 40)).replace(
    /[^\x20-\x7e]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return new InputError('contract.invalid', `contract ${shown} ${fault}; ${SHAPE}`);
}
