import type { z } from 'zod';
import type { Research } from '../../market/research/configured.ts';
import type { Fundamentals, News, ResearchSourceName } from '../../market/research/source.ts';
import { FUNDAMENTALS_HOURS, NEWS_HOURS } from '../../market/research/staleness.ts';
import { readFundamentals, readNews, storeFundamentals, storeNews } from '../../market/research/store.ts';
import type { Sql, Transaction } from '../../platform/database/database.ts';
import { codeOf, isDatabaseAway, messageOf } from '../../platform/errors.ts';
import type { Draft } from '../../platform/messages.ts';
import { type Handler, handler, type JobContext, type JobOutput } from '../handler.ts';
import { type ResearchPayload, researchType } from './definition.ts';

/** What one symbol's research writes. */
export interface ResearchRows {
  fundamentals: Fundamentals | undefined;
  news: News | undefined;
}

/** Fetches fundamentals and, unless the job is of fundamentals alone, news at the same time, each where it is stale. One that fails costs the other nothing; when both fail, the job does. */
export function researchHandler({ sql, research }: { sql: Sql; research: Research }): Handler<ResearchRows> {
  return handler(researchType, (payload, context) => researchSymbol(payload, context, sql, research), storeRows);
}

async function storeRows(tx: Transaction, rows: readonly ResearchRows[]): Promise<void> {
  await storeFundamentals(
    tx,
    rows.flatMap(({ fundamentals }) => fundamentals ?? []),
  );
  await storeNews(
    tx,
    rows.flatMap(({ news }) => news ?? []),
  );
}

async function researchSymbol(
  { symbol, force = false, news: withNews = true }: z.output<typeof ResearchPayload>,
  { clock, signal, job }: JobContext<ResearchRows>,
  sql: Sql,
  research: Research,
): Promise<JobOutput<ResearchRows>> {
  const started = performance.now();
  const now = clock.now();
  const isFresh = (at: Temporal.Instant | null | undefined, hours: number): boolean =>
    !force && at != null && Temporal.Instant.compare(at.add({ hours }), now) > 0;
  const [known, told] = await Promise.all([readFundamentals(sql, [symbol]), readNews(sql, symbol, 1)]);
  const stored = known.get(symbol);
  const [fundamentals, news] = await Promise.all([
    isFresh(stored?.fetchedAt, FUNDAMENTALS_HOURS) ? undefined : outcomeOf(research.fundamentals(symbol, signal)),
    !withNews || isFresh(told.checkedAt, NEWS_HOURS) ? undefined : outcomeOf(research.news(symbol, signal)),
  ]);
  signal.throwIfAborted();
  const failures = [fundamentals, news].flatMap((outcome) => (outcome !== undefined && 'error' in outcome ? [outcome.error] : []));
  const asked = [fundamentals, news].filter((outcome) => outcome !== undefined).length;
  // What works is worth nothing without its other half only when there is no half.
  if (failures.length > 0 && (failures.length === asked || job.attempt < job.maxAttempts))
    throw failures.find(isWorthRetrying) ?? failures[0];
  const found = { fundamentals: answerOf(fundamentals), news: answerOf(news) };
  const sources = [...new Set([found.fundamentals?.source ?? stored?.source, found.news?.source ?? told.source ?? undefined])].filter(
    (source) => source !== undefined,
  );
  return {
    rows: [found],
    result: {
      symbol,
      source: sources.join(', '),
      fundamentals: found.fundamentals === undefined ? 'kept' : 'fetched',
      headlines: found.news?.items.length ?? null,
      simulated: sources.includes('simulated'),
      warnings: failures.map(messageOf),
      ms: Math.round(performance.now() - started),
    },
    dataMessages: asked === failures.length ? [] : [messageOfData(symbol, found, sources[0] as ResearchSourceName, now)],
    withErrors: failures.length === 0 ? undefined : failures.map(messageOf).join('; '),
  };
}

function messageOfData(
  symbol: string,
  { fundamentals, news }: ResearchRows,
  source: ResearchSourceName,
  now: Temporal.Instant,
): Draft<'data'> {
  return {
    symbol,
    kind: 'research',
    source,
    as_of: now.toString({ smallestUnit: 'millisecond' }),
    rows: (fundamentals === undefined ? 0 : 1) + (news?.items.length ?? 0),
    ...(source === 'simulated' ? { simulated: true } : {}),
  };
}

type Outcome<Answer> = { answer: Answer } | { error: unknown };

async function outcomeOf<Answer>(asking: Promise<Answer>): Promise<Outcome<Answer>> {
  try {
    return { answer: await asking };
  } catch (error) {
    if (isDatabaseAway(error)) throw error;
    return { error };
  }
}

function answerOf<Answer>(outcome: Outcome<Answer> | undefined): Answer | undefined {
  return outcome !== undefined && 'answer' in outcome ? outcome.answer : undefined;
}

const isWorthRetrying = (error: unknown): boolean => codeOf(error) !== 'source.unknown_symbol';
