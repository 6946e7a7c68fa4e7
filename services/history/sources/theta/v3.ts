/** Version 3 of the terminal: CSV with names in its header, one answer without pages, and 570 for one that would be too large. */
import { rm } from 'node:fs/promises';
import { PermanentError } from '../../../platform/errors.ts';
import type { ObjectSpec } from '../../dataset.ts';
import type { SourceFile } from '../source.ts';
import { type Download, filesOf, inParts } from './client.ts';
import { layoutOf } from './layouts.ts';
import { distinct, latestReport } from './rows.ts';
import { clockTime, type Hours, halvesOf, hoursOf, monthsOf, thetaSymbol } from './session.ts';

/** What one request asks for. */
interface Piece extends Hours {
  first: string;
  last: string;
  /** `*`: all. Undefined for stocks. */
  expiration?: string | undefined;
  right?: 'call' | 'put' | undefined;
}

/** Downloads the days of an object. */
export async function downloadV3(object: ObjectSpec, days: readonly string[], download: Download): Promise<SourceFile[]> {
  const files: SourceFile[] = [];
  for (const piece of piecesOf(object, days)) {
    // One expiration after another: the terminal refuses `*` for the bars of options.
    const pieces = object.asset === 'option' && object.schema === 'ohlc' ? await byExpiration(object, piece, download) : [piece];
    for (const each of pieces) {
      files.push(
        ...(await inParts(
          each,
          (part) => ask(object, part, download),
          (part) => partsOf(object, part, download),
        )),
      );
    }
  }
  return files;
}

/** Stocks at the end of the day: a month at once. All else a day at once, and the end of the day of options too, since its rows do not say for certain which day they are of. */
function piecesOf(object: ObjectSpec, days: readonly string[]): Piece[] {
  if (object.asset === 'stock' && object.schema === 'eod')
    return monthsOf(days).map(([first, last]) => ({ first, last, fromMs: 0, toMs: 0 }));
  const expiration = object.asset === 'option' ? '*' : undefined;
  return days.map((day) => ({ first: day, last: day, expiration, ...hoursOf(object, day) }));
}

async function ask(object: ObjectSpec, piece: Piece, download: Download): Promise<SourceFile[]> {
  const { asset, schema } = object;
  const asked = thetaSymbol(object);
  const day = asset === 'option' ? piece.first : undefined;
  const sieve =
    asset === 'option'
      ? latestReport(['expiration', 'strike', 'right'], 'created')
      : latestReport(['last_trade', 'created'], 'created', dayOf);
  const pages = await download.get(`/${asset}/history/${schema}?${queryOf(object, asked, piece)}`, schema === 'eod' ? sieve : undefined);
  return filesOf(pages, (columns) => layoutOf('v3', { object, asked, day }, columns));
}

/** Of a stock's report: its last trade, or when it was made. */
const dayOf = (lastTrade: string, created: string): string => (lastTrade === '' ? created : lastTrade).slice(0, 10);

function queryOf({ asset, schema, interval, filter }: ObjectSpec, symbol: string, piece: Piece): URLSearchParams {
  const { first, last, expiration, right, fromMs, toMs } = piece;
  return new URLSearchParams({
    symbol,
    ...(expiration !== undefined && { expiration, strike: '*', right: right ?? 'both' }),
    ...(schema === 'eod' ? { start_date: first, end_date: last } : { date: first }),
    // Without it the terminal gives seconds.
    ...(schema !== 'eod' && { interval, start_time: clockTime(fromMs), end_time: clockTime(toMs) }),
    // Without it the terminal gives one exchange's prices.
    ...(asset === 'stock' && schema !== 'eod' && { venue: 'utp_cta' }),
    ...(filter !== undefined && expiration === '*' && { max_dte: String(filter.maxDte) }),
    format: 'csv',
  });
}

/** The parts of a piece that is too large: its expirations, then halves of its time, at the end of the day calls and puts, for stocks halves of its days. */
async function partsOf(object: ObjectSpec, piece: Piece, download: Download): Promise<Piece[]> {
  if (piece.expiration === '*') return byExpiration(object, piece, download);
  if (object.schema !== 'eod') return halvesOf(piece, object.interval).map((hours) => ({ ...piece, ...hours }));
  if (piece.expiration !== undefined)
    return piece.right === undefined ? (['call', 'put'] as const).map((right) => ({ ...piece, right })) : [];
  return halvesOfDays(piece);
}

function halvesOfDays(piece: Piece): Piece[] {
  if (piece.first === piece.last) return [];
  const first = Temporal.PlainDate.from(piece.first);
  const middle = first.add({ days: Math.floor(first.until(piece.last).days / 2) });
  return [
    { ...piece, last: middle.toString() },
    { ...piece, first: middle.add({ days: 1 }).toString() },
  ];
}

/** A piece for each expiration that had a contract on the day, by the list of the day's contracts: the list of all expirations names some 700 for a stock, of which 20 could trade. */
async function byExpiration({ root, filter }: ObjectSpec, piece: Piece, download: Download): Promise<Piece[]> {
  const query = new URLSearchParams({
    symbol: thetaSymbol({ asset: 'option', root }),
    date: piece.first,
    ...(filter !== undefined && { max_dte: String(filter.maxDte) }),
    format: 'csv',
  });
  const expirations = new Set<string>();
  const pages = await download.get(`/option/list/contracts/quote?${query}`, distinct('expiration', expirations));
  for (const { path } of pages) await rm(path);
  for (const expiration of expirations) {
    if (!/^\d{4}-\d{2}-\d{2}$/.test(expiration))
      throw new PermanentError(
        'history.malformed',
        `the contracts of ${piece.first} have the expiration ${JSON.stringify(expiration)}, which is no date`,
      );
  }
  return [...expirations].sort().map((expiration) => ({ ...piece, expiration }));
}
