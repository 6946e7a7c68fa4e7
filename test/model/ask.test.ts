import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ask } from '../../services/model/ask.ts';
import { readIntent, type Spend, settleByHand } from '../../services/model/spend.ts';
import { ManualClock } from '../../services/platform/clock.ts';
import { createAuthority } from '../support/certificates.ts';
import { databaseOfFile } from '../support/database.ts';
import { type Behaviour, type ModelServer, modelServer } from '../support/model-server.ts';
import { asking, intent, prompt } from './parts.ts';

const { db } = await databaseOfFile();
const never = new AbortController().signal;
const GOOD = '{"word": "up", "share": 0.5}';

async function server(behaviour: Behaviour): Promise<ModelServer> {
  const started = await modelServer(behaviour);
  onTestFinished(() => started.close());
  return started;
}

const stateOf = async (key: string): Promise<Spend['state'] | undefined> => (await readIntent(db, key))?.state;

test('an answer is stored as it came, and booked by its tokens', async () => {
  const { url } = await server({ kind: 'answer', text: GOOD });
  const spend = await ask(asking(db, url), intent(), prompt, never);
  expect(JSON.parse(spend.raw as string)).toEqual({ text: GOOD, finish_reason: 'stop', refusal: null });
  // 1,000 tokens at $2 a million and 200 at $10 a million.
  expect([spend.state, spend.settledMicros, spend.costSource, spend.modelAnswered]).toEqual(['settled', 4_000, 'tokens', 'tester-2026']);
});

test.each([
  ['a number', { cost: 0.0123 }],
  ['an object', { cost: { total_cost: 0.0123 } }],
])('the cost that the provider names, as %s, is booked', async (_, cost) => {
  const { url } = await server({ kind: 'answer', text: GOOD, usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2, ...cost } });
  const spend = await ask(asking(db, url), intent(), prompt, never);
  expect([spend.settledMicros, spend.costSource]).toEqual([12_300, 'provider']);
});

test('a server that does not stream is understood as well: its answer is paid for', async () => {
  const running = await server({ kind: 'answer', text: GOOD, whole: true });
  const spend = await ask(asking(db, running.url), intent(), prompt, never);
  expect(JSON.parse(spend.raw as string)).toEqual({ text: GOOD, finish_reason: 'stop', refusal: null });
  expect([spend.settledMicros, spend.costSource, spend.modelAnswered]).toEqual([4_000, 'tokens', 'tester-2026']);
  running.behave({ kind: 'answer', text: '', refusal: 'no', whole: true });
  const refused = await ask(asking(db, running.url), intent(), prompt, never);
  expect(JSON.parse(refused.raw as string)).toMatchObject({ text: '', refusal: 'no' });
});

test('an error within an answer of status 200 is no answer', async () => {
  const { url } = await server({ kind: 'status', status: 200, body: '{"error": {"message": "overloaded"}}' });
  await expect(ask(asking(db, url), intent(), prompt, never)).rejects.toThrow(/broke off: .*overloaded/);
});

test('an answer without usage is booked at its reserve', async () => {
  const { url } = await server({ kind: 'answer', text: GOOD, usage: null });
  const spend = await ask(asking(db, url), intent(), prompt, never);
  expect([spend.settledMicros, spend.costSource]).toEqual([spend.reservedMicros, 'reserved']);
});

test('what was bought is given again without a request', async () => {
  const { url, requests } = await server({ kind: 'answer', text: GOOD });
  const one = intent();
  const first = await ask(asking(db, url), one, prompt, never);
  expect(await ask(asking(db, url), one, prompt, never)).toEqual(first);
  expect(requests.length).toBe(1);
});

test('two that ask for the same at once pay once, and both have the answer', async () => {
  const { url, requests } = await server({ kind: 'answer', text: GOOD, delayMs: 300 });
  const one = intent();
  const [first, second] = await Promise.all([ask(asking(db, url), one, prompt, never), ask(asking(db, url), one, prompt, never)]);
  expect(second.raw).toBe(first.raw);
  expect(requests.length).toBe(1);
});

test.each([400, 401, 402, 403, 404, 405, 413, 415, 422])(
  'a request refused with %d costs nothing and is not tried again',
  async (status) => {
    const { url, requests } = await server({ kind: 'status', status, headers: { 'x-should-retry': 'true' } });
    const one = intent();
    await expect(ask(asking(db, url), one, prompt, never)).rejects.toMatchObject({ code: 'model.refused' });
    expect([await stateOf(one.key), requests.length]).toEqual(['released', 1]);
  },
);

test('after 429 the wait that the server names is told, and the next try is a payment of its own', async () => {
  const running = await server({ kind: 'status', status: 429, headers: { 'retry-after': '7' } });
  const one = intent();
  await expect(ask(asking(db, running.url), one, prompt, never)).rejects.toMatchObject({ code: 'model.unavailable', retryAfterMs: 7_000 });
  running.behave({ kind: 'answer', text: GOOD });
  expect((await ask(asking(db, running.url), one, prompt, never)).payment).toBe(2);
});

test('a server that is not there costs nothing', async () => {
  const gone = await modelServer();
  await gone.close();
  const one = intent();
  await expect(ask(asking(db, gone.url), one, prompt, never)).rejects.toMatchObject({ code: 'model.unavailable' });
  expect(await stateOf(one.key)).toBe('released');
});

test('a connection whose encryption cannot be agreed on has carried no request: it costs nothing', async () => {
  // The server speaks no TLS.
  const { url, requests } = await server({ kind: 'answer', text: GOOD });
  const one = intent();
  await expect(ask(asking(db, url.replace('http:', 'https:')), one, prompt, never)).rejects.toMatchObject({ code: 'model.unavailable' });
  expect([await stateOf(one.key), requests.length]).toEqual(['released', 0]);
});

test('a server with a certificate that nobody trusts has seen no request: it costs nothing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'model-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const { cert, key } = createAuthority(folder, 'unknown').issue('model', 'IP:127.0.0.1');
  let seen = 0;
  const tls = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, () => seen++);
  await new Promise<void>((resolve) => tls.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void tls.close());
  const one = intent();
  const url = `https://127.0.0.1:${(tls.address() as AddressInfo).port}/v1`;
  await expect(ask(asking(db, url), one, prompt, never)).rejects.toMatchObject({ code: 'model.unavailable' });
  expect([await stateOf(one.key), seen]).toEqual(['released', 0]);
});

const ODD: [string, Partial<Extract<Behaviour, { kind: 'answer' }>>, Spend['costSource']][] = [
  ['counts below zero', { usage: { prompt_tokens: -1, completion_tokens: 200 } }, 'reserved'],
  ['counts that are text', { usage: { prompt_tokens: 'many', completion_tokens: '2e9' } }, 'reserved'],
  ['counts beyond all tables', { usage: { prompt_tokens: 5e12, completion_tokens: 1, num_search_queries: 1e12 } }, 'reserved'],
  ['halves of counts', { usage: { prompt_tokens: 1.5, completion_tokens: 2 } }, 'reserved'],
  ['a cost beyond all tables', { usage: { prompt_tokens: 1_000, completion_tokens: 200, cost: 1e15 } }, 'tokens'],
  ['details that are text', { usage: { prompt_tokens: 1_000, completion_tokens: 200, prompt_tokens_details: 'none' } }, 'tokens'],
  ['a name and an id that are numbers', { head: { model: 7, id: 8 } }, 'tokens'],
  [
    'a title of a source that is cut within a character',
    { searchResults: [{ title: `${'a'.repeat(299)}😀`, url: 'https://news.example' }] },
    'tokens',
  ],
];

test.each(ODD)('an answer with %s is stored: it was paid for', async (_, more, costSource) => {
  const { url } = await server({ kind: 'answer', text: GOOD, ...more });
  const spend = await ask(asking(db, url), intent(), prompt, never);
  expect([spend.state, spend.costSource, JSON.parse(spend.raw as string).text]).toEqual(['settled', costSource, GOOD]);
  expect(JSON.stringify(spend.citations)).not.toMatch(/\\ud[89a-f]/);
});

const UNKNOWN: [string, Behaviour][] = [
  ['500', { kind: 'status', status: 500 }],
  ['503 that asks to be tried again', { kind: 'status', status: 503, headers: { 'retry-after': '1', 'x-should-retry': 'true' } }],
  ['a connection cut before the headers', { kind: 'cut', when: 'before' }],
  ['a connection cut after the headers', { kind: 'cut', when: 'headers' }],
  ['a connection cut in the middle of the answer', { kind: 'cut', when: 'half' }],
  ['silence', { kind: 'silent' }],
];

test.each(UNKNOWN)('after %s nobody knows whether it was paid for, and it is not sent again', async (_, behaviour) => {
  const { url, requests } = await server(behaviour);
  const one = intent();
  const parts = asking(db, url, { timeout: 0.4 });
  await expect(ask(parts, one, prompt, never)).rejects.toMatchObject({ code: 'model.payment_unknown' });
  await expect(ask(parts, one, prompt, never)).rejects.toMatchObject({ code: 'model.payment_unknown' });
  expect([await stateOf(one.key), requests.length]).toEqual(['unknown', 1]);
});

test('who gives up the wait loses no answer: the next one finds it', async () => {
  const { promise: waiting, resolve: isHere } = Promise.withResolvers<void>();
  const { promise: go, resolve: release } = Promise.withResolvers<void>();
  const { url, requests } = await server({ kind: 'hold', text: GOOD, waiting: isHere, go });
  const one = intent();
  const lease = new AbortController();
  const lost = ask(asking(db, url), one, prompt, lease.signal);
  await waiting;
  lease.abort(new Error('the lease was lost'));
  await expect(lost).rejects.toThrow('the lease was lost');
  release();
  expect((await ask(asking(db, url), one, prompt, never)).state).toBe('settled');
  expect(requests.length).toBe(1);
});

test.each(['reserved', 'sent'])('a process that is killed when its call is %s: nothing is sent twice', async (when) => {
  const { promise: waiting, resolve: isHere } = Promise.withResolvers<void>();
  const running = await server({ kind: 'hold', text: GOOD, waiting: isHere, go: new Promise(() => {}) });
  const one = intent();
  const child = fork(new URL('asker.ts', import.meta.url), [JSON.stringify(db.options), running.url, one.key, when], {
    execPath: process.execPath,
  });
  const ended = once(child, 'exit');
  if (when === 'sent') await waiting;
  else await once(child, 'message');
  child.kill('SIGKILL');
  await ended;
  running.behave({ kind: 'answer', text: GOOD });
  const later = new ManualClock(Temporal.Now.instant().add({ minutes: 1 }));
  const next = ask(asking(db, running.url, { timeout: 1 }, later), one, prompt, never);
  if (when === 'sent') await expect(next).rejects.toMatchObject({ code: 'model.payment_unknown' });
  else expect((await next).state).toBe('settled');
  expect(running.requests.length).toBe(1);
});

test('a call that could exceed the cap of the day is not made, and the text says what is left and until when', async () => {
  const { url, requests } = await server({ kind: 'answer', text: GOOD });
  const clock = new ManualClock('2031-05-07T12:00:00Z');
  // A call is reserved at one cent and costs 0.4: three are 1.2 cents, and another one could be 2.2.
  const parts = asking(
    db,
    url,
    { name: 'cheap', caps: { picks: { day: 0.0205, week: 1 }, llm_analysis: { day: 0, week: 0 } }, reserve_usd: 0.01 },
    clock,
  );
  for (let call = 0; call < 3; call++) await ask(parts, intent(), prompt, never);
  await expect(ask(parts, intent(), prompt, never)).rejects.toThrow(
    /may cost \$0\.01 .* a day for picks is left \(model\.caps\.picks\.day\); the next day begins 2031-05-08T00:00Z/,
  );
  expect(requests.length).toBe(3);
});

test('twenty that ask at once keep the cap', async () => {
  const { url, requests } = await server({ kind: 'answer', text: GOOD });
  const clock = new ManualClock('2031-06-02T12:00:00Z');
  const parts = asking(
    db,
    url,
    { caps: { picks: { day: 0.05, week: 1 }, llm_analysis: { day: 0, week: 0 } }, reserve_usd: 0.01, timeout: 20 },
    clock,
  );
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => ask(parts, intent(), prompt, never)));
  const kept = outcomes.filter(({ status }) => status === 'fulfilled').length;
  expect([kept, requests.length]).toEqual([kept, kept]);
  // A settled call frees what it did not need, so more than five may go through; never more than their sum allows.
  const [sum] = await db.rows<{ micros: string }>(
    "SELECT SUM(IF(state = 'released', 0, COALESCE(settled_micros, reserved_micros))) AS micros FROM spend WHERE reserved_at >= '2031-06-02' AND reserved_at < '2031-06-03'",
  );
  expect(Number(sum?.micros)).toBeLessThanOrEqual(50_000);
});

test('a call whose payment is unknown counts at its reserve until it is settled by hand', async () => {
  const running = await server({ kind: 'cut', when: 'half' });
  const clock = new ManualClock('2031-07-02T12:00:00Z');
  const parts = asking(
    db,
    running.url,
    { caps: { picks: { day: 0.015, week: 1 }, llm_analysis: { day: 0, week: 0 } }, reserve_usd: 0.01 },
    clock,
  );
  const one = intent();
  await expect(ask(parts, one, prompt, never)).rejects.toMatchObject({ code: 'model.payment_unknown' });
  running.behave({ kind: 'answer', text: GOOD });
  await expect(ask(parts, intent(), prompt, never)).rejects.toMatchObject({ code: 'model.cap_reached' });
  const { id } = (await readIntent(db, one.key)) as Spend;
  expect((await settleByHand(db, clock, id, 0)).state).toBe('settled');
  expect((await ask(parts, intent(), prompt, never)).state).toBe('settled');
});

test('a call that cost more than its reserve raises the reserve of the next one', async () => {
  const { url } = await server({
    kind: 'answer',
    text: GOOD,
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2, cost: 0.5 },
  });
  const clock = new ManualClock('2031-08-05T12:00:00Z');
  const parts = asking(db, url, { name: 'dear', reserve_usd: 0.01 }, clock);
  const first = await ask(parts, intent(), prompt, never);
  const second = await ask(parts, intent(), prompt, never);
  expect([first.reservedMicros, second.reservedMicros]).toEqual([10_000, 500_000]);
});

test('the schema that is sent has types and enums and no limits', async () => {
  const { url, requests } = await server({ kind: 'answer', text: GOOD });
  await ask(asking(db, url), intent(), prompt, never);
  expect(requests[0]?.response_format?.json_schema.schema).toEqual({
    type: 'object',
    properties: { word: { type: 'string', enum: ['up', 'down'] }, share: { type: 'number' } },
    required: ['word', 'share'],
    additionalProperties: false,
  });
});

test('without a model nothing is asked', async () => {
  await expect(ask(asking(db, 'http://127.0.0.1:9/v1', { base_url: null }), intent(), prompt, never)).rejects.toMatchObject({
    code: 'model.off',
  });
});

test('a server elsewhere whose price is not known is not asked', async () => {
  await expect(
    ask(asking(db, 'http://127.0.0.1:9/v1', { base_url: 'https://models.example/v1', price_in: null }), intent(), prompt, never),
  ).rejects.toMatchObject({
    code: 'model.no_price',
  });
});
