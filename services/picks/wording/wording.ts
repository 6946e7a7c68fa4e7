/** Has a report worded by the model, paying at most once for the words and once for writing them again; whatever goes wrong, there is a report. */

import { readAnswer } from '../../model/answer-text.ts';
import { type Asking, ask, PaymentUnknownError } from '../../model/ask.ts';
import { type Intent, readIntent, type Spend } from '../../model/spend.ts';
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
  const paid = [outcome.spend];
  const first = checkedAnswer(outcome.spend, report, options);
  const final = first.enough ? first : joined(first, await again(report, first, options, paid));
  return withWords(report, final, wordingOf(paid, options.research));
}

type Bought = { spend: Spend } | { fallback: NonNullable<Report['fallback_reason']>; unknown?: number };

/** The key of the call that is paid for again, after one whose payment is unknown. */
const AGAIN = ':again';

async function buy(report: Report, options: WordingOptions): Promise<Bought> {
  const { asking, intent, research, payAgain, isLastAttempt, signal } = options;
  const prompt = wordingPrompt(report, research);
  const attempt = async (key: string): Promise<Bought> => {
    const spend = await ask(asking, { ...intent, key }, prompt, signal);
    // Settled by an operator: it was paid for, and its answer never came.
    return spend.raw === null ? { fallback: 'payment_unknown', unknown: spend.id } : { spend };
  };
  try {
    // What was bought again stays the answer, also where nobody allows to buy now.
    const isBoughtAgain = (await readIntent(asking.db, intent.key + AGAIN)) !== undefined;
    try {
      return await attempt(isBoughtAgain ? intent.key + AGAIN : intent.key);
    } catch (error) {
      if (!(error instanceof PaymentUnknownError && payAgain && !isBoughtAgain)) throw error;
      return await attempt(intent.key + AGAIN);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof PaymentUnknownError) return { fallback: 'payment_unknown', unknown: error.spendId };
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

function checkedAnswer({ raw, id }: Spend, report: Report, { listed }: WordingOptions): CheckedWords {
  const answer = readAnswer(raw as string, wordsSchema(scopeOf(report)));
  if (answer.ok) return checkWords(answer.value as Words, report, listed);
  return { ...NOTHING, dropped: [{ where: `answer of call ${id}`, text: '', violation: answer.fault }] };
}

/** The second and last call, for what the first one left out. It is a payment of its own: whatever keeps it from being made, the first answer stands. */
async function again(report: Report, first: CheckedWords, options: WordingOptions, paid: Spend[]): Promise<CheckedWords> {
  const { asking, intent, research, signal } = options;
  try {
    const key = intent.key.replace(/:word$/, ':reword');
    const spend = await ask(asking, { ...intent, key }, wordingPrompt(report, research, first.dropped), signal);
    if (spend.raw === null) return NOTHING;
    paid.push(spend);
    return checkedAnswer(spend, report, options);
  } catch (error) {
    signal.throwIfAborted();
    const isOfModel = (error instanceof PermanentError || error instanceof TransientError) && error.code.startsWith('model.');
    if (!isOfModel) throw error;
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

/** What the calls cost together, and who answered. */
function wordingOf(paid: readonly Spend[], research: 'facts' | 'web'): Wording {
  const [first] = paid as [Spend];
  const micros = paid.reduce((sum, { settledMicros, reservedMicros }) => sum + (settledMicros ?? reservedMicros), 0);
  const isExact = paid.every(({ costSource }) => costSource === 'provider' || costSource === 'operator');
  const pages = research === 'web' ? paid.flatMap(({ citations }) => citations) : [];
  const secure = pages.filter(({ url, title }) => url.startsWith('https://') && title !== '');
  return {
    model: first.modelAnswered ?? first.modelAsked,
    provider: first.provider,
    cost_usd: micros / 1_000_000,
    cost_state: isExact ? 'exact' : 'estimated',
    spend_ids: paid.map(({ id }) => String(id)),
    citations: [...new Map(secure.map((one) => [one.url, one])).values()]
      .slice(0, 40)
      .map(({ title, url, date }) => ({ title, url, date: /^\d{4}-\d{2}-\d{2}$/.test(date ?? '') ? date : null })),
  };
}
