/** A month of options at the end of the day, from the three zips of its year. */
import { join } from 'node:path';
import { setImmediate as otherWork } from 'node:timers/promises';
import { optionRoot } from '../../../market/options/chain/roots.ts';
import { contractInName } from '../../../market/options/sources/lean-rows.ts';
import { malformedLine, type OpenZip } from '../../../market/sources/lean-files.ts';
import { PermanentError } from '../../../platform/errors.ts';
import type { ObjectSpec } from '../../dataset.ts';
import type { Fetched } from '../source.ts';
import { spool } from '../spool.ts';
import { FOLDERS, type FolderReader } from './folder.ts';
import { optionDays } from './layouts.ts';

/** In the order of the row; `fields`: numbers after the date. */
const KINDS = [
  { kind: 'trade', fields: 5, gives: 'open, high, low, close and volume' },
  { kind: 'quote', fields: 10, gives: 'bid and ask' },
  { kind: 'openinterest', fields: 1, gives: 'open interest' },
] as const;
type Zip = OpenZip & { file: string };

/** A row for each contract and day that is in one of the zips. The zips are read once, a contract at a time. */
export async function fetchOptionDays(
  object: ObjectSpec,
  days: readonly string[],
  { reader, folder, signal }: { reader: FolderReader; folder: string; signal: AbortSignal },
): Promise<Pick<Fetched, 'files' | 'degraded'>> {
  const ticker = tickerOf(object.root);
  const year = object.period.from.slice(0, 4);
  const zips: (Zip | undefined)[] = [];
  try {
    for (const { kind } of KINDS) zips.push(await reader.optionZip(`${FOLDERS.option.day}/${ticker}_${year}_${kind}`, signal));
    if (zips.every((zip) => zip === undefined)) {
      await reader.confirmKnown(FOLDERS.option.day, ticker, object.root);
      return { files: [] };
    }
    const path = join(folder, 'days.csv');
    const written = await spool(path, rowsOf(object.root, new Set(days), zips), signal);
    const missing = KINDS.filter((_, index) => zips[index] === undefined);
    return {
      files: written === 0 ? [] : [{ path, layout: optionDays(object.root) }],
      degraded:
        missing.length === 0 ? undefined : missing.map(({ kind, gives }) => `no ${gives}: there is no ${kind} zip of ${year}`).join('; '),
    };
  } finally {
    await Promise.all(zips.map((zip) => zip?.close()));
  }
}

/** As Lean names the files of an underlying: BRK.B is brk.b, ^SPX is spx. */
export const tickerOf = (root: string): string => root.replace(/^\^/, '').toLowerCase();

async function* rowsOf(root: string, days: ReadonlySet<string>, zips: readonly (Zip | undefined)[]): AsyncGenerator<string> {
  for (const [contract, names] of await contractsOf(root, zips)) {
    const rows = new Map<string, (string | undefined)[]>();
    for (const [index, { fields }] of KINDS.entries()) {
      const [zip, name] = [zips[index], names[index]];
      const text = zip === undefined || name === undefined ? undefined : await zip.text(name);
      for (const [number, line] of (text?.split('\n') ?? []).entries()) {
        if (line.trim() === '') continue;
        const [day, numbers] = dayOf(line, fields) ?? [];
        if (day === undefined) throw malformedLine(`${zip!.file}#${name}`, number + 1, line, `"YYYYMMDD 00:00" and ${fields} numbers`);
        if (!days.has(day)) continue;
        const row = rows.get(day) ?? [];
        if (row[index] !== undefined) throw malformedLine(`${zip!.file}#${name}`, number + 1, line, `${day} once`);
        row[index] = numbers;
        rows.set(day, row);
      }
    }
    if (rows.size === 0) continue;
    yield Array.from(
      rows,
      ([day, row]) => `${contract},${day},${KINDS.map(({ fields }, index) => row[index] ?? NOTHING[fields]).join(',')}\n`,
    ).join('');
  }
}

const NOTHING = { 1: '', 5: ','.repeat(4), 10: ','.repeat(9) } as const;

const NAMES_A_TURN = 500;

/** `expiration,strike,right` of every contract, and the names of its files in each zip. */
async function contractsOf(root: string, zips: readonly (Zip | undefined)[]): Promise<Map<string, (string | undefined)[]>> {
  const contracts = new Map<string, (string | undefined)[]>();
  for (const [index, zip] of zips.entries()) {
    for (const name of zip?.names ?? []) {
      const key = contractText(zip!.file, name, root);
      const names = contracts.get(key) ?? [];
      names[index] = name;
      contracts.set(key, names);
      if (contracts.size % NAMES_A_TURN === 0) await otherWork();
    }
  }
  return contracts;
}

/** `2014-06-21,500,C`. Errors: `PermanentError('source.malformed')` for a file that is no contract's: leaving it out would lose data in silence. */
export function contractText(file: string, name: string, root: string): string {
  const contract = contractInName(name, optionRoot(root))?.contract;
  if (contract === undefined)
    throw new PermanentError(
      'source.malformed',
      `lean: ${file} holds ${JSON.stringify(name.slice(0, 80))}, which is no contract's file, such as aapl_quote_american_call_5000000_20140621.csv`,
    );
  return `${contract.expiry},${contract.strike},${contract.isPut ? 'P' : 'C'}`;
}

const DAY = /^(\d{4})(\d\d)(\d\d) \d\d:\d\d,([^\r]*)\r?$/;

function dayOf(line: string, fields: number): [day: string, numbers: string] | undefined {
  const [, year, month, day, numbers] = DAY.exec(line) ?? [];
  if (numbers === undefined || numbers.split(',').length !== fields) return undefined;
  return [`${year}-${month}-${day}`, numbers];
}
