/** What the tests of the model have in common. */
import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { z } from 'zod';
import type { Asking } from '../../services/model/ask.ts';
import { modelClient, type Prompt } from '../../services/model/client.ts';
import type { Intent } from '../../services/model/spend.ts';
import { type Clock, systemClock } from '../../services/platform/clock.ts';
import type { Config } from '../../services/platform/config/load.ts';
import type { Database } from '../../services/platform/database/database.ts';

export const prompt: Prompt = {
  system: 'Answer in JSON.',
  user: 'Facts: f1 = 5',
  schema: { name: 'answer', shape: z.strictObject({ word: z.enum(['up', 'down']), share: z.number().min(0).max(1) }) },
};

export function modelConfig(url: string, more: Partial<Config['model']> = {}): Config['model'] {
  return {
    base_url: url,
    name: 'tester',
    api_key: 'secret-key',
    price_in: 2,
    price_out: 10,
    fee_per_call: 0,
    reserve_usd: null,
    max_tokens: 1_000,
    timeout: 5,
    temperature: 0,
    on_unknown: 'report',
    caps: { picks: { day: 10, week: 20 }, llm_analysis: { day: 10, week: 20 } },
    ...more,
  };
}

export function asking(db: Database, url: string, more: Partial<Config['model']> = {}, clock: Clock = systemClock): Asking {
  const model = modelConfig(url, more);
  return { db, clock, model, client: modelClient(model), log: pino({ level: 'silent' }) };
}

let intents = 0;
export const intent = (more: Partial<Intent> = {}): Intent => ({
  key: `picks:alice:2026-03-02:v${++intents}:word`,
  purpose: 'picks',
  user: 'alice',
  jobId: randomBytes(16),
  attempt: 1,
  ...more,
});
