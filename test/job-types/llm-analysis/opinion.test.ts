/** Opinions of a model, by a real worker over a real ledger and a server that speaks the real protocol. */
import { expect, test } from 'vitest';
import { answer, calls, known, modelAt, opinionOf, says, server, shop, stored } from './opinions.ts';

test('an answer is checked, filled with the stored figures and stored with its facts, once, and what it cost', async () => {
  const symbol = await known();
  const model = await server(says());
  const job = await opinionOf(symbol, modelAt(model));
  expect(job).toMatchObject({ state: 'completed', result: { recommendation: 'buy', repaired: false, simulated: true } });
  const analysis = await stored(symbol);
  const { opinion, facts } = analysis!.document;
  const shown = (id: string) => facts.find((fact) => fact.id === id)!.shown;
  expect(opinion.drivers[0]).toEqual({ direction: 'up', text: `The close stands at ${shown('f1')}.`, facts: ['f1'] });
  expect(opinion.summary!.text).toBe(`The price moved ${shown('f2')} in a day. The company is described by its figures.`);
  // 1,000 tokens at $2 a million and 200 at $10 a million.
  expect(analysis).toMatchObject({ model: 'tester-2026', document: { cost_usd: 0.004, simulated: true } });
  expect(model.requests.length).toBe(1);
});

test('the same facts are bought once, whoever asks again', async () => {
  const symbol = await known();
  const model = await server(says());
  await opinionOf(symbol, modelAt(model));
  expect(await opinionOf(symbol, modelAt(model))).toMatchObject({ state: 'completed' });
  expect([model.requests.length, await calls(symbol)]).toEqual([1, [{ intent: `llm:${symbol}:HASH`, state: 'settled', payment: 1 }]]);
});

test('facts of every kind are sent, each with id, source and day, at most 120, and the schema allows their ids only', async () => {
  const symbol = await known();
  const model = await server(says());
  await opinionOf(symbol, modelAt(model));
  const [request] = model.requests;
  const { facts } = JSON.parse(request!.messages[1]!.content) as { facts: Record<string, string>[] };
  expect([...new Set(facts.map(({ kind }) => kind))]).toEqual(['price', 'indicator', 'fundamental', 'event', 'headline']);
  expect(facts.every(({ id, source, as_of }) => /^f\d+$/.test(id!) && source !== '' && /^\d{4}-\d\d-\d\d$/.test(as_of!))).toBe(true);
  expect(facts.length).toBeLessThanOrEqual(120);
  const { properties } = request!.response_format!.json_schema.schema as {
    properties: { drivers: { items: { properties: { facts: object } } } };
  };
  expect(properties.drivers.items.properties.facts).toEqual({ type: 'array', items: { type: 'string', enum: facts.map(({ id }) => id) } });
});

test('the facts stand in the order of analysis_priority', async () => {
  const symbol = await known();
  const model = await server(says());
  await opinionOf(symbol, modelAt(model, { 'stock_jobs.analysis.analysis_priority': 'news,fundamental' }));
  const { facts } = JSON.parse(model.requests[0]!.messages[1]!.content) as { facts: { kind: string }[] };
  expect([...new Set(facts.map(({ kind }) => kind))]).toEqual(['headline', 'fundamental', 'event', 'price', 'indicator']);
});

const GOOD = { direction: 'up', text: 'The margins of the company speak for it.', facts: ['f1'] };
const BAD: [violation: string, text: string, facts?: string[]][] = [
  ['digit', 'The close rose by 12 in a month.'],
  ['digit', 'The margin is １２ of sales.'],
  ['number_word', 'The price doubled in a year.'],
  ['unknown_fact', 'The close stands at {f99}.'],
  ['unknown_fact', 'The margins speak for it.', ['f98']],
  ['foreign_name', 'It gains from the weakness of MSFT.'],
  ['promise', 'The price will rise soon.'],
  ['link', 'See evil.example for more.'],
  ['sign', 'The margin grew by many %.'],
  ['no_fact', 'The company is well led.', []],
];
test.each(BAD)(
  'a driver with a violation (%s) is dropped with the reason and the rest is kept: %s',
  async (violation, text, facts = ['f1']) => {
    const symbol = await known();
    const model = await server(says({ drivers: [GOOD, { direction: 'up', text, facts }, { ...GOOD, direction: 'down' }] }));
    expect(await opinionOf(symbol, modelAt(model))).toMatchObject({ state: 'completed', result: { dropped: 1 } });
    const { opinion } = (await stored(symbol))!.document;
    expect([opinion.drivers.length, opinion.dropped[0]?.violation]).toEqual([2, expect.stringContaining(violation)]);
    expect(model.requests.length).toBe(1);
  },
);

const POOR = answer({ drivers: [GOOD, { ...GOOD, text: 'It rose by 5.' }, { ...GOOD, text: 'It will rise.' }] });

test('under two good drivers the answer is asked for once more, as a purchase of its own, with what was wrong', async () => {
  const symbol = await known();
  const model = await server((_, index) => (index === 0 ? { kind: 'answer', text: POOR } : says()));
  expect(await opinionOf(symbol, modelAt(model))).toMatchObject({ state: 'completed', result: { repaired: true } });
  expect(model.requests[1]!.messages[0]!.content).toContain('digit: a digit: \\"5\\"');
  expect(await calls(symbol)).toEqual([
    { intent: `llm:${symbol}:HASH`, state: 'settled', payment: 1 },
    { intent: `llm:${symbol}:HASH:reword`, state: 'settled', payment: 1 },
  ]);
  expect((await stored(symbol))!.document).toMatchObject({ repaired: true, cost_usd: 0.008 });
});

test('a second answer that is no better fails the job with the list of violations, nothing is stored, and another try pays nothing', async () => {
  const symbol = await known();
  const model = await server({ kind: 'answer', text: POOR });
  const job = await opinionOf(symbol, modelAt(model));
  expect([job.state, job.code]).toEqual(['failed', 'llm_analysis.invalid_answer']);
  expect(job.reason).toMatch(
    /1 good drivers, at least 2 are needed; driver "It rose by 5\.": digit: .*; driver "It will rise\.": promise: /,
  );
  expect(await stored(symbol)).toBeUndefined();
  await opinionOf(symbol, modelAt(model));
  expect(model.requests.length).toBe(2);
});

test('a re-word beyond the cap is not made, and the job says both why it was wanted and why not', async () => {
  const symbol = await known();
  const model = await server({
    kind: 'answer',
    text: POOR,
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2, cost: 0.01 },
  });
  const name = `capped-${symbol}`;
  await shop.db.run('DELETE FROM spend');
  const job = await opinionOf(
    symbol,
    modelAt(model, {
      'model.name': name,
      'model.reserve_usd': 0.01,
      'model.caps.llm_analysis.day': 0.015,
      'model.caps.llm_analysis.week': 0.015,
    }),
  );
  expect(job.reason).toMatch(/1 good drivers.*it was not asked again: this call may cost \$0\.01 .* a day for llm_analysis is left/);
  expect(model.requests.length).toBe(1);
});

test('a refusal and an answer that was too long are failures of their own: no second call would change them', async () => {
  for (const [behaviour, reason] of [
    [{ kind: 'answer', text: '', refusal: 'I cannot do that.' }, 'the model refused: I cannot do that.'],
    [{ kind: 'answer', text: answer().slice(0, 50), finishReason: 'length' }, 'longer than model.max_tokens'],
  ] as const) {
    const symbol = await known();
    const model = await server(behaviour);
    expect(await opinionOf(symbol, modelAt(model))).toMatchObject({ state: 'failed', reason: expect.stringContaining(reason) });
    expect(model.requests.length).toBe(1);
  }
});

test('with too few facts the recommendation is hold, and the analysis says what is missing', async () => {
  const symbol = await known([]);
  await shop.db.run('DELETE FROM fundamentals WHERE symbol = ?', [symbol]);
  await shop.db.run('DELETE FROM analyses WHERE symbol = ?', [symbol]);
  const model = await server(says({ recommendation: 'strong_buy', drivers: [GOOD, GOOD] }));
  const job = await opinionOf(symbol, modelAt(model));
  expect(job).toMatchObject({ state: 'completed', result: { recommendation: 'hold' } });
  expect((await stored(symbol))!.document).toMatchObject({
    opinion: { recommendation: 'hold', hold_forced: true },
    missing: ['no indicators are stored', 'no figures of the company are stored', 'no headlines of the last 30 days are stored'],
  });
});

test('a symbol of which nothing is known is not asked about, and the reason names the way out', async () => {
  const model = await server(says());
  const job = await opinionOf('NOTHING', modelAt(model));
  expect(job).toMatchObject({ state: 'failed', code: 'llm_analysis.no_facts', reason: expect.stringContaining('research NOTHING --wait') });
  expect(model.requests.length).toBe(0);
});
