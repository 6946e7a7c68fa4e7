import { pino } from 'pino';
import { expect, test } from 'vitest';
import { ask } from '../../services/model/ask.ts';
import { modelClient } from '../../services/model/client.ts';
import {
  endAbandoned,
  type Intent,
  listSpend,
  markSent,
  markUnknown,
  type RawAnswer,
  readIntent,
  release,
  reserve,
  storeAnswer,
} from '../../services/model/spend.ts';
import { ManualClock } from '../../services/platform/clock.ts';
import { databaseOfFile } from '../support/database.ts';
import { intent, modelConfig, prompt } from './parts.ts';

const { db } = await databaseOfFile();
const clock = new ManualClock('2031-09-01T12:00:00Z');
const now = (): Date => new Date(clock.now().epochMilliseconds);
const model = modelConfig('http://127.0.0.1:9/v1', { fee_per_call: 0.001 });
const usage = { tokensIn: 1_000, tokensOut: 200, tokensReasoning: null, tokensCached: null, searches: null, costMicros: null };
const ANSWER: RawAnswer = { raw: '{}', model: 'tester', providerRef: null, citations: [], usage };

/** A call that was left at a step by its job. */
async function left(step: 'reserved' | 'sent' | 'answered'): Promise<Intent> {
  const one = intent();
  const { id } = await reserve(db, clock, model, { intent: one, request: '', promptBytes: 100 });
  if (step !== 'reserved') await markSent(db, id, now(), new Date(now().getTime() + 60_000));
  if (step === 'answered') await storeAnswer(db, id, now(), ANSWER);
  return one;
}
const found = async ({ key }: Intent) => {
  const spend = await readIntent(db, key);
  return [spend?.state, spend?.settledMicros, spend?.costSource];
};

test('calls whose jobs do not come back end: not sent is free, without an answer is listed as unknown, answered is booked', async () => {
  const [reserved, sent, answered] = [await left('reserved'), await left('sent'), await left('answered')];
  clock.advance({ minutes: 9 });
  await endAbandoned(db, now(), 1_000);
  expect([await found(reserved), await found(sent), await found(answered)]).toEqual([
    ['reserved', null, null],
    ['sent', null, null],
    ['answered', null, null],
  ]);
  clock.advance({ minutes: 3 });
  await endAbandoned(db, now(), 1_000);
  expect([await found(reserved), await found(sent)]).toEqual([
    ['released', 0, null],
    ['unknown', null, null],
  ]);
  // 1,000 tokens at $2 and 200 at $10 a million, and a fee of a tenth of a cent.
  expect(await found(answered)).toEqual(['settled', 5_000, 'tokens']);
  expect((await listSpend(db, { state: 'unknown', limit: 10 })).map(({ intentKey }) => intentKey)).toContain(sent.key);
});

test('an answer that comes after its call was given up is kept', async () => {
  const one = await left('sent');
  clock.advance({ minutes: 12 });
  await endAbandoned(db, now(), 0);
  const { id } = (await readIntent(db, one.key)) as { id: number };
  await storeAnswer(db, id, now(), ANSWER);
  expect((await found(one))[0]).toBe('answered');
});

test('a call that was refused after somebody gave it up as unknown costs nothing', async () => {
  const one = await left('sent');
  const { id } = (await readIntent(db, one.key)) as { id: number };
  await markUnknown(db, id, 'a process that waited for it gave it up');
  await release(db, id, now(), 'status 429');
  expect(await found(one)).toEqual(['released', 0, null]);
});

test('a call that cost more than was reserved for it is told', async () => {
  const lines: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line) => void lines.push(line) });
  const one = await left('sent');
  const spend = await readIntent(db, one.key);
  await storeAnswer(db, spend?.id as number, now(), { ...ANSWER, usage: { ...usage, costMicros: 500_000 } });
  await ask({ db, clock, model, client: modelClient(model), log }, one, prompt, new AbortController().signal);
  expect(lines).toEqual([expect.stringMatching(/for picks cost \$0\.50, and \$0\.01 was reserved/)]);
});
