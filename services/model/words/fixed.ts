/** Terms of the field that have a digit or capitals and are no figure: a sentence may hold them as they are. */
const TERMS = [
  'S&P 500',
  'S&P',
  'Nasdaq[ -]100',
  'Russell [123]000',
  'Fortune 500',
  '(?:20|50|100|200)-day',
  '(?:4|12|13|26|52)-week',
  '(?:3|6|12)-month',
  '10-[KQ]',
  '8-K',
  'Q[1-4]',
  'H[12]',
  'out of 100',
  'R&D',
  'M&A',
  'P/E',
  'P/B',
  'U\\.S\\.(?:A\\.)?',
  'COVID-19',
];
// Part of no longer figure: "Q3.5", "200-day5" and "1200-day" are none of the terms.
const FIXED = new RegExp(`(?<![\\p{L}\\p{N}.,$-])(?:${TERMS.join('|')})(?![\\p{L}\\p{N}%]|[.,-]\\p{N})`, 'gu');

/** The text without these terms. */
export const withoutFixed = (text: string): string => text.replace(FIXED, ' ');
