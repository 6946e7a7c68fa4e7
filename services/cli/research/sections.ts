/** Research and the opinion of a model as `stockmesh symbol` shows them. */
import type { ModelOpinion } from '../../job-types/llm-analysis/state.ts';
import { NO_ADVICE } from '../../job-types/llm-analysis/store.ts';
import { RESEARCH_DISCLAIMER, type StoredResearch } from '../../market/research/read.ts';
import { shownFundamentals } from '../../market/research/shown.ts';
import { paint } from '../output/colour.ts';
import { ago, stamp } from '../output/numbers.ts';
import { fields, plain, table } from '../output/table.ts';

const dateOf = (instant: Temporal.Instant): Date => new Date(instant.epochMilliseconds);
const madeUp = (isSimulated: boolean): string => (isSimulated ? paint('yellow', ', made up') : '');

export function* researchSections({ fundamentals, news }: StoredResearch, now: Date): Generator<string> {
  if (fundamentals !== undefined) {
    const { source, fetchedAt, name, sector, industry, earnings } = fundamentals;
    const days = earnings === null || earnings.from === earnings.to ? earnings?.from : `${earnings.from} to ${earnings.to}`;
    yield fields([
      ['company', name === null ? null : plain(name)],
      ['sector', sector === null ? null : plain([sector, industry].filter((part) => part !== null).join(', '))],
      ['earnings', days === undefined ? null : `${days}${earnings?.isEstimate ? ', expected' : ''}`],
      ['figures', `${source}, ${stamp(dateOf(fetchedAt))}, ${ago(dateOf(fetchedAt), now)}${madeUp(source === 'simulated')}`],
    ]);
    yield table(shownFundamentals(fundamentals), [
      { title: 'FIGURE', value: ({ label }) => label },
      { title: 'VALUE', value: ({ shown }) => shown, align: 'right' },
      { title: 'AS OF', value: ({ asOf }) => asOf, optional: 1 },
    ]);
  }
  if (news.checkedAt !== null) {
    const checked = `${stamp(dateOf(news.checkedAt))}, ${ago(dateOf(news.checkedAt), now)}`;
    yield fields([
      ['headlines', `${news.items.length === 0 ? 'none, ' : ''}${news.source}, asked for ${checked}${madeUp(news.source === 'simulated')}`],
    ]);
  }
  if (news.items.length > 0)
    yield table(news.items, [
      { title: 'PUBLISHED', value: ({ publishedAt }) => stamp(dateOf(publishedAt)) },
      { title: 'PUBLISHER', value: ({ publisher }) => plain(publisher), optional: 1 },
      { title: 'HEADLINE', value: ({ title }) => plain(title), flexible: 24 },
      { title: 'LINK', value: ({ link }) => plain(link), optional: 2, flexible: 16 },
    ]);
  yield `${RESEARCH_DISCLAIMER}\n`;
}

export function* opinionSections({ analysis, state }: ModelOpinion, now: Date): Generator<string> {
  if (analysis === undefined) {
    yield fields([["model's opinion", plain(state)]]);
    return;
  }
  const { model, provider, createdAt, staleAfter, document } = analysis;
  const { opinion, missing, simulated } = document;
  yield fields([
    [
      "model's opinion",
      `${opinion.recommendation.replace('_', ' ')}${opinion.hold_forced ? ', forced: the facts are too few' : ''}; sentiment ${opinion.sentiment.toFixed(2)} (-1 to 1)`,
    ],
    ['confidence', `${Math.round(opinion.confidence * 100)} %, the model's own, not calibrated`],
    [
      'by',
      `${plain(model)} at ${plain(provider)}, ${stamp(createdAt)}, ${ago(createdAt, now)}${staleAfter <= now ? paint('yellow', ', stale') : ''}`,
    ],
    ['facts', simulated ? paint('yellow', 'made up') : null],
    ['state', state.startsWith('made at') ? null : plain(state)],
    ['summary', opinion.summary && plain(opinion.summary.text)],
    ['missing', missing.length === 0 ? null : missing.join('; ')],
  ]);
  yield table(
    [
      ...opinion.drivers.map(({ direction, text, facts }) => ({ what: direction as string, text, facts })),
      ...opinion.risks.map(({ text, facts }) => ({ what: 'risk', text, facts })),
      ...opinion.unknowns.map((text) => ({ what: 'unknown', text, facts: [] as string[] })),
    ],
    [
      { title: 'POINT', value: ({ what }) => what },
      { title: 'TEXT', value: ({ text }) => plain(text), flexible: 24 },
      { title: 'FACTS', value: ({ facts }) => facts.join(' '), optional: 1 },
    ],
  );
  yield `${NO_ADVICE}\n`;
}
