/** The list of job types. Topics, message documents, HTTP bodies, commands, retries, time limits and the worker's handlers are derived from it. */
import type { HistoryParts } from '../history/configured.ts';
import type { ChainsByKind } from '../market/options/sources/configured.ts';
import type { Research } from '../market/research/configured.ts';
import type { Database, Sql } from '../platform/database/database.ts';
import type { Listed } from '../platform/messages.ts';
import { analysisType } from './analysis/definition.ts';
import { backfillType } from './backfill/definition.ts';
import { batchFetchType } from './batch-fetch/definition.ts';
import { fetchType } from './fetch/definition.ts';
import type { Handler } from './handler.ts';
import { historyType } from './history/definition.ts';
import type { JobType } from './job-type.ts';
import { llmAnalysisType } from './llm-analysis/definition.ts';
import { picksType } from './picks/definition.ts';
import { picksUniverseType } from './picks-universe/definition.ts';
import { rankType } from './rank/definition.ts';
import { researchType } from './research/definition.ts';

/** What handlers are made of, beside the context of each job. */
export interface HandlerParts {
  sql: Sql;
  /** For what commits beside the job: paid calls. */
  db: Database;
  chains: ChainsByKind;
  research: Research;
  /** Made when the first download needs them. */
  history: () => Promise<HistoryParts>;
}

/** A type, and its handler, which only the worker loads. */
export interface ListedType extends JobType {
  handler: (parts: HandlerParts) => Promise<Handler>;
}

export const JOB_TYPES: readonly ListedType[] = [
  { ...fetchType, handler: async () => (await import('./fetch/handler.ts')).fetchHandler },
  { ...batchFetchType, handler: async () => (await import('./batch-fetch/handler.ts')).batchFetchHandler },
  { ...backfillType, handler: async () => (await import('./backfill/handler.ts')).backfillHandler },
  { ...analysisType, handler: async () => (await import('./analysis/handler.ts')).analysisHandler },
  { ...rankType, handler: async (parts) => (await import('./rank/handler.ts')).rankHandler(parts) },
  { ...researchType, handler: async (parts) => (await import('./research/handler.ts')).researchHandler(parts) },
  { ...llmAnalysisType, handler: async (parts) => (await import('./llm-analysis/handler.ts')).llmAnalysisHandler(parts) },
  { ...picksType, handler: async (parts) => (await import('./picks/handler.ts')).picksHandler(parts) },
  { ...picksUniverseType, handler: async (parts) => (await import('./picks-universe/handler.ts')).picksUniverseHandler(parts) },
  { ...historyType, handler: async (parts) => (await import('./history/handler.ts')).historyHandler(parts) },
];

export function loadHandlers(parts: HandlerParts, types: readonly ListedType[] = JOB_TYPES): Promise<Handler[]> {
  return Promise.all(types.map(({ handler }) => handler(parts)));
}

/** The type by each name that a configuration file may give it. */
export function namesOf(types: readonly JobType[] = JOB_TYPES): Record<string, string> {
  return Object.fromEntries([
    ...types.map(({ name }) => [name, name]),
    ...types.flatMap(({ name, earlierNames = [] }) => earlierNames.map((earlier) => [earlier, name])),
  ]);
}

/** What the types give the documents of the messages. */
export function listedNames(types: readonly JobType[] = JOB_TYPES): Listed {
  return { jobTypes: types.map(({ name }) => name), dataKinds: [...new Set(types.flatMap(({ dataKinds }) => dataKinds))] };
}
