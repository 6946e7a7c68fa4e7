/** A day of minute data, at a minute or gathered to an interval of several. */
import { join } from 'node:path';
import { tickerOn } from '../../../market/sources/lean.ts';
import { malformedLine, zippedLines } from '../../../market/sources/lean-files.ts';
import { INTERVALS, type ObjectSpec } from '../../dataset.ts';
import { sessionsOf } from '../../sessions.ts';
import type { Fetched } from '../source.ts';
import { spool } from '../spool.ts';
import { FOLDERS, type FolderReader } from './folder.ts';
import { minutes } from './layouts.ts';
import { contractText, tickerOf } from './option-days.ts';

const MINUTE_MS = 60_000;

interface Around {
  reader: FolderReader;
  folder: string;
  /** Of a stock, as the folder spells it now. */
  ticker: string;
  signal: AbortSignal;
}

/** The quotes or bars of a trading day. */
export async function fetchMinutes(object: ObjectSpec, day: string, around: Around): Promise<Pick<Fetched, 'files'>> {
  const kind = object.schema === 'quote' ? 'quote' : 'trade';
  return object.asset === 'option' ? optionMinutes(object, day, kind, around) : stockMinutes(object, day, kind, around);
}

async function optionMinutes(object: ObjectSpec, day: string, kind: 'quote' | 'trade', around: Around): Promise<Pick<Fetched, 'files'>> {
  const { reader, signal } = around;
  const ticker = tickerOf(object.root);
  const zip = await reader.optionZip(`${FOLDERS.option.minute}/${ticker}/${compact(day)}_${kind}`, signal);
  if (zip === undefined) {
    await reader.confirmKnown(FOLDERS.option.minute, ticker, object.root);
    return { files: [] };
  }
  async function* rows(): AsyncGenerator<string> {
    for (const name of zip!.names) {
      const contract = contractText(zip!.file, name, object.root);
      const gather = gathering(object, day, kind, `${zip!.file}#${name}`);
      let rows = '';
      for (const line of (await zip!.text(name))!.split('\n')) rows += withPrefix(contract, gather.line(line));
      yield rows + withPrefix(contract, gather.end());
    }
  }
  try {
    return await spooled(object, kind, rows(), around);
  } finally {
    await zip.close();
  }
}

const withPrefix = (contract: string, row: string | undefined) => (row === undefined ? '' : `${contract},${row}`);

async function stockMinutes(object: ObjectSpec, day: string, kind: 'quote' | 'trade', around: Around): Promise<Pick<Fetched, 'files'>> {
  const { reader, ticker, signal } = around;
  const then = (await tickerOn(reader.absolute('equity/usa'), ticker, day)) ?? ticker;
  const file = `${FOLDERS.stock.minute}/${then}/${compact(day)}_${kind}.zip`;
  if (!(await reader.note(file))) {
    await reader.confirmKnown(FOLDERS.stock.minute, then, object.root);
    return { files: [] };
  }
  async function* rows(): AsyncGenerator<string> {
    const gather = gathering(object, day, kind, file);
    for await (const line of zippedLines(reader.absolute(file), signal)) yield gather.line(line) ?? '';
    yield gather.end() ?? '';
  }
  return spooled(object, kind, rows(), around);
}

async function spooled({ asset, root }: ObjectSpec, kind: 'quote' | 'trade', rows: AsyncIterable<string>, { folder, signal }: Around) {
  const path = join(folder, 'minutes.csv');
  const written = await spool(path, rows, signal);
  return { files: written === 0 ? [] : [{ path, layout: minutes(kind, root, asset) }] };
}

const compact = (day: string) => day.replaceAll('-', '');

/** Takes the minutes of a stock or contract in their order, and gives finished rows: `stamp,numbers` with a newline. */
interface Gathering {
  line(line: string): string | undefined;
  /** The last row. */
  end(): string | undefined;
}

const LINE = /^(\d{1,8}),([^\r]*)\r?$/;

/**
 * Lean stamps a minute with its beginning and gives a quote's last state in it. Stored quotes are those that were current at their stamp, so a quote is stamped with the end of
 * its minute. Of an interval of several minutes there is the last quote, at its end, and one bar. Intervals count from the opening of the session. A minute or interval
 * without a change has no line in Lean and no row here.
 */
function gathering({ root, asset, interval }: ObjectSpec, day: string, kind: 'quote' | 'trade', file: string): Gathering {
  const fields = kind === 'quote' ? 10 : 5;
  const length = INTERVALS[interval as keyof typeof INTERVALS];
  const midnight = Temporal.PlainDate.from(day).toZonedDateTime('America/New_York').epochMilliseconds;
  const { open, lastClose, windowEnd } = sessionsOf(root, asset, day)!;
  // Lean has the extended hours of stocks.
  const [opening, closing] = [open - midnight, (asset === 'stock' ? windowEnd : lastClose) - midnight];
  let number = 0;
  let stamp = 0;
  let numbers = '';

  // A quote at the end of an interval that is not over at the close would be of the future.
  const finished = () =>
    numbers === '' || (kind === 'quote' && length > MINUTE_MS && stamp > closing) ? undefined : `${day} ${timeOf(stamp)},${numbers}\n`;

  return {
    line(line) {
      number++;
      if (line.trim() === '') return undefined;
      const [, ms, rest] = LINE.exec(line) ?? [];
      if (rest === undefined || rest.split(',').length !== fields)
        throw malformedLine(file, number, line, `milliseconds since midnight and ${fields} numbers`);
      const from = opening + Math.floor((Number(ms) - opening) / length) * length;
      const next = kind === 'quote' ? from + length : from;
      if (next < stamp) throw malformedLine(file, number, line, 'a later time');
      if (next === stamp && length > MINUTE_MS) {
        numbers = kind === 'quote' ? rest : merged(numbers, rest);
        return undefined;
      }
      const row = finished();
      [stamp, numbers] = [next, rest];
      return row;
    },
    end: finished,
  };
}

/** A bar and the one after it: open, high, low, close, volume. */
function merged(first: string, second: string): string {
  const [open, high, low, , volume] = first.split(',').map(Number) as [number, number, number, number, number];
  const [, nextHigh, nextLow, close, nextVolume] = second.split(',').map(Number) as [number, number, number, number, number];
  return [open, Math.max(high, nextHigh), Math.min(low, nextLow), close, volume + nextVolume].join(',');
}

const times = new Map<number, string>();

/** `HH:MM:SS.mmm` of milliseconds since midnight. New York has no session on a night in which the clocks change, so this is the wall time. */
function timeOf(ms: number): string {
  let time = times.get(ms);
  if (time === undefined) {
    time = new Date(ms).toISOString().slice(11, 23);
    if (times.size < 10_000) times.set(ms, time);
  }
  return time;
}
