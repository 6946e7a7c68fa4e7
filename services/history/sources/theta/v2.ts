/** Version 2 of the terminal: CSV in pages, numbers for days, times and strikes, all expirations of one day at a time. */
import { INTERVALS, type ObjectSpec } from '../../dataset.ts';
import type { SourceFile } from '../source.ts';
import { type Download, filesOf, inParts } from './client.ts';
import { layoutOf } from './layouts.ts';
import { latestReport, type SieveOf, thinned } from './rows.ts';
import { compact, type Hours, halvesOf, hoursOf, monthsOf, OPEN_MS, thetaSymbol } from './session.ts';

interface Piece extends Hours {
  first: string;
  last: string;
}

/** Downloads the days of an object. */
export async function downloadV2(object: ObjectSpec, days: readonly string[], download: Download): Promise<SourceFile[]> {
  const isStockDay = object.asset === 'stock' && object.schema === 'eod';
  const ranges = isStockDay ? monthsOf(days) : days.map((day): [string, string] => [day, day]);
  const files: SourceFile[] = [];
  for (const [first, last] of ranges) {
    const piece = { first, last, ...hoursOf(object, first) };
    files.push(
      ...(await inParts(
        piece,
        (part) => ask(object, part, download),
        async (part) => partsOf(object, part),
      )),
    );
  }
  return files;
}

async function ask(object: ObjectSpec, piece: Piece, download: Download): Promise<SourceFile[]> {
  const asked = thetaSymbol(object);
  const endpoint = object.asset === 'option' ? 'bulk_hist/option' : 'hist/stock';
  const pages = await download.get(`/${endpoint}/${object.schema}?${queryOf(object, asked, piece)}`, sieveOf(object));
  return filesOf(pages, (columns) => layoutOf('v2', { object, asked }, columns));
}

function queryOf(object: ObjectSpec, root: string, { first, last, fromMs, toMs }: Piece): URLSearchParams {
  const { asset, schema, interval } = object;
  return new URLSearchParams({
    root,
    // All expirations.
    ...(asset === 'option' && { exp: '0' }),
    start_date: compact(first),
    end_date: compact(last),
    ...(schema !== 'eod' &&
      interval !== '1d' && {
        ivl: String(isThinned(object) ? INTERVALS['1m'] : INTERVALS[interval]),
        rth: 'false',
        start_time: String(fromMs),
        end_time: String(toMs),
      }),
    ...(asset === 'stock' && schema !== 'eod' && { venue: 'utp_cta' }),
    use_csv: 'true',
  });
}

/** The terminal gives the quotes of all expirations for every minute only. */
function isThinned({ asset, schema, interval }: ObjectSpec): boolean {
  return asset === 'option' && schema === 'quote' && interval !== '1m';
}

function sieveOf(object: ObjectSpec): SieveOf | undefined {
  const { asset, schema, interval } = object;
  if (schema === 'eod') return latestReport(asset === 'option' ? ['expiration', 'strike', 'right'] : ['date'], 'ms_of_day');
  return isThinned(object) && interval !== '1d' ? thinned(OPEN_MS, INTERVALS[interval]) : undefined;
}

/** Halves of a day's time, counted by the minutes that are asked for; an end of the day has none. */
function partsOf(object: ObjectSpec, piece: Piece): Piece[] {
  if (object.schema === 'eod') return [];
  return halvesOf(piece, isThinned(object) ? '1m' : object.interval).map((hours) => ({ ...piece, ...hours }));
}
