/** Has a report worded by the model, paying at most once for the words and once for writing them again; whatever goes wrong, there is a report. */

import { readAnswer } from '../../model/answer-text.ts';
import { type Asking, ask, askOrPayAgain, PaymentUnknownError } from '../../model/ask.ts';
import type { Intent, Spend } from '../../model/spend.ts';
import type { ListedNames } from '../../model/words/names.ts';
import { PermanentError, TransientError } from '../../platform/errors.ts';
import type { Dropped, Report } from '../report/schema.ts';
import { type CheckedWords, checkWords, type Wording, withWords } from '../words/apply.ts';
import { type Words, wordsSchema } from '../words/schema.ts';
import { scopeOf, wordingPrompt } from './prompt.ts';

export interface WordingOptions {
  asking: Asking;
  /** Whose call it is; its key is that of the first call. */
  intent: Intent;
  listed: ListedNames;
  research: 'facts' | 'web';
  /** Whether a call whose payment is unknown may be paid for again. */
  payAgain: boolean;
  /** A failure of the model's server leaves the report without its words, since the job is not tried again. */
  isLastAttempt: boolean;
  signal: AbortSignal;
}

/** Errors: those of an unreachable database; `TransientError('model.unavailable')` unless it is the last attempt; an abort rethrows the signal's reason. */
export async function wordReport(report: Report, options: WordingOptions): Promise<Report> {
  const outcome = await buy(report, options);
  if ('fallback' in outcome) return withoutWords(report, outcome);
  const { paid } = outcome;
  const answer = paid.at(-1) as Spend;
  const { checked: first, isFinal } = checkedAnswer(answer, report, options);
  const final = first.enough || isFinal ? first : joined(first, await again(report, first, options, paid));
  return withWords(report, final, wordingOf(answer, paid, options.research));
}

/** `paid`: the calls that were paid for, or may have been; the last one has the answer. */
type Bought = { paid: Spend[] } | { fallback: NonNullable<Report['fallback_reason']>; unknown?: number };

async function buy(report: Report, { asking, intent, research, payAgain, isLastAttempt, signal }: WordingOptions): Promise<Bought> {
  try {
    const paid = await askOrPayAgain(asking, intent, wordingPrompt(report, research), payAgain, signal);
    const { id, raw } = paid.at(-1) as Spend;
    // Settled by an operator: it was paid for, and its answer never came.
    return raw === null ? { fallback: 'payment_unknown', unknown: id } : { paid };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof PaymentUnknownError) return { fallback: 'payment_unknown', unknown: error.spend.id };
    if (error instanceof PermanentError && error.code === 'model.cap_reached') return { fallback: 'cap_reached' };
    if (error instanceof PermanentError && (error.code === 'model.off' || error.code === 'model.no_price')) return { fallback: 'no_model' };
    if (error instanceof PermanentError && error.code === 'model.refused') return { fallback: 'model_failed' };
    if (error instanceof TransientError && error.code === 'model.unavailable' && isLastAttempt) return { fallback: 'model_failed' };
    throw error;
  }
}

function withoutWords(report: Report, { fallback, unknown }: Extract<Bought, { fallback: string }>): Report {
  const cost = unknown === undefined ? {} : { cost_state: 'unknown' as const, spend_ids: [String(unknown)] };
  return { ...report, fallback_reason: fallback, ...cost };
}

const NOTHING: CheckedWords = { rationales: new Map(), themes: [null, null, null, null], market: null, dropped: [], enough: false };

function checkedAnswer({ raw, id }: Spend, report: Report, { listed }: WordingOptions): { checked: CheckedWords; isFinal: boolean } {
  const answer = readAnswer(raw as string, wordsSchema(scopeOf(report)));
  if (answer.ok) return { checked: checkWords(answer.value as Words, report, listed), isFinal: false };
  return {
    checked: { ...NOTHING, dropped: [{ where: `answer of call ${id}`, text: '', violation: answer.fault }] },
    isFinal: answer.isFinal,
  };
}

/** The second and last call, for what the first one left out. It is a payment of its own: whatever keeps it from being made, the first answer stands. */
async function again(report: Report, first: CheckedWords, options: WordingOptions, paid: Spend[]): Promise<CheckedWords> {
  const { asking, intent, research, signal } = options;
  try {
    const key = intent.key.replace(/:word$/, ':reword');
    const spend = await ask(asking, { ...intent, key }, wordingPrompt(report, research, first.dropped), signal);
    paid.push(spend);
    return spend.raw === null ? NOTHING : checkedAnswer(spend, report, options).checked;
  } catch (error) {
    signal.throwIfAborted();
    const isOfModel = (error instanceof PermanentError || error instanceof TransientError) && error.code.startsWith('model.');
    if (!isOfModel) throw error;

    if (error instanceof PaymentUnknownError) paid.push(error.spend);
    return { ...NOTHING, dropped: [{ where: 'second call', text: '', violation: `${error.code}: ${error.message}`.slice(0, 500) }] };
  }
}

function joined(first: CheckedWords, second: CheckedWords): CheckedWords {
  return {
    rationales: new Map([...second.rationales, ...first.rationales]),
    themes: first.themes.map((theme, index) => theme ?? second.themes[index] ?? null),
    market: first.market ?? second.market,
    dropped: [...first.dropped, ...second.dropped] satisfies Dropped[],
    enough: first.enough || second.enough,
  };
}

/** Who answered, and what the calls cost together. One of which nobody knows whether it was paid for counts at its reserve. */
function wordingOf({ modelAnswered, modelAsked, provider }: Spend, paid: readonly Spend[], research: 'facts' | 'web'): Wording {
  const micros = paid.reduce((sum, { settledMicros, reservedMicros }) => sum + (settledMicros ?? reservedMicros), 0);
  const isUnknown = paid.some(({ state }) => state === 'unknown');
  const isExact = paid.every(({ costSource }) => costSource === 'provider' || costSource === 'operator');
  const pages = research === 'web' ? paid.flatMap(({ citations }) => citations) : [];
  const secure = pages.filter(({ url, title }) => url.startsWith('https://') && title !== '');
  return {
    model: modelAnswered ?? modelAsked,
    provider,
    cost_usd: micros / 1_000_000,
    cost_state: isUnknown ? 'unknown' : isExact ? 'exact' : 'estimated',
    spend_ids: paid.map(({ id }) => String(id)),
    citations: [...new Map(secure.map((one) => [one.url, one])).values()]
      .slice(0, 40)
      .map(({ title, url, date }) => ({ title, url, date: /^\d{4}-\d{2}-\d{2}$/.test(date ?? '') ? date : null })),
  };
}
