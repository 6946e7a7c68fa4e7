/** Words that a sentence of a model may not hold: a number in letters, a superlative that nobody measured, a promise. */

const word = (source: string): RegExp => new RegExp(`(?<![\\p{L}\\p{N}])(?:${source})(?![\\p{L}\\p{N}])`, 'giu');

const CARDINALS =
  'zero|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|' +
  'twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundreds?|thousands?|millions?|billions?|trillions?|dozens?|couple';
/** "One of", "no one" and "one another" count nothing. */
const ONE = '(?<!\\bno\\s)one(?!\\s+(?:of|another)(?![\\p{L}]))';
const FRACTIONS = 'half|halves|halved|halving|quarters? of|(?:third|fourth|fifth|sixth|seventh|eighth|ninth|tenth)s? of|two-thirds|thirds';
const MULTIPLES =
  'doubl(?:e|es|ed|ing)|tripl(?:e|es|ed|ing)|quadrupl(?:e|es|ed|ing)|twice|thrice|tenfold|(?:two|three|four|five|six|seven|eight|nine|many|several|multi)-?fold|digits?';
const SHARES = 'per ?cent|percentages?|basis points?|bps';

export const NUMBER_WORDS = word([CARDINALS, ONE, FRACTIONS, MULTIPLES, SHARES].join('|'));

export const SUPERLATIVES = word(
  'records?|highest|lowest|largest|smallest|biggest|best|worst|fastest|slowest|strongest|weakest|cheapest|all[- ]time|unprecedented',
);

export const PROMISES = word(
  "safe|safer|safest|safely|top|guarantee[sd]?|guaranteed|risk[- ]free|no risks?|(?:cannot|can't|can not) lose|sure thing|recommend(?:s|ed|ation|ations)?|" +
    'must[- ]buy|buy now|sell now|should (?:buy|sell|invest|hold)|(?:will|is going to) (?:\\w+ )?(?:rise|fall|gain|grow|climb|outperform|beat|drop|surge|soar|recover)',
);

/** Verbs and adverbs of direction: beside a figure with a sign they must agree with it. */
export const UP_WORDS = word(
  'ros[ei]n?|rises?|rising|gain(?:s|ed|ing)?|climb(?:s|ed|ing)?|up|increas(?:e|es|ed|ing)|grew|grown|surged?|jumped|higher|above|advanced',
);
export const DOWN_WORDS = word(
  'fell|falls?|fallen|falling|drop(?:s|ped|ping)?|lost|los(?:e|es|ing)|declin(?:e|es|ed|ing)|down|decreas(?:e|es|ed|ing)|slid|slipped|shrank|lower|below',
);

/** Capitals that are no ticker in a sentence about shares. */
export const PLAIN_CAPITALS: ReadonlySet<string> = new Set(
  'A I US USA U.S UK EU SPY ETF ETFS CEO CFO AI IT IPO GDP CPI SEC FED ROE EPS PE PB FCF EBIT SMA YTD TTM USD ESG REIT REITS NYSE FDA OPEC LLC B'.split(
    ' ',
  ),
);

/** First words of company names that are no name alone. */
export const GENERIC_WORDS: ReadonlySet<string> = new Set(
  (
    'advanced allied american applied bank best capital central china cities city consolidated digital dollar dynamic eastern energy first fifth ' +
    'general global great green home host international live marathon market mid national new news north northern old pacific performance ' +
    'pinnacle pool public pure quality quest real regions republic royal simon south southern southwest state steel super take texas trade ' +
    'united universal west western world'
  ).split(' '),
);
