/** Companies that a sentence may name: those of its report. */
import { GENERIC_WORDS, PLAIN_CAPITALS } from './vocabulary.ts';

/** The names of listed companies, made once and used for any number of sentences. */
export interface ListedNames {
  /** The listed names in a text with the tickers they stand for, as they are written there. */
  inText(text: string): { name: string; tickers: readonly string[] }[];
}

const LEGAL_FORM =
  /[,\s]+(?:incorporated|inc|corporation|corp|company|co|companies|limited|ltd|plc|llc|lp|l\.p|n\.v|nv|s\.a|sa|ag|se|holdings?|group|trust|class [a-c]|common stock|& co)\.?$/i;
const LEAST_LETTERS = 3;
/** The first word of a longer name stands for it only if it is no everyday word. */
const LEAST_FIRST_WORD = 4;

/** "Apple" of "Apple Inc.", "Amazon" of "Amazon.com, Inc.". */
function coreOf(name: string): string {
  let core = name
    .normalize('NFKC')
    .trim()
    .replace(/^the\s+/i, '');
  for (let before = ''; before !== core; ) {
    before = core;
    core = core.replace(LEGAL_FORM, '').trim();
  }
  return core.replace(/\.com$/i, '');
}

export function listedNames(listed: readonly { ticker: string; name: string }[]): ListedNames {
  const tickers = new Map<string, string[]>();
  const add = (name: string, ticker: string) => {
    const key = name.toLowerCase();
    const known = tickers.get(key) ?? [];
    if (!known.includes(ticker)) tickers.set(key, [...known, ticker]);
  };
  for (const { ticker, name } of listed) {
    const core = coreOf(name);
    if (core.length < LEAST_LETTERS || core.toUpperCase() === ticker) continue;
    add(core, ticker);
    const [first, second] = core.split(/\s+/);
    if (second !== undefined && first!.length >= LEAST_FIRST_WORD && !GENERIC_WORDS.has(first!.toLowerCase())) add(first!, ticker);
  }
  // The longest first: "General Electric" before "General".
  const names = [...tickers.keys()].sort((a, b) => b.length - a.length).map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const pattern = names.length === 0 ? undefined : new RegExp(`(?<![\\p{L}\\p{N}])(?:${names.join('|')})(?![\\p{L}\\p{N}])`, 'giu');
  return {
    inText(text) {
      if (pattern === undefined) return [];
      const found = Array.from(text.matchAll(pattern), ([name]) => name);
      // "gap" is a word, "Gap" may be a company: a sentence that is lost costs less than a foreign company that stays.
      return found.filter((name) => /^[\p{Lu}\p{N}]/u.test(name)).map((name) => ({ name, tickers: tickers.get(name.toLowerCase()) ?? [] }));
    },
  };
}

const CAPITALS = /(?<![\p{L}\p{N}])[A-Z]{1,5}(?:[.-][A-Z])?(?![\p{L}\p{N}])/gu;

/** The first ticker or company in a text that is not of the report, as it is written; undefined where there is none. `tickers`: those of the report. */
export function foreignName(text: string, tickers: ReadonlySet<string>, listed: ListedNames): string | undefined {
  const capitals = Array.from(text.matchAll(CAPITALS), ([ticker]) => ticker);
  const foreign = capitals.find((ticker) => !tickers.has(ticker) && !PLAIN_CAPITALS.has(ticker));
  return foreign ?? listed.inText(text).find((found) => !found.tickers.some((ticker) => tickers.has(ticker)))?.name;
}
