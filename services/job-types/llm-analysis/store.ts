/** Stored opinions of a model. */
import { z } from 'zod';
import { FactSchema } from '../../model/words/facts.ts';
import { fromJson, type Sql, type Transaction, toJson } from '../../platform/database/database.ts';
import { OpinionSchema } from './answer.ts';

/** Stands beside every opinion. */
export const NO_ADVICE = 'Not investment advice: the opinion of a language model on stored facts, its own confidence, not calibrated.';

const DocumentSchema = z.strictObject({
  schema: z.literal(1),
  facts: z.array(FactSchema),
  missing: z.array(z.string()),
  opinion: OpinionSchema,
  /** The first answer was not accepted, and a second one was paid for. */
  repaired: z.boolean(),
  simulated: z.boolean(),
  spend_ids: z.array(z.number()),
  cost_usd: z.number().nullable(),
});

export interface ModelAnalysis {
  symbol: string;
  createdAt: Date;
  factsHash: Buffer;
  dataDate: string | null;
  model: string;
  /** Host of the model's server. */
  provider: string;
  spendId: number;
  staleAfter: Date;
  document: z.output<typeof DocumentSchema>;
}

export async function storeModelAnalyses(tx: Transaction, rows: readonly ModelAnalysis[]): Promise<void> {
  if (rows.length === 0) return;
  tx.later(
    `REPLACE INTO model_analyses
       (symbol, created_at, facts_hash, data_date, model, provider, spend_id, sentiment, recommendation, confidence, document, stale_after) VALUES ?`,
    [
      rows.map(({ document, ...row }) => [
        row.symbol,
        row.createdAt,
        row.factsHash,
        row.dataDate,
        row.model.slice(0, 100),
        row.provider,
        row.spendId,
        document.opinion.sentiment,
        document.opinion.recommendation,
        document.opinion.confidence,
        toJson(document),
        row.staleAfter,
      ]),
    ],
  );
}

/** The newest opinion of a symbol, by the primary key. */
export async function readModelAnalysis(sql: Sql, symbol: string): Promise<ModelAnalysis | undefined> {
  const [row] = await sql.rows<{
    symbol: string;
    created_at: Date;
    facts_hash: Buffer;
    data_date: string | null;
    model: string;
    provider: string;
    spend_id: number;
    stale_after: Date;
    document: unknown;
  }>(
    `SELECT symbol, created_at, facts_hash, data_date, model, provider, spend_id, stale_after, document
       FROM model_analyses WHERE symbol = ? ORDER BY created_at DESC LIMIT 1`,
    [symbol],
  );
  if (row === undefined) return undefined;
  return {
    symbol: row.symbol,
    createdAt: row.created_at,
    factsHash: row.facts_hash,
    dataDate: row.data_date,
    model: row.model,
    provider: row.provider,
    spendId: row.spend_id,
    staleAfter: row.stale_after,
    document: DocumentSchema.parse(fromJson(row.document)),
  };
}

/** As `--json` and the HTTP API give it: without what it cost. */
export function modelAnalysisJson({ createdAt, staleAfter, dataDate, model, provider, document }: ModelAnalysis, now: Date) {
  const { opinion, facts, missing, repaired, simulated } = document;
  return {
    disclaimer: NO_ADVICE,
    source: 'llm' as const,
    model,
    provider,
    created_at: createdAt,
    stale: staleAfter <= now,
    data_date: dataDate,
    simulated,
    ...opinion,
    confidence_note: CONFIDENCE_NOTE,
    repaired,
    missing,
    facts,
  };
}

const CONFIDENCE_NOTE = "the model's own, not calibrated";
