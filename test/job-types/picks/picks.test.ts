import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { afterAll, beforeEach, expect, test } from 'vitest';
import type { JobContext } from '../../../services/job-types/handler.ts';
import { picksHandler } from '../../../services/job-types/picks/handler.ts';
import { idFromBytes } from '../../../services/ledger/id.ts';
import { settleByHand } from '../../../services/model/spend.ts';
import { rulesOf } from '../../../services/picks/configured.ts';
import { ProfileSchema } from '../../../services/picks/profile.ts';
import { DEFAULT_RULES } from '../../../services/picks/rules.ts';
import { screenFor } from '../../../services/picks/screen/screen.ts';
import { readProfile, storeProfile } from '../../../services/picks/store/profiles.ts';
import { type NewReport, readReport } from '../../../services/picks/store/reports.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { type Config, loadConfig } from '../../../services/platform/config/load.ts';
import { fromJson } from '../../../services/platform/database/database.ts';
import { modelConfig } from '../../model/parts.ts';
import { AT, inventedMembers, screened, user as userOf } from '../../picks/invented-universe.ts';
import { storeUniverse, wordsFor } from '../../picks/stored-universe.ts';
import { databaseOfFile } from '../../support/database.ts';
import { modelServer } from '../../support/model-server.ts';

const { db } = await databaseOfFile();
const MEMBERS = inventedMembers(60);
await storeUniverse(db, MEMBERS);
const server = await modelServer();
afterAll(() => server.close());

const WEEK = '2026-11-23';
const base = loadConfig({ environment: 'development', files: [], env: {} }).config;
const picks = {
  ...base.picks,
  universe: { ...base.picks.universe, lists: [{ name: 'invented', symbols: MEMBERS.map(({ symbol }) => symbol) }] },
};
const PLAIN: Config = { ...base, picks };
const MODEL: Config = { ...PLAIN, model: modelConfig(server.url) };

let users = 0;
const newUser = (): string => `reader-${++users}`;
const clock = new ManualClock(AT.toString());

beforeEach(() => server.behave((request) => ({ kind: 'answer', text: wordsFor(request) })));

interface RunOptions {
  config?: Config;
  reason?: string;
  attempt?: number;
  job?: string;
  signal?: AbortSignal;
  payAgain?: boolean;
  /** Between the handler and the commit the process dies. */
  keep?: boolean;
}

/** One attempt of a job, and its commit. */
async function make(
  user: string,
  { config = PLAIN, reason = 'manual_trigger', attempt = 1, job, signal, payAgain, keep = true }: RunOptions = {},
) {
  const handler = picksHandler({ sql: db, db });
  const id = job ?? idFromBytes(randomBytes(16));
  const context = {
    ...{ clock, config, log: pino({ level: 'silent' }), signal: signal ?? new AbortController().signal },
    job: { id, attempt, maxAttempts: 3 },
  } as unknown as JobContext<NewReport>;
  const output = await handler.run({ user, week_of: WEEK, reason, ...(payAgain && { pay_again: true }) }, context);
  if (keep && output.rows.length > 0) await db.transaction((tx) => handler.store(tx, output.rows));
  return { output, id };
}

const spends = (user: string) =>
  db.rows<{ id: number; intent_key: string; state: string }>('SELECT id, intent_key, state FROM spend WHERE user_id = ? ORDER BY id', [
    user,
  ]);

test('the defaults of the configuration are the rules of the screen', () => {
  expect(rulesOf(base.picks)).toEqual(DEFAULT_RULES);
});

test('without a model the report is the screen of the stored universe', async () => {
  const user = newUser();
  const { output } = await make(user);
  const report = await readReport(db, user);
  // The screen of the same members in memory, without a database.
  const expected = screenFor(screened(MEMBERS), userOf()).picks.map(({ candidate }) => candidate.symbol);
  expect(report?.stock_picks.map(({ ticker }) => ticker)).toEqual(expected);
  expect([report?.source, report?.fallback_reason, report?.version, report?.week_of, output.result.source]).toEqual([
    'quant',
    'no_model',
    1,
    WEEK,
    'quant',
  ]);
});

test('a second report of a week is a new version beside the first', async () => {
  const user = newUser();
  await make(user);
  await storeProfile(db, user, ProfileSchema.parse({ risk_tolerance: 'conservative' }), new Date());
  await make(user);
  expect((await readReport(db, user, { version: 1 }))?.profile.risk_tolerance).toBe('moderate');
  expect((await readReport(db, user))?.version).toBe(2);
  expect((await readReport(db, user))?.profile.risk_tolerance).toBe('conservative');
});

test('a run of the week makes no second report', async () => {
  const user = newUser();
  await make(user, { reason: 'new_week' });
  const { output } = await make(user, { reason: 'new_week' });
  expect(output.rows).toEqual([]);
});

test('in static mode nothing is made', async () => {
  const user = newUser();
  const { output } = await make(user, { config: { ...MODEL, picks: { ...picks, generation: false } } });
  expect([output.rows, await spends(user)]).toEqual([[], []]);
});

test("a model's words stand around the same picks and numbers", async () => {
  const user = newUser();
  await make(user, { config: MODEL });
  const report = await readReport(db, user);
  const alone = newUser();
  await make(alone);
  const plain = await readReport(db, alone);
  expect([report?.source, report?.fallback_reason, report?.model, report?.cost_state]).toEqual(['llm', null, 'tester-2026', 'estimated']);
  // 1,000 tokens at $2 and 200 at $10 a million.
  expect(report?.cost_usd).toBeCloseTo(0.004, 9);
  expect(report?.stock_picks.map(({ rationale, ...pick }) => pick)).toEqual(plain?.stock_picks.map(({ rationale, ...pick }) => pick));
  expect(report?.stock_picks.every(({ rationale }) => rationale?.length === 3)).toBe(true);
  expect(report?.investment_themes.map(({ title }) => title)).toContain('Quiet strength');
});

test('an answer that was stored before a crash is not bought again, and belongs to the facts that it was bought for', async () => {
  const user = newUser();
  const before = server.requests.length;
  const { id } = await make(user, { config: MODEL, keep: false });
  // Other facts by now: the profile has changed.
  await storeProfile(db, user, ProfileSchema.parse({ risk_tolerance: 'aggressive' }), new Date());
  await make(user, { config: MODEL, job: id, attempt: 2 });
  const report = await readReport(db, user);
  expect(server.requests.length - before).toBe(1);
  expect([report?.source, report?.profile.risk_tolerance, report?.dropped]).toEqual(['llm', 'moderate', []]);
  expect((await spends(user)).map(({ state }) => state)).toEqual(['settled']);
});

test('a pick without good sentences is asked for once more, and no oftener', async () => {
  const user = newUser();
  const before = server.requests.length;
  server.behave((request) => ({
    kind: 'answer',
    text: wordsFor(request, { without: [JSON.parse(request.messages[1]?.content as string).picks[0].ticker] }),
  }));
  await make(user, { config: MODEL });
  const report = await readReport(db, user);
  expect(server.requests.length - before).toBe(2);
  expect((await spends(user)).map(({ intent_key }) => intent_key)).toEqual([
    `picks:${user}:${WEEK}:v1:word`,
    `picks:${user}:${WEEK}:v1:reword`,
  ]);
  expect([report?.source, report?.stock_picks[0]?.rationale, report?.spend_ids.length]).toEqual(['llm', null, 2]);
  expect(report?.cost_usd).toBeCloseTo(0.008, 9);
  expect(server.requests.at(-1)?.messages[1]?.content).toContain('broke_these_rules');
});

test.each([
  ['a refusal', { refusal: 'I will not write about shares.' }],
  ['an answer beyond model.max_tokens', { finishReason: 'length' }],
])('%s is paid for once: the same question would bring no other answer', async (_, more) => {
  const user = newUser();
  const before = server.requests.length;
  server.behave({ kind: 'answer', text: '{', ...more });
  await make(user, { config: MODEL });
  const report = await readReport(db, user);
  expect([server.requests.length - before, report?.source, report?.fallback_reason]).toEqual([1, 'quant', 'invalid_answer']);
  expect(report?.cost_usd).toBeCloseTo(0.004, 9);
});

test('a second call that was cut off may have been paid for: the report counts it at its reserve, and says that nobody knows', async () => {
  const user = newUser();
  const sent = server.requests.length;
  server.behave((request, index) =>
    index === sent
      ? { kind: 'answer', text: wordsFor(request, { without: [JSON.parse(request.messages[1]?.content as string).picks[0].ticker] }) }
      : { kind: 'cut', when: 'half' },
  );
  await make(user, { config: MODEL });
  const report = await readReport(db, user);
  const calls = await spends(user);
  expect(calls.map(({ state }) => state)).toEqual(['settled', 'unknown']);
  expect([report?.source, report?.cost_state, report?.spend_ids]).toEqual(['llm', 'unknown', calls.map(({ id }) => String(id))]);
  const [second] = await db.rows<{ micros: number }>('SELECT reserved_micros AS micros FROM spend WHERE id = ?', [calls[1]?.id]);
  expect(report?.cost_usd).toBeCloseTo(0.004 + (second?.micros as number) / 1e6, 9);
});

test('a report that goes on from a draft is measured against the universe of that draft', async () => {
  const user = newUser();
  await db.run('DELETE FROM pick_universes');
  const { id } = await make(user, { config: MODEL, keep: false });
  // By the next attempt the lists are shorter.
  const symbols = MEMBERS.slice(10).map(({ symbol }) => symbol);
  const config = { ...MODEL, picks: { ...picks, universe: { ...picks.universe, lists: [{ name: 'invented', symbols }] } } };
  await make(user, { config, job: id, attempt: 2 });
  const report = await readReport(db, user);
  const [stored] = await db.rows<{ eligible: unknown }>('SELECT eligible FROM pick_universes WHERE hash = UNHEX(?)', [
    report?.universe.hash,
  ]);
  const eligible = screened(MEMBERS).candidates.map(({ symbol }) => symbol);
  expect([report?.source, fromJson(stored?.eligible)]).toEqual(['llm', eligible]);
});

test('an answer that is no JSON leaves the report of the program, and what was paid stays on it', async () => {
  const user = newUser();
  server.behave({ kind: 'answer', text: 'I would rather not.' });
  await make(user, { config: MODEL });
  const report = await readReport(db, user);
  expect([report?.source, report?.fallback_reason, report?.cost_state]).toEqual(['quant', 'invalid_answer', 'estimated']);
  expect(report?.cost_usd).toBeCloseTo(0.008, 9);
});

test('a call that is cut off may have been paid for: the report goes out without it, and nothing is bought without leave', async () => {
  const user = newUser();
  server.behave({ kind: 'cut', when: 'half' });
  await make(user, { config: MODEL });
  const first = await readReport(db, user);
  expect([first?.source, first?.fallback_reason, first?.cost_state]).toEqual(['quant', 'payment_unknown', 'unknown']);
  expect(first?.spend_ids).toEqual((await spends(user)).map(({ id }) => String(id)));

  server.behave((request) => ({ kind: 'answer', text: wordsFor(request) }));
  const sent = server.requests.length;
  await make(user, { config: MODEL });
  expect([server.requests.length - sent, (await readReport(db, user))?.fallback_reason]).toEqual([0, 'payment_unknown']);
  await make(user, { config: MODEL, payAgain: true });
  expect([server.requests.length - sent, (await readReport(db, user))?.source]).toEqual([1, 'llm']);
});

test('an answer that came after its call was given up words the next version for nothing', async () => {
  const user = newUser();
  server.behave({ kind: 'cut', when: 'half' });
  await make(user, { config: MODEL });
  // The answer to the same request, as another process would have stored it.
  const raw = JSON.stringify({ text: wordsFor(server.requests.at(-1) as never), finish_reason: 'stop', refusal: null });
  await db.run("UPDATE spend SET state = 'answered', raw = ?, tokens_in = 10, tokens_out = 10 WHERE user_id = ?", [raw, user]);
  const sent = server.requests.length;
  await make(user, { config: MODEL, reason: 'error_recovery' });
  const report = await readReport(db, user);
  expect([server.requests.length - sent, report?.version, report?.source]).toEqual([0, 2, 'llm']);
});

test('with model.on_unknown pay_again a call that was cut off is paid for once more', async () => {
  const user = newUser();
  server.behave((request, index) => (index === sent ? { kind: 'cut', when: 'half' } : { kind: 'answer', text: wordsFor(request) }));
  const sent = server.requests.length;
  await make(user, { config: { ...MODEL, model: modelConfig(server.url, { on_unknown: 'pay_again' }) } });
  expect((await readReport(db, user))?.source).toBe('llm');
  expect((await spends(user)).map(({ intent_key, state }) => `${intent_key.split(':v1:')[1]} ${state}`)).toEqual([
    'word unknown',
    'word:again settled',
  ]);
  const [lost, again] = await spends(user);
  expect(await readReport(db, user)).toMatchObject({ cost_state: 'unknown', spend_ids: [String(lost?.id), String(again?.id)] });
});

test('after an operator has settled a lost call, words may be bought again', async () => {
  const user = newUser();
  server.behave({ kind: 'cut', when: 'half' });
  await make(user, { config: MODEL });
  const [lost] = await spends(user);
  await settleByHand(db, clock, lost?.id as number, 0);
  server.behave((request) => ({ kind: 'answer', text: wordsFor(request) }));
  await make(user, { config: MODEL });
  expect((await readReport(db, user))?.source).toBe('llm');
});

test('over the cap there is a report without the model', async () => {
  const user = newUser();
  const caps = { day: 0, week: 0 };
  const sent = server.requests.length;
  await make(user, { config: { ...MODEL, model: modelConfig(server.url, { caps: { picks: caps, llm_analysis: caps } }) } });
  expect([server.requests.length - sent, (await readReport(db, user))?.fallback_reason]).toEqual([0, 'cap_reached']);
});

test("a model's server that is away is asked again by the next attempts, and the last one makes the report without it", async () => {
  const user = newUser();
  server.behave({ kind: 'status', status: 429, headers: { 'retry-after': '7' } });
  await expect(make(user, { config: MODEL })).rejects.toMatchObject({ code: 'model.unavailable' });
  expect(await readReport(db, user)).toBeUndefined();
  await make(user, { config: MODEL, attempt: 3 });
  expect((await readReport(db, user))?.fallback_reason).toBe('model_failed');
});

test('users with the same picks and profile share one wording where that is allowed', async () => {
  const [one, other] = [newUser(), newUser()];
  const config = { ...MODEL, picks: { ...picks, share_reports: true } };
  const sent = server.requests.length;
  await make(one, { config });
  await make(other, { config });
  expect([server.requests.length - sent, (await readReport(db, other))?.source]).toEqual([1, 'llm']);
});

test('what is held too much of is not picked', async () => {
  const user = newUser();
  const first = (await readReport(db, 'reader-1'))?.stock_picks[0]?.ticker as string;
  await db.run('INSERT INTO holdings (user_id, symbol, quantity, imported_at) VALUES (?)', [[user, first, 10, new Date()]]);
  await make(user);
  const report = await readReport(db, user);
  expect(report?.stock_picks.map(({ ticker }) => ticker)).not.toContain(first);
  expect(report?.universe.excluded.overweight).toBe(1);
});

test('a user without a profile has the defaults', async () => {
  expect(await readProfile(db, 'nobody')).toEqual({ profile: ProfileSchema.parse({}), changedAt: null });
});
