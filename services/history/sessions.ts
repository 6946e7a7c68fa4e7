/** When what is traded: the sessions of a trading day by kind of product. The days themselves and the 13:00 closes are those of `usCalendar`. */
import { usCalendar } from '../market/calendar/calendar.ts';
import { optionRoot } from '../market/options/chain/roots.ts';
import type { Asset } from './dataset.ts';

/** Milliseconds since the epoch. An open belongs to the session, and so does a close: the last quote of a day is stamped with it. */
export interface DaySessions {
  /** The trade date, `YYYY-MM-DD`. */
  day: string;
  /** The regular session. */
  open: number;
  close: number;
  /** When contracts that expire on this day stop trading; as `close` where that is the same. Those settled at the opening have stopped the day before. */
  expiringClose: number;
  /** The end of the last session of which the sources give data: of stocks the regular one, of some index options the curb session. */
  lastClose: number;
  /** No row of this trade date can be before or after: from 20:15 of the evening before. */
  windowStart: number;
  windowEnd: number;
}

/** What trades to 16:15 (13:15 on short days). */
interface LateProduct {
  /** A curb session from 16:15 to 17:00, of the trade date of the regular session before it. The first such day. */
  curbSince?: string;
  /** Contracts stop at 16:00 (13:00) on the day on which they expire. */
  expiresEarly?: true;
}

// Cboe, "24x5": the curb session of SPX, VIX and XSP began on 2022-04-25.
const CURB = { curbSince: '2022-04-25' } as const;
const PM_SETTLED = { expiresEarly: true } as const;

/**
 * Index options, by root. Sources: Cboe and Nasdaq contract specifications (regular session 09:30 to 16:15; expiring PM-settled contracts to 16:00), Cboe's hours page for the
 * curb session. Overnight (Global Trading Hours) SPX, VIX and XSP trade from 20:15 of the evening before to 09:25; that lies before the regular session and changes only
 * the window.
 */
const INDEX_OPTIONS: Readonly<Record<string, LateProduct>> = {
  SPX: CURB,
  SPXW: { ...CURB, ...PM_SETTLED },
  XSP: { ...CURB, ...PM_SETTLED },
  XSPW: { ...CURB, ...PM_SETTLED },
  VIX: CURB,
  VIXW: CURB,
  NDX: {},
  NDXP: PM_SETTLED,
  XND: PM_SETTLED,
  NQX: PM_SETTLED,
  RUT: {},
  RUTW: PM_SETTLED,
  MRUT: PM_SETTLED,
  DJX: {},
  OEX: PM_SETTLED,
  XEO: PM_SETTLED,
  MXEA: {},
  MXEF: {},
};

/**
 * Funds and notes whose options trade to 16:15. Sources: the lists of two brokers (Firstrade, "Options that trade until 4:15 pm"; IG, "Options that trade until 3:15 Central");
 * the exchanges publish none with dates. A missing one costs a count of rows outside of the session and nothing else.
 */
const LATE_FUNDS: ReadonlySet<string> = new Set(
  `AMJ DBA DBB DBC DBO DIA EEM EFA FXI GAZ GLD IWM IWN IWO IWV IYR JJC KBE KRE LQD MDY MLPN MOO OEF OIL QQQ SLX SPY SVIX SVXY TLT UNG UUP UVIX UVXY VIIX VIXM
  VIXY VXX VXZ XHB XLB XLC XLE XLF XLI XLK XLP XLRE XLU XLV XLY XME XRT`.split(/\s+/),
);

const LATE_MINUTES = 15;

/**
 * The sessions of a trading day, as UTC instants; undefined for a day without a session.
 *
 * Stocks and most of their options: 09:30 to 16:00 New York time, 13:00 on short days. Index options and those of some funds: 15 minutes longer. Stocks also have extended
 * hours to 20:00, which only widen the window. The SEC approved a morning session and 15 more minutes for up to 100 classes of stock options on 2026-05-28 (release 34-105569); they are not here, as
 * their first day was not announced.
 */
export function sessionsOf(root: string, asset: Asset, day: string): DaySessions | undefined {
  const session = usCalendar.session(day);
  if (session === undefined) return undefined;
  const late = asset === 'option' ? lateProduct(optionRoot(root)) : undefined;
  const [open, marketClose] = [session.open.epochMilliseconds, session.close.epochMilliseconds];
  const close = marketClose + (late === undefined ? 0 : LATE_MINUTES * 60_000);
  // On short days too: nothing is said of a curb session of these, and later is the safe side.
  const hasCurb = late?.curbSince !== undefined && day >= late.curbSince;
  const date = Temporal.PlainDate.from(day);
  const evening = newYork(date, '20:00');
  const curbEnd = newYork(date, '17:00');
  return {
    day,
    open,
    close,
    expiringClose: late?.expiresEarly === true ? marketClose : close,
    lastClose: hasCurb ? curbEnd : close,
    windowStart: newYork(date.subtract({ days: 1 }), '20:15'),
    windowEnd: asset === 'stock' ? evening : curbEnd,
  };
}

/** Whether the options of this root are those of an index. */
export function isIndexOption(root: string): boolean {
  return INDEX_OPTIONS[optionRoot(root)] !== undefined;
}

function lateProduct(root: string): LateProduct | undefined {
  return INDEX_OPTIONS[root] ?? (LATE_FUNDS.has(root) ? {} : undefined);
}

/** A wall time of New York, as milliseconds since the epoch. */
function newYork(date: Temporal.PlainDate, plainTime: string): number {
  return date.toZonedDateTime({ timeZone: usCalendar.timeZone, plainTime }).epochMilliseconds;
}
