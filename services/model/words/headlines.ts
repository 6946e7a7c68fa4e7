/**
 * Headlines before a model reads them. No treatment of text is a boundary: what holds is that a model has no tools, and that the program owns symbols, picks and numbers.
 * Marking the words as data lowers how often a planted instruction is followed (spotlighting, arXiv 2403.14720); it does not end it.
 */

export interface Headline {
  title: string;
  publisher: string;
  publishedAt: Temporal.Instant;
  /** Symbols that the source relates it to. */
  tickers: readonly string[];
}

const MOST_HEADLINES = 10;
const MOST_OF_PUBLISHER = 3;
const MOST_CHARACTERS = 200;

/** One line of plain text: no hidden characters, braces, markup or addresses, at most 200 characters. Braces would read as slots of facts. */
export function plainHeadline(title: string): string {
  const plain = title
    .normalize('NFKC')
    .replace(/(?:https?:\/\/|www\.)\S*/giu, ' ')
    .replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu, ' ')
    .replace(/[{}<>[\]`|\\^~*_#]/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  return Array.from(plain).slice(0, MOST_CHARACTERS).join('').trim();
}

/** The newest ten about a symbol, at most three of one publisher, each title once, as `plainHeadline` gives it. */
export function headlinesAbout(symbol: string, headlines: readonly Headline[]): Headline[] {
  const kept: Headline[] = [];
  const byPublisher = new Map<string, number>();
  const newest = headlines.toSorted((a, b) => Temporal.Instant.compare(b.publishedAt, a.publishedAt));
  for (const headline of newest) {
    const title = plainHeadline(headline.title);
    const publisher = headline.publisher.trim().toLowerCase();
    const count = byPublisher.get(publisher) ?? 0;
    const isOther = !headline.tickers.includes(symbol) || title === '' || kept.some((one) => one.title === title);
    if (isOther || count >= MOST_OF_PUBLISHER || kept.length >= MOST_HEADLINES) continue;
    byPublisher.set(publisher, count + 1);
    kept.push({ ...headline, title });
  }
  return kept;
}

/** The text with a mark in place of each blank, so that a model can tell data from instructions. `mark`: a character that no headline has. */
export const marked = (text: string, mark: string): string => text.replaceAll(' ', mark);
