/** A Lean folder with the invented symbol ABC, in which a test writes the days that it is about. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { leanChains } from '../../../../services/market/options/sources/lean.ts';
import { zipOf } from '../../sources/zip.ts';

export const DAY = '2020-01-07';
const FOLDERS = ['equity/usa/daily', 'equity/usa/factor_files', 'equity/usa/map_files', 'option/usa/universes/abc', 'option/usa/daily'];

export const plain = (day: string) => day.replaceAll('-', '');

/** A folder for each test of the suite that calls this; on `DAY` ABC closes at 100. `head`: the first lines of its universe files, the columns and the underlying. */
export function leanFolder(...head: string[]) {
  let path: string;
  const write = (name: string, content: string | Buffer) => writeFileSync(join(path, name), content);
  const folder = {
    get path() {
      return path;
    },
    write,
    universe: (day: string, ...rows: string[]) => write(`option/usa/universes/abc/${plain(day)}.csv`, [...head, ...rows, ''].join('\n')),
    /** A day file of a year: the lines of one contract. */
    daily: (year: number, kind: string, name: string, ...lines: string[]) =>
      write(`option/usa/daily/abc_${year}_${kind}_american.zip`, zipOf(`abc_${kind}_american_${name}.csv`, `${lines.join('\n')}\n`)),
    equity(...days: [string, number][]): void {
      const lines = days.map(([day, close]) => `${plain(day)} 00:00${`,${close * 10_000}`.repeat(4)},100`);
      write('equity/usa/daily/abc.zip', zipOf('abc.csv', lines.join('\n')));
    },
    chain: (day?: string) => leanChains(path).chain('ABC', new AbortController().signal, day),
  };
  beforeEach(() => {
    path = mkdtempSync(join(tmpdir(), 'stockmesh-lean-options-'));
    for (const one of FOLDERS) mkdirSync(join(path, one), { recursive: true });
    folder.equity([DAY, 100]);
  });
  afterEach(() => rmSync(path, { recursive: true, force: true }));
  return folder;
}
