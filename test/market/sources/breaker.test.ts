/** What opens the circuit breaker of a source: faults of the source, and not the bad answers of single symbols. */
import { describe, expect, test } from 'vitest';
import type { BarsAnswer } from '../../../services/market/bars/bars.ts';
import { failoverSource } from '../../../services/market/sources/failover-source.ts';
import { yahooSource } from '../../../services/market/sources/yahoo.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { InputError, PermanentError, TransientError } from '../../../services/platform/errors.ts';

const NOW = '2024-05-10T12:00:00Z';
const range = { from: '2024-05-01' };
const signal = new AbortController().signal;
const clock = new ManualClock(NOW);
const FAILURES = 5;

const malformed = () => new TransientError('source.malformed', 'yahoo_finance: the answer is not a chart');
const refused = () => new TransientError('source.refused', 'yahoo_finance: refused with HTTP 400: Bad Request');

/** A source with the errors of some symbols; it answers for all others. `asked`: the symbols in order. */
function source(errors: (symbol: string) => unknown) {
  const asked: string[] = [];
  const guarded = failoverSource({
    clock,
    timeoutMs: 5_000,
    breaker: { failures: FAILURES, openMs: 60_000 },
    sources: [
      {
        name: 'yahoo_finance',
        async bars(symbol): Promise<BarsAnswer> {
          asked.push(symbol);
          const error = errors(symbol);
          if (error !== undefined) throw error;
          return { symbol, source: 'yahoo_finance', asOf: Temporal.Instant.from(NOW), bars: [], actions: [] };
        },
      },
    ],
  });
  const ask = (symbol: string) =>
    guarded.bars(symbol, range, signal).then(
      () => 'answered',
      (error: Error) => (/not asked after repeated failures/.test(error.message) ? 'skipped' : 'failed'),
    );
  return { ask, asked };
}

const BAD = Array.from({ length: 5 }, (_, i) => `BAD${i}`);
const HEALTHY = Array.from({ length: 24 }, (_, i) => `GOOD${i}`);

describe("a symbol's own bad answer", () => {
  test.each([
    ['malformed', malformed],
    ['refused', refused],
    ['unknown', () => new PermanentError('source.unknown_symbol', 'yahoo_finance: unknown symbol')],
    ['a defect that only this symbol meets', () => new TypeError('x is not a function')],
  ])('%s: five such symbols, each asked four times, cost 24 healthy ones no attempt', async (_, error) => {
    const { ask } = source((symbol) => (symbol.startsWith('BAD') ? error() : undefined));
    for (let attempt = 0; attempt < 4; attempt++) for (const symbol of BAD) expect(await ask(symbol)).toBe('failed');
    expect(await Promise.all(HEALTHY.map(ask))).toEqual(HEALTHY.map(() => 'answered'));
  });

  test('of one symbol that was good before, again and again, does not open it', async () => {
    let broken = false;
    const { ask } = source((symbol) => (broken && symbol === 'AAPL' ? malformed() : undefined));
    await ask('AAPL');
    broken = true;
    for (let attempt = 0; attempt < 4 * FAILURES; attempt++) await ask('AAPL');
    expect(await ask('MSFT')).toBe('answered');
  });

  test("Yahoo's own refusals of five symbols cost the healthy ones nothing", async () => {
    const chart = {
      meta: { exchangeTimezoneName: 'America/New_York' },
      timestamp: [],
      indicators: { quote: [{ open: [], high: [], low: [], close: [], volume: [] }] },
    };
    const guarded = failoverSource({
      clock,
      timeoutMs: 5_000,
      breaker: { failures: FAILURES, openMs: 60_000 },
      sources: [
        yahooSource({
          clock,
          fetch: async (url) =>
            String(url).includes('BAD')
              ? Response.json({ chart: { result: null, error: { code: 'Bad Request', description: 'Invalid input' } } }, { status: 400 })
              : Response.json({ chart: { result: [chart], error: null } }),
        }),
      ],
    });
    const outcomes = await Promise.allSettled([...BAD, ...BAD, ...HEALTHY].map((symbol) => guarded.bars(symbol, range, signal)));
    expect(outcomes.slice(2 * BAD.length).filter(({ status }) => status === 'rejected')).toEqual([]);
  });
});

describe('what says something about the source opens it', () => {
  test.each(['source.timeout', 'source.network', 'source.unavailable', 'source.rate_limited', 'source.blocked'])('%s', async (code) => {
    const { ask, asked } = source(() => new TransientError(code, 'yahoo_finance: down'));
    for (let call = 0; call < FAILURES; call++) await ask('AAPL');
    expect(await ask('MSFT')).toBe('skipped');
    expect(asked).toHaveLength(FAILURES);
  });

  test('a key that the source does not take', async () => {
    const { ask } = source(() => new PermanentError('source.denied', 'alpha_vantage: the key is invalid'));
    for (let call = 0; call < FAILURES; call++) await ask('AAPL');
    expect(await ask('MSFT')).toBe('skipped');
  });

  test('answers that cannot be read for as many different symbols as were read before: the source has changed', async () => {
    let changed = false;
    const { ask } = source(() => (changed ? malformed() : undefined));
    for (const symbol of HEALTHY) await ask(symbol);
    changed = true;
    for (const symbol of HEALTHY.slice(0, FAILURES)) expect(await ask(symbol)).toBe('failed');
    expect(await ask('AAPL')).toBe('skipped');
  });

  test('a good answer between them shows that it has not', async () => {
    let changed = false;
    const { ask } = source((symbol) => (changed && symbol.startsWith('BAD') ? malformed() : undefined));
    for (const symbol of BAD) await ask(symbol);
    changed = true;
    for (const symbol of [...BAD.slice(1), 'AAPL', ...BAD.slice(0, -1)]) await ask(symbol);
    expect(await ask('MSFT')).toBe('answered');
  });

  test('while it is open, the error names the wait until the next try', async () => {
    const guarded = failoverSource({
      clock,
      timeoutMs: 5_000,
      breaker: { failures: 1, openMs: 60_000 },
      sources: [
        {
          name: 'yahoo_finance',
          bars: async () => {
            throw new TransientError('source.unavailable', 'yahoo_finance: HTTP 503');
          },
        },
      ],
    });
    await guarded.bars('AAPL', range, signal).catch(() => undefined);
    const error = await guarded.bars('MSFT', range, signal).catch((thrown: TransientError) => thrown);
    expect((error as TransientError).retryAfterMs).toBeGreaterThan(0);
    expect((error as TransientError).retryAfterMs).toBeLessThanOrEqual(60_000);
  });
});

test("a budget that is used up inside a source's own requests is not the source's fault", async () => {
  let empty = true;
  const { ask } = source(() => (empty ? new TransientError('source.budget_used_up', 'yahoo_finance: the budget is used up') : undefined));
  for (let call = 0; call < 2 * FAILURES; call++) await ask('AAPL');
  empty = false;
  expect(await ask('AAPL')).toBe('answered');
});

describe('of symbols that were answered before, no answer is the fault of the source where it was not asked, or has no such data', () => {
  test.each<[string, (name: string) => unknown]>([
    ['the budget is used up', () => new TransientError('source.budget_used_up', 'used up')],
    ['the budget cannot be read', () => new TransientError('source.budget_unavailable', 'not readable')],
    ['the symbol has become unknown', () => new PermanentError('source.unknown_symbol', 'unknown')],
    ['nothing is stored any more', () => new TransientError('source.cache_empty', 'empty')],
    ['the request was wrong', () => new InputError('symbol.invalid', 'wrong')],
    ['the database is away', () => new TransientError('database.unavailable', 'away')],
  ])('%s', async (_, error) => {
    let failing = false;
    const { ask } = source((symbol) => (failing ? error(symbol) : undefined));
    for (const symbol of HEALTHY) await ask(symbol);
    failing = true;
    for (const symbol of HEALTHY) expect(await ask(symbol)).toBe('failed');
    failing = false;
    expect(await ask('AAPL')).toBe('answered');
  });
});

test('one failure less than the breaker takes leaves the source open, and a good answer begins the count anew', async () => {
  let down = true;
  const { ask } = source(() => (down ? new TransientError('source.network', 'yahoo_finance: down') : undefined));
  for (let round = 0; round < 3; round++) {
    down = true;
    for (let call = 0; call < FAILURES - 1; call++) expect(await ask('AAPL')).toBe('failed');
    down = false;
    expect(await ask('AAPL')).toBe('answered');
  }
});

test('a bad answer for the same symbol again and again counts once', async () => {
  let bad = '';
  const { ask } = source((symbol) => (bad.split(' ').includes(symbol) ? malformed() : undefined));
  for (const symbol of HEALTHY) await ask(symbol);
  bad = HEALTHY.slice(0, FAILURES - 1).join(' ');
  for (let round = 0; round < 3; round++) for (const symbol of HEALTHY.slice(0, FAILURES - 1)) expect(await ask(symbol)).toBe('failed');
  expect(await ask('AAPL')).toBe('answered');
});

describe("Yahoo's refusals", () => {
  const refusal = (status: number, code: string) =>
    yahooSource({
      clock,
      fetch: async () => Response.json({ finance: { result: null, error: { code, description: 'said Yahoo' } } }, { status }),
    });

  test.each([
    [401, 'Unauthorized', 'source.blocked'],
    [403, 'Forbidden', 'source.blocked'],
    [200, 'Too Many Requests', 'source.rate_limited'],
    [200, 'Internal Server Error', 'source.unavailable'],
    [400, 'Bad Request', 'source.refused'],
  ])('HTTP %i %s is %s', async (status, said, code) => {
    await expect(refusal(status, said).bars('AAPL', range, signal)).rejects.toMatchObject({ name: 'TransientError', code });
  });

  test('a page of a proxy with HTTP 403 is about the caller too', async () => {
    const blocked = yahooSource({ clock, fetch: async () => new Response('<html>Forbidden</html>', { status: 403 }) });
    await expect(blocked.bars('AAPL', range, signal)).rejects.toMatchObject({ code: 'source.blocked' });
  });
});
