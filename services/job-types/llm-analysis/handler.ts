import type { z } from 'zod';
import { idToBytes } from '../../ledger/id.ts';
import type { Bar } from '../../market/bars/bars.ts';
import { freshnessRules } from '../../market/freshness/freshness.ts';
import { judgeSymbols, type SymbolJudgement } from '../../market/freshness/symbol-judgement.ts';
import { readFundamentals, readNames, readNews } from '../../market/research/store.ts';
import { readAnswer } from '../../model/answer-text.ts';
import { type Asking, askOrPayAgain, checkConfigured } from '../../model/ask.ts';
import { type ModelClient, modelClient, type Prompt } from '../../model/client.ts';
import type { Spend } from '../../model/spend.ts';
import { listedNames } from '../../model/words/names.ts';
import { COMMAND } from '../../platform/command-name.ts';
import type { Config } from '../../platform/config/load.ts';
import type { Database } from '../../platform/database/database.ts';
import { messageOf, PermanentError } from '../../platform/errors.ts';
import { type Handler, handler, type JobContext, type JobOutput } from '../handler.ts';
import { answerSchema, checkAnswer, LEAST_DRIVERS, type Opinion } from './answer.ts';
import { type LlmAnalysisPayload, llmAnalysisType } from './definition.ts';
import { type SymbolFacts, symbolFacts } from './facts.ts';
import { analysisPrompt, factsHash, rewordPrompt } from './prompt.ts';
import { analysisOrder } from './request.ts';
import { type ModelAnalysis, NO_ADVICE, storeModelAnalyses } from './store.ts';

/** Calendar days of prices: a year, and a fortnight for holidays. */
const PRICE_DAYS = 380;
/** More than are used, since one publisher gives three at most. */
const HEADLINES_READ = 50;
/** An opinion is about one day's prices and headlines. */
const FRESH_HOURS = 24;

type Context = JobContext<ModelAnalysis>;

/** Asks the model about the stored facts of a symbol. The same facts are bought once; an answer that breaks the rules may be asked for once more. */
export function llmAnalysisHandler({ db }: { db: Database }): Handler<ModelAnalysis> {
  let client: ModelClient | undefined;
  return handler(
    llmAnalysisType,
    async ({ symbol }, context) => {
      const model = modelOf(context.config);
      checkConfigured(model);
      client ??= modelClient(model);
      return analyseSymbol(symbol, context, { db, clock: context.clock, model, client, log: context.log });
    },
    storeModelAnalyses,
  );
}

/** The model with the time limit of one answer about a symbol. */
function modelOf({ model, stock_jobs }: Config): Config['model'] {
  return { ...model, timeout: stock_jobs.analysis.llm_timeout ?? model.timeout };
}

async function analyseSymbol(
  symbol: z.output<typeof LlmAnalysisPayload>['symbol'],
  context: Context,
  asking: Asking,
): Promise<JobOutput<ModelAnalysis>> {
  const started = performance.now();
  const { clock, config, signal } = context;
  const found = await readFacts(asking.db, symbol, context);
  if (found.facts.length === 0)
    throw new PermanentError(
      'llm_analysis.no_facts',
      `nothing is known of ${symbol} (${found.missing.join('; ')}); "${COMMAND} fetch ${symbol} --wait" and "${COMMAND} research ${symbol} --wait" get it`,
    );
  const hash = factsHash(found.facts, config.model.name as string);
  const { opinion, spends, repaired } = await opinionOf(symbol, found, hash, context, asking);
  signal.throwIfAborted();
  const now = clock.now();
  const last = spends.at(-1) as Spend;
  // One of which nobody knows whether it was paid for counts at its reserve.
  const cost = spends.reduce((sum, { settledMicros, reservedMicros }) => sum + (settledMicros ?? reservedMicros), 0) / 1_000_000;
  const row: ModelAnalysis = {
    symbol,
    createdAt: dateOf(now),
    factsHash: hash,
    dataDate: found.dataDate,
    model: last.modelAnswered ?? last.modelAsked,
    provider: last.provider,
    spendId: last.id,
    staleAfter: dateOf(now.add({ hours: FRESH_HOURS })),
    document: {
      schema: 1,
      facts: found.facts,
      missing: found.missing,
      opinion,
      repaired,
      simulated: found.simulated,
      spend_ids: spends.map(({ id }) => id),
      cost_usd: cost,
    },
  };
  return outputOf(row, Math.round(performance.now() - started));
}

function outputOf(row: ModelAnalysis, ms: number): JobOutput<ModelAnalysis> {
  const { symbol, model, createdAt, document } = row;
  const { opinion, facts, missing, repaired, simulated } = document;
  const made = simulated ? { simulated: true } : {};
  return {
    rows: [row],
    result: {
      symbol,
      source: 'llm',
      model,
      sentiment: opinion.sentiment,
      recommendation: opinion.recommendation,
      model_confidence: opinion.confidence,
      facts: facts.length,
      dropped: opinion.dropped.length,
      repaired,
      simulated,
      warnings: [...missing, ...(opinion.hold_forced ? ['too few facts: the recommendation is hold'] : [])],
      disclaimer: NO_ADVICE,
      spend_ids: document.spend_ids,
      cost_usd: document.cost_usd,
      ms,
    },
    dataMessages: [{ symbol, kind: 'llm_analysis', source: 'llm', as_of: createdAt.toISOString(), rows: 1, ...made }],
  };
}

/** What is stored of the symbol: nothing is fetched here. */
async function readFacts(db: Database, symbol: string, { clock, config, reader }: Context): Promise<SymbolFacts> {
  const now = clock.now();
  const [judged, stored, fundamentals, news] = await Promise.all([
    judgeSymbols(db, [symbol], now, freshnessRules(config)),
    reader.newestBars(symbol, PRICE_DAYS),
    readFundamentals(db, [symbol]),
    readNews(db, symbol, HEADLINES_READ),
  ]);
  const known = judged.get(symbol) as SymbolJudgement;
  return symbolFacts(
    { symbol, judged: known, bars: comparable(stored, known), fundamentals: fundamentals.get(symbol), news },
    analysisOrder(config),
    now,
  );
}

/** Prices before a split that the source has not restated are in other units. */
function comparable(bars: readonly Bar[], { state }: SymbolJudgement): readonly Bar[] {
  const split = state?.unrestatedSplit ?? undefined;
  return split === undefined ? bars : bars.filter(({ date }) => date >= split);
}

interface Bought {
  opinion: Opinion;
  /** The calls that were paid for, or may have been; the last one has the answer. */
  spends: Spend[];
  /** The first answer was not accepted. */
  repaired: boolean;
}

async function opinionOf(symbol: string, { facts, company }: SymbolFacts, hash: Buffer, context: Context, asking: Asking): Promise<Bought> {
  const prompt = analysisPrompt(symbol, company, facts);
  const subject = { symbol, facts, listed: listedNames(await readNames(asking.db)) };
  const key = `llm:${symbol}:${hash.toString('hex')}`;
  const first = await buy(asking, key, prompt, context);
  const answer = judged(first, subject);
  if (answer.opinion !== undefined) return { opinion: answer.opinion, spends: first, repaired: false };
  if (answer.isFinal) throw invalid(symbol, answer.violations);
  const second = await buyAgain(
    symbol,
    answer.violations,
    () => buy(asking, `${key}:reword`, rewordPrompt(prompt, answer.violations), context),
    context,
  );
  const reworded = judged(second, subject);
  if (reworded.opinion === undefined) throw invalid(symbol, reworded.violations);
  return { opinion: reworded.opinion, spends: [...first, ...second], repaired: true };
}

/** The re-word is a payment of its own: what forbids it does not hide why it was wanted. */
async function buyAgain(
  symbol: string,
  violations: readonly string[],
  purchase: () => Promise<Spend[]>,
  { signal }: Context,
): Promise<Spend[]> {
  try {
    return await purchase();
  } catch (error) {
    if (signal.aborted || !(error instanceof PermanentError)) throw error;
    throw invalid(symbol, [...violations, `and it was not asked again: ${messageOf(error)}`], error);
  }
}

const invalid = (symbol: string, violations: readonly string[], cause?: unknown): PermanentError =>
  new PermanentError('llm_analysis.invalid_answer', `the model's answer about ${symbol} was not accepted: ${violations.join('; ')}`, {
    cause,
  });

/** A call of which nobody knows whether it was paid for is made again only where the operator allows that. */
function buy(asking: Asking, key: string, prompt: Prompt, { job, signal }: Context): Promise<Spend[]> {
  const intent = { key, purpose: 'llm_analysis', jobId: idToBytes(job.id), attempt: job.attempt } as const;
  return askOrPayAgain(asking, intent, prompt, asking.model.on_unknown === 'pay_again', signal);
}

interface Judged {
  /** Undefined where the answer has no two good drivers, or is none. */
  opinion: Opinion | undefined;
  violations: string[];
  /** Asking again would bring the same. */
  isFinal: boolean;
}

function judged(spends: readonly Spend[], subject: Parameters<typeof checkAnswer>[1]): Judged {
  const { raw, id } = spends.at(-1) as Spend;
  if (raw === null)
    return {
      opinion: undefined,
      violations: [`call ${id} was settled by hand and has no answer; other facts make another call`],
      isFinal: true,
    };
  const answer = readAnswer(raw, answerSchema());
  if (!answer.ok) return { opinion: undefined, violations: [answer.fault], isFinal: answer.isFinal };
  const opinion = checkAnswer(answer.value, subject);
  if (opinion.drivers.length >= LEAST_DRIVERS) return { opinion, violations: [], isFinal: false };
  const violations = opinion.dropped.map(({ where, text, violation }) => `${where} ${JSON.stringify(text.slice(0, 120))}: ${violation}`);
  return {
    opinion: undefined,
    violations: [`${opinion.drivers.length} good drivers, at least ${LEAST_DRIVERS} are needed`, ...violations],
    isFinal: false,
  };
}

const dateOf = (instant: Temporal.Instant): Date => new Date(instant.epochMilliseconds);
