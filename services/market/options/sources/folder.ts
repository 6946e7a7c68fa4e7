import { readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { codeOf, InputError, messageOf, PermanentError } from '../../../platform/errors.ts';
import { isFolder } from '../../sources/lean-files.ts';
import type { Chain } from '../chain/chain.ts';
import { fileChains } from './file.ts';
import { leanChains } from './lean.ts';

/**
 * The chains of one underlying in a folder of past chains, one after the other: those of a QuantConnect Lean data folder by day, else those of each `.csv` and `.json` file in it
 * and its folders, in the form of the chain file source. Files without the underlying are passed over.
 * Errors: `InputError` `chain.unreadable` (no such folder), and those of the sources, which name the file.
 */
export async function* chainsInFolder(folder: string, underlying: string, signal: AbortSignal): AsyncGenerator<Chain> {
  if (await isFolder(join(folder, 'option', 'usa', 'universes'))) {
    const lean = leanChains(folder);
    for (const day of lean.days(underlying)) yield await lean.chain(underlying, signal, day);
    return;
  }
  for (const file of await filesIn(folder)) {
    try {
      yield await fileChains(file).chain(underlying, signal);
    } catch (error) {
      if (!(error instanceof PermanentError && error.code === 'source.unknown_symbol')) throw error;
    }
  }
}

async function filesIn(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile() && ['.csv', '.json'].includes(extname(entry.name).toLowerCase()))
      .map(({ parentPath, name }) => join(parentPath, name))
      .sort();
  } catch (error) {
    throw new InputError('chain.unreadable', `the folder ${folder} cannot be read (${codeOf(error)}): ${messageOf(error)}`, {
      cause: error,
    });
  }
}
