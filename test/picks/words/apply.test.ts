import { describe, expect, test } from 'vitest';
import { plainSchema } from '../../../services/model/client.ts';
import { listedNames } from '../../../services/model/words/names.ts';
import type { Report } from '../../../services/picks/report/schema.ts';
import { reportViolations } from '../../../services/picks/report/validate.ts';
import { DEFAULT_RULES } from '../../../services/picks/rules.ts';
import { PROMPT_BYTES, wordingPrompt } from '../../../services/picks/wording/prompt.ts';
import { checkWords, withWords, wordingFacts, wordingKey } from '../../../services/picks/words/apply.ts';
import { type Words, wordsSchema } from '../../../services/picks/words/schema.ts';
import { reportFor, UNIVERSE } from '../report/invented-report.ts';

const REPORT = reportFor();
const TICKERS = REPORT.stock_picks.map(({ ticker }) => ticker);
const OTHERS = UNIVERSE.candidates.map(({ symbol }) => symbol).filter((symbol) => !TICKERS.includes(symbol));
const SCOPE = { tickers: TICKERS, themeTickers: [...TICKERS, ...OTHERS] };
const LISTED = listedNames([
  ...UNIVERSE.candidates.map(({ symbol, name }) => ({ ticker: symbol, name })),
  { ticker: 'EVIL', name: 'Evil Empire Inc.' },
]);
const WORDING = { model: 'm', provider: 'local', cost_usd: 0.01, cost_state: 'exact' as const, spend_ids: ['s1'], citations: [] };

const slotOf = (symbol: string | null, label: string) =>
  `{${REPORT.facts.find((fact) => fact.symbol === symbol && fact.label === label)!.id}}`;

function good(): Words {
  return {
    rationales: TICKERS.map((ticker) => ({
      ticker,
      bullets: [
        `${ticker} closed at ${slotOf(ticker, 'close')}.`,
        `Its total is ${slotOf(ticker, 'total')} in this screen.`,
        'Its momentum and its calm weigh on each other.',
      ],
    })),
    themes: ['Calm and steady', 'Old energy', 'Plain value', 'Broad trends'].map((title) => ({
      title,
      category: 'style' as const,
      summary: 'These symbols have something in common.',
      paragraphs: [
        'They move alike. They need not stay so.',
        `Of all symbols ${slotOf(null, 'share above the 200-day average')} are above their average.`,
      ],
      tickers: TICKERS.slice(0, 3),
    })),
    market: {
      environment: 'The market is mixed. It may stay so.',
      risk_factors: ['Prices can fall together.', 'What is calm can become restless.'],
      opportunities: ['Some shares are cheap by their earnings.', 'The trend is broad.'],
    },
  };
}
const worded = (change: (words: Words) => void) => {
  const words = good();
  change(words);
  const checked = checkWords(words, REPORT, LISTED);
  return { checked, report: withWords(REPORT, checked, WORDING) };
};
const facts = ({ stock_picks }: Report) => stock_picks.map(({ rationale, ...rest }) => rest);

describe('good words', () => {
  const { checked, report } = worded(() => undefined);

  test('stand in the report with the figures filled in, and the report holds', () => {
    expect(checked).toMatchObject({ enough: true, dropped: [] });
    expect(report).toMatchObject({ source: 'llm', fallback_reason: null, model: 'm', cost_usd: 0.01 });
    const [pick] = report.stock_picks;
    const price = REPORT.facts.find(({ symbol, label }) => symbol === pick!.ticker && label === 'close')!;
    expect(pick!.rationale![0]).toEqual({ text: `${pick!.ticker} closed at ${price.shown}.`, facts: [price.id] });
    expect(report.investment_themes.map(({ written_by }) => written_by)).toEqual(new Array(4).fill('model'));
    expect(reportViolations(report, DEFAULT_RULES)).toEqual([]);
  });

  test('change neither picks nor numbers', () => {
    expect(facts(report)).toEqual(facts(REPORT));
    expect(report.facts).toEqual(REPORT.facts);
  });
});

test('a model may use the facts of picks, themes and market, not those of what was not taken', () => {
  const facts = wordingFacts(REPORT);
  const shown = (label: string) => facts.filter((fact) => fact.label === label).map(({ symbol }) => symbol);
  expect(shown('close')).toEqual(TICKERS);
  expect(shown('share above the 200-day average')).toEqual([null]);
  expect(facts.length).toBeLessThan(REPORT.facts.length);
  expect(facts.length).toBeLessThanOrEqual(120);
});

test('reports with the same facts and profile may share their words, whoever they are for', () => {
  const other = { ...REPORT, user_id: 'bob', version: 3, stock_picks: REPORT.stock_picks.map((pick) => ({ ...pick, held_pct: 5 })) };
  expect(wordingKey(other)).toBe(wordingKey(REPORT));
  expect(wordingKey({ ...REPORT, profile: { ...REPORT.profile, experience: 'advanced' } })).not.toBe(wordingKey(REPORT));
  expect(wordingKey(reportFor({ risk_tolerance: 'aggressive' }))).not.toBe(wordingKey(REPORT));
});

describe('bad words', () => {
  test('a sentence with a figure of its own is dropped, and two that are left are enough', () => {
    const { checked, report } = worded((words) => {
      words.rationales[0]!.bullets[0] = 'It will be worth 500 soon.';
    });
    expect(checked.enough).toBe(true);
    expect(report.stock_picks[0]!.rationale).toHaveLength(2);
    expect(report.dropped).toEqual([
      { where: `rationale of ${TICKERS[0]}`, text: 'It will be worth 500 soon.', violation: 'digit: a digit: "5"' },
    ]);
  });

  test('one sentence that is left is none: the reasons of the program stay', () => {
    const { checked, report } = worded((words) => {
      words.rationales[0]!.bullets = ['It doubled.', 'It is safe.', 'Its trend is steady.'];
    });
    expect(checked.enough).toBe(false);
    expect(report.stock_picks[0]!.rationale).toBeNull();
    expect(report.stock_picks[0]!.reasons).toEqual(REPORT.stock_picks[0]!.reasons);
  });

  test('a fact about one pick does not stand beside another', () => {
    const { checked } = worded((words) => {
      words.rationales[0]!.bullets[0] = `It closed at ${slotOf(TICKERS[1]!, 'close')}.`;
    });
    expect(checked.dropped[0]!.violation).toContain(`foreign_fact`);
  });

  test('a company of elsewhere is dropped wherever it is named', () => {
    const { checked, report } = worded((words) => {
      words.themes[0]!.paragraphs[0] = 'They move alike. Evil Empire leads them.';
      words.market.environment = 'EVIL is on the rise. It may stay so.';
    });
    expect(checked.dropped.map(({ where }) => where)).toEqual(['theme 1', 'market']);
    expect(report.investment_themes[0]!.paragraphs[0]!.text).toBe('They move alike.');
    expect(report.market_analysis.environment.map(({ text }) => text)).toEqual(['It may stay so.']);
  });

  test.each<[string, (words: Words) => void]>([
    [
      'a title of one word',
      (words) => {
        words.themes[1]!.title = 'Energy';
      },
    ],
    [
      'a title with a figure',
      (words) => {
        words.themes[1]!.title = 'Energy in 2027';
      },
    ],
    [
      'a ticker twice',
      (words) => {
        words.themes[1]!.tickers = [TICKERS[0]!, TICKERS[0]!, TICKERS[1]!];
      },
    ],
    [
      'no good paragraph',
      (words) => {
        words.themes[1]!.paragraphs = ['It doubled.', 'It tripled.'];
      },
    ],
    [
      'a title that stands already',
      (words) => {
        words.themes[1]!.title = 'calm AND steady'.replace('AND', 'and');
      },
    ],
    [
      'a title of the program elsewhere',
      (words) => {
        words.themes[1]!.title = REPORT.investment_themes[2]!.title;
      },
    ],
  ])('a theme with %s falls back to the program’s', (_, change) => {
    const { report } = worded(change);
    expect(report.investment_themes[1]).toEqual(REPORT.investment_themes[1]);
    expect(report.investment_themes[0]!.written_by).toBe('model');
    expect(reportViolations(report, DEFAULT_RULES)).toEqual([]);
  });

  test('a paragraph that is too long is dropped whole', () => {
    const { checked } = worded((words) => {
      words.market.environment = new Array(81).fill('word').join(' ');
    });
    expect(checked.dropped[0]!.violation).toBe('too_long: 81 words, at most 80');
    expect(checked.market).toBeNull();
  });

  test('a second rationale of a pick is dropped', () => {
    const { checked } = worded((words) => {
      words.rationales[1] = { ...words.rationales[0]! };
    });
    expect(checked.enough).toBe(false);
    expect(checked.dropped[0]!.violation).toContain('twice');
  });

  test('an answer of nothing but violations leaves the report as it was, with what was paid', () => {
    const { report } = worded((words) => {
      for (const rationale of words.rationales) rationale.bullets = ['Buy 1.', 'Buy 2.', 'Buy 3.'];
      for (const theme of words.themes) theme.title = 'Buy 1 now';
      words.market.environment = 'Up 5 %.';
    });
    expect(report).toMatchObject({ source: 'quant', fallback_reason: 'invalid_answer', cost_usd: 0.01, spend_ids: ['s1'] });
    expect(report.market_analysis).toEqual(REPORT.market_analysis);
    expect(report.dropped.length).toBeGreaterThan(20);
    expect(reportViolations(report, DEFAULT_RULES)).toEqual([]);
  });
});

describe('the schema', () => {
  const schema = wordsSchema(SCOPE);

  test('takes the good answer', () => {
    expect(schema.parse(good())).toEqual(good());
  });

  test.each<[string, (words: Words) => void]>([
    [
      'a ticker that is no pick',
      (words) => {
        words.rationales[0]!.ticker = OTHERS[0]!;
      },
    ],
    [
      'a ticker of elsewhere in a theme',
      (words) => {
        words.themes[0]!.tickers[0] = 'EVIL';
      },
    ],
    [
      'three themes',
      (words) => {
        words.themes.pop();
      },
    ],
    [
      'a rationale too few',
      (words) => {
        words.rationales.pop();
      },
    ],
    [
      'a field of its own',
      (words) => {
        Object.assign(words, { advice: 'buy' });
      },
    ],
  ])('refuses %s', (_, change) => {
    const words = good();
    change(words);
    expect(schema.safeParse(words).success).toBe(false);
  });

  test('is sent with types and enums only, all fields required and no others', () => {
    const { schema: asked } = wordingPrompt(REPORT, 'facts');
    const sent = plainSchema(asked.shape);
    const text = JSON.stringify(sent);
    expect(text).not.toMatch(/minLength|maxLength|minItems|maxItems|minimum|maximum|pattern|\$schema/);
    const objects: Record<string, unknown>[] = [];
    JSON.parse(text, (_, value) => {
      if (value?.type === 'object') objects.push(value);
      return value;
    });
    expect(objects).toHaveLength(4);
    for (const object of objects) {
      expect(object.additionalProperties).toBe(false);
      expect(object.required).toEqual(Object.keys(object.properties as object));
    }
    expect(sent).toMatchObject({ properties: { rationales: { items: { properties: { ticker: { enum: TICKERS } } } } } });
  });
});

test('however much an earlier answer violates, the prompt stays below the bytes for which a price is named', () => {
  const dropped = Array.from({ length: 200 }, () => ({ where: 'rationale of ABCDE', text: '😀'.repeat(250), violation: '漢'.repeat(900) }));
  const { system, user } = wordingPrompt(REPORT, 'web', dropped);
  expect(Buffer.byteLength(system + user)).toBeLessThan(PROMPT_BYTES);
});
