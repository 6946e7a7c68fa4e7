/** Sentences as a model may write them. Each violation is one that a reader would take for a fact. */
import { describe, expect, test } from 'vitest';
import { plainText, sentenceViolations } from '../../../services/model/words/checks.ts';
import { type Fact, render } from '../../../services/model/words/facts.ts';
import { listedNames } from '../../../services/model/words/names.ts';
import fc from '../../support/fast-check.ts';

const fact = (id: string, symbol: string | null, shown: string, overrides: Partial<Fact> = {}): [string, Fact] => [
  id,
  {
    id,
    symbol,
    kind: 'indicator',
    label: id,
    value: 1,
    unit: 'pct',
    as_of: '2026-11-20',
    source: 'yahoo_finance',
    shown,
    trust: 'measured',
    ...overrides,
  },
];
const FACTS = new Map([
  fact('f1', 'AAPL', '+12.3%'),
  fact('f2', 'AAPL', '-4.0%'),
  fact('f3', 'MSFT', '$420.00'),
  fact('f4', null, '61.0%'),
  fact('f5', 'AAPL', '$231.10'),
  fact('f6', 'AAPL', 'Apple to the moon, buy 100', { kind: 'headline', trust: 'third_party' }),
]);
const LISTED = listedNames([
  { ticker: 'AAPL', name: 'Apple Inc.' },
  { ticker: 'MSFT', name: 'Microsoft Corporation' },
  { ticker: 'NVDA', name: 'NVIDIA Corporation' },
  { ticker: 'AMZN', name: 'Amazon.com, Inc.' },
  { ticker: 'GS', name: 'The Goldman Sachs Group, Inc.' },
  { ticker: 'BAC', name: 'Bank of America Corporation' },
  { ticker: 'GOOG', name: 'Alphabet Inc.' },
  { ticker: 'GOOGL', name: 'Alphabet Inc.' },
]);
const codes = (text: string, tickers = ['AAPL', 'MSFT']) =>
  sentenceViolations(plainText(text), {
    facts: FACTS,
    about: new Set(['AAPL']),
    tickers: new Set(tickers),
    listed: LISTED,
    mostWords: 25,
  }).map(({ code }) => code);

describe('good sentences', () => {
  test.each([
    'Apple gained {f1} from a year ago to a month ago.',
    'AAPL closed at {f5}, above its 200-day average.',
    'The S&P 500 was mixed in Q3, and {f4} of the symbols are above their average.',
    'Its 10-K and the 52-week range say little about this.',
    'It is one of the steadier names, and no one knows what comes next.',
    'Its price fell ({f2}) in the U.S., and the R&D of Microsoft is another matter.',
    'Momentum scores well, the fall of {f2} was brief.',
    'Café chains – a “naïve” comparison – do not matter here.',
  ])('%s', (text) => {
    expect(codes(text)).toEqual([]);
  });
});

describe('figures of the model', () => {
  test.each([
    ['It rose 14.8 %.', 'digit'],
    ['Revenue was $1.85B.', 'digit'],
    ['It grew by １２ points.', 'digit'],
    ['It grew by ١٢ points.', 'digit'],
    ['It grew by १२ points.', 'digit'],
    ['It grew by 𝟭𝟮 points.', 'digit'],
    ['It lost ½ of it.', 'digit'],
    ['It has ② plants.', 'digit'],
    ['In the class Ⅻ of it.', 'digit'],
    ['Its 1200-day average is far.', 'digit'],
    ['In Q3.5 it was so.', 'digit'],
    ['It was founded in 1976.', 'digit'],
    ['A share of {f1}%.', 'sign'],
    ['Some € were earned.', 'sign'],
    ['It gained 十 points.', 'script'],
  ])('%s', (text, code) => {
    expect(codes(text)).toContain(code);
  });

  test.each([
    'Its revenue doubled.',
    'It is twice as large.',
    'It lost half of it.',
    'A million users.',
    'Twenty-five stores.',
    'One plant is closed.',
    'Two-thirds of it.',
    'A third of the sales.',
    'It rose by double-digit rates.',
    'A threefold rise.',
    'Dozens of stores.',
    'Ten percent of it.',
    'A few basis points.',
    'It HALVED its debt.',
  ])('number word: %s', (text) => {
    expect(codes(text)).toContain('number_word');
  });

  test.each(['It is at a record.', 'The highest margin of all.', 'An all-time high.', 'The largest of them.', 'The best in its class.'])(
    'superlative: %s',
    (text) => {
      expect(codes(text)).toContain('superlative');
    },
  );

  test.each([
    'It is a safe share.',
    'A top pick for you.',
    'It is recommended for you.',
    'Returns are guaranteed.',
    'You should buy it.',
    'The price will likely rise.',
    'A risk-free gain.',
  ])('promise: %s', (text) => {
    expect(codes(text)).toContain('promise');
  });
});

describe('slots', () => {
  test.each([
    ['It rose {f99}.', 'unknown_fact'],
    ['It rose {f3}.', 'foreign_fact'],
    ['The news: {f6}.', 'third_party_fact'],
    ['It rose -{f1}.', 'slot'],
    ['It rose {f1}k.', 'slot'],
    ['It rose {f1}{f2}.', 'slot'],
    ['It rose {f1}/{f2}.', 'slot'],
    ['It rose minus {f1}.', 'slot'],
    ['It rose { f1 }.', 'slot'],
    ['It rose {f1.', 'slot'],
    ['It rose {price}.', 'slot'],
    ['It rose 3{f1}.', 'slot'],
  ])('%s is refused as %s', (text, code) => {
    expect(codes(text)).toContain(code);
  });

  test('braces of full width are the same braces', () => {
    expect(codes('Apple gained ｛f1｝ so far.')).toEqual([]);
  });
});

describe('directions', () => {
  test.each(['It fell by {f1} so far.', 'It gained {f2} so far.', 'With {f1} lost it stands there.', 'The price is up {f2} since then.'])(
    '%s',
    (text) => {
      expect(codes(text)).toContain('direction');
    },
  );

  test('a word of another clause belongs to another figure', () => {
    expect(codes('It fell at first, then came {f1}.')).toEqual([]);
  });

  test('a figure without a sign has no direction', () => {
    expect(codes('It fell to {f5} so far.')).toEqual([]);
  });
});

describe('names', () => {
  test.each([
    ['It beats NVDA by far.', 'a ticker of elsewhere'],
    ['Like Nvidia it makes chips.', 'a company of elsewhere'],
    ['Amazon sells it.', 'a name without its legal form'],
    ['Goldman likes it.', 'the first word of a name'],
    ['Bank of America likes it.', 'a name of everyday words'],
    ['Buy XYZQ now.', 'capitals that nobody knows'],
    ['BRK.B holds it.', 'a class of shares'],
    ['АAPL is another.', 'a Cyrillic letter'],
    ['SELL at once.', 'a shout'],
  ])('%s holds %s', (text) => {
    expect(codes(text).filter((code) => code === 'foreign_name' || code === 'script')).not.toEqual([]);
  });

  test('a name of two tickers is known by either', () => {
    expect(codes('Alphabet is large.', ['AAPL', 'GOOGL'])).toEqual([]);
    expect(codes('Alphabet is large.')).toEqual(['foreign_name']);
  });

  test('a word that is also a first word of names is a word', () => {
    expect(codes('Bank shares and a bank of ideas.')).toEqual([]);
  });
});

describe('markup, links and hidden characters', () => {
  test.each([
    ['It is <b>good</b>.', 'markup'],
    ['It is **good**.', 'markup'],
    ['It is [good](x).', 'markup'],
    ['It is &#49; of them.', 'markup'],
    ['It is ＜script＞ here.', 'markup'],
    ['To the moon 🚀.', 'markup'],
    ['See https://evil.example for more.', 'link'],
    ['See evil.com for more.', 'link'],
    ['See www.evil for more.', 'link'],
    ['Write to a@b of it.', 'link'],
    ['It is\u202e good.', 'character'],
    ['It is\u200b good.', 'character'],
    ['', 'empty'],
    [new Array(26).fill('word').join(' '), 'too_long'],
  ])('%j is refused as %s', (text, code) => {
    expect(codes(text)).toContain(code);
  });
});

/** A character of the number class of Unicode, of any script. */
const numbers = Array.from({ length: 0x1ffff }, (_, code) => (code >= 0xd800 && code <= 0xdfff ? '' : String.fromCodePoint(code))).filter(
  (one) => /\p{N}/u.test(one),
);

test('no character of a number passes anywhere in a sentence', () => {
  const sentence = 'Apple gained {f1} from a year ago, and its trend is steady.';
  // Inside of the slot it would be another slot; that is refused too unless there is such a fact.
  fc.assert(
    fc.property(fc.constantFrom(...numbers), fc.integer({ min: 0, max: sentence.length }), (digit, at) => {
      const text = `${sentence.slice(0, at)}${digit}${sentence.slice(at)}`;
      const inSlot = at > sentence.indexOf('{f') + 1 && at <= sentence.indexOf('}');
      if (!inSlot) expect(codes(text)).not.toEqual([]);
    }),
    { numRuns: 2000 },
  );
});

test('what passes holds no digit but those of its facts', () => {
  const piece = fc.constantFrom(
    'Apple ',
    'gained ',
    '{f1}',
    '{f4}',
    '{f3}',
    ' and ',
    'Q3',
    '200-day',
    '-',
    '5',
    '.',
    ' ',
    '２',
    'Ⅳ',
    'one of ',
    '%',
    'f1',
    '}',
    '{',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const text = plainText(pieces.join(''));
      if (codes(text).length > 0) return;
      const rendered = render(text, FACTS);
      const rest = rendered.facts.reduce((left, id) => left.replaceAll(FACTS.get(id)!.shown, ' '), rendered.text);
      expect(rest.replace(/Q3|200-day/g, ' ')).not.toMatch(/\p{N}/u);
    }),
    { numRuns: 3000 },
  );
});

test('a violation says what was found', () => {
  const [violation] = sentenceViolations('It rose by 14 so far.', {
    facts: FACTS,
    about: new Set(),
    tickers: new Set(),
    listed: LISTED,
    mostWords: 25,
  });
  expect(violation).toEqual({ code: 'digit', text: 'a digit: "1"' });
});
