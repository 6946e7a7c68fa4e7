import { describe, expect, test, vi } from 'vitest';
import type { BarsAnswer, SourceName } from '../../../services/market/bars/bars.ts';
import { failoverSource, type SourceAttempt } from '../../../services/market/sources/failover-source.ts';
import type { MarketSource } from '../../../services/market/sources/source.ts';
import { ManualClock } from '../../../services/platform/clock.ts';
import { InputError, PermanentError, TransientError } from '../../../services/platform/errors.ts';

const NOW = '2024-05-10T12:00:00Z';
const range = { from: '2024-05-01' };
const signal = new AbortController().signal;

type Ask = (symbol: string, signal: AbortSignal) => Promise<BarsAnswer> | BarsAnswer;

/** A source that does what `ask` does, and counts how often. */
function fake(name: SourceName, ask: Ask): MarketSource & { asked: number } {
  const source = {
    name,
    asked: 0,
    async bars(symbol: string, _: unknown, inner: AbortSignal) {
      source.asked++;
      return ask(symbol, inner);
    },
  };
  return source;
}

const answers = (name: SourceName, bars: BarsAnswer['bars'] = []) =>
  fake(name, (symbol) => ({ symbol, source: name, asOf: Temporal.Instant.from(NOW), bars, actions: [] }));
const throws = (name: SourceName, error: () => unknown) =>
  fake(name, () => {
    throw error();
  });
const unknown = (name: SourceName) => throws(name, () => new PermanentError('source.unknown_symbol', `${name}: unknown symbol X`));
const broken = (name: SourceName) => throws(name, () => new TransientError('source.unavailable', `${name}: HTTP 503`));
const hangs = (name: SourceName) =>
  fake(name, (_, inner) => new Promise((_resolve, reject) => inner.addEventListener('abort', () => reject(inner.reason))));
const deaf = (name: SourceName) => fake(name, () => new Promise(() => {}));

function chain(sources: MarketSource[], options: Partial<Parameters<typeof failoverSource>[0]> = {}) {
  return failoverSource({ sources, clock: new ManualClock(NOW), timeoutMs: 5_000, breaker: { failures: 3, openMs: 60_000 }, ...options });
}

describe('the order', () => {
  test('the first source that answers is the answer; those after it are not asked', async () => {
    const [first, second] = [answers('yahoo_finance'), answers('lean')];
    const answer = await chain([first, second]).bars('X', range, signal);
    expect(answer).toMatchObject({ source: 'yahoo_finance', attempts: [{ source: 'yahoo_finance', ok: true, ms: 0 }] });
    expect(second.asked).toBe(0);
  });

  test('a source that fails or does not know the symbol is followed by the next, and the answer says why', async () => {
    const answer = await chain([broken('yahoo_finance'), unknown('lean'), answers('simulated')]).bars('X', range, signal);
    expect(answer.source).toBe('simulated');
    expect(answer.attempts).toEqual([
      { source: 'yahoo_finance', ok: false, ms: 0, reason: 'yahoo_finance: HTTP 503', code: 'source.unavailable' },
      { source: 'lean', ok: false, ms: 0, reason: 'lean: unknown symbol X', code: 'source.unknown_symbol' },
      { source: 'simulated', ok: true, ms: 0 },
    ]);
  });

  test('a database that is away ends it: no other source is asked, and none is left alone for it', async () => {
    const away = new TransientError('database.unavailable', 'away');
    const second = answers('lean');
    const sources = chain([throws('yahoo_finance', () => away), second]);
    // More than the breaker takes.
    for (let times = 0; times < 5; times++) await expect(sources.bars('X', range, signal)).rejects.toBe(away);
    expect(second.asked).toBe(0);
  });

  test('an answer without bars is an answer', async () => {
    const second = answers('lean');
    expect(await chain([answers('yahoo_finance', []), second]).bars('X', range, signal)).toMatchObject({
      bars: [],
      source: 'yahoo_finance',
    });
    expect(second.asked).toBe(0);
  });

  test('every attempt is reported, the failed ones are logged with the symbol', async () => {
    const [onAttempt, warn] = [vi.fn<(attempt: SourceAttempt, symbol: string) => void>(), vi.fn()];
    await chain([broken('yahoo_finance'), answers('lean')], { onAttempt, log: { warn } }).bars('X', range, signal);
    expect(onAttempt.mock.calls.map(([{ source, ok }, symbol]) => [source, ok, symbol])).toEqual([
      ['yahoo_finance', false, 'X'],
      ['lean', true, 'X'],
    ]);
    expect(warn.mock.calls).toEqual([
      [expect.objectContaining({ symbol: 'X', source: 'yahoo_finance', reason: 'yahoo_finance: HTTP 503' }), expect.any(String)],
    ]);
  });
});

describe('when none answers', () => {
  const failure = (sources: MarketSource[]) =>
    chain(sources)
      .bars('X', range, signal)
      .catch((error: unknown) => error);

  test('unknown to all is permanent and lists who was asked', async () => {
    expect(await failure([unknown('yahoo_finance'), unknown('lean')])).toMatchObject({
      name: 'PermanentError',
      code: 'source.unknown_symbol',
      message: 'no source knows X (asked: yahoo_finance, lean); check its spelling',
    });
  });

  test('an empty cache and a source without a key do not keep an unknown symbol alive', async () => {
    const cached = throws('cached', () => new TransientError('source.cache_empty', 'cached: nothing is stored for X'));
    const keyless = throws('alpha_vantage', () => new PermanentError('source.no_key', 'alpha_vantage: no API key'));
    expect(await failure([unknown('yahoo_finance'), keyless, cached])).toMatchObject({
      name: 'PermanentError',
      code: 'source.unknown_symbol',
    });
  });

  test('one source that may know it later makes it transient, with every reason and the shortest wait', async () => {
    const limited = throws(
      'alpha_vantage',
      () => new TransientError('source.rate_limited', 'alpha_vantage: too many', { retryAfterMs: 9_000 }),
    );
    expect(await failure([unknown('yahoo_finance'), broken('lean'), limited])).toMatchObject({
      name: 'TransientError',
      code: 'source.all_failed',
      message: 'no source has bars of X: yahoo_finance: unknown symbol X; lean: HTTP 503; alpha_vantage: too many',
      retryAfterMs: 9_000,
    });
  });

  test('the wait is the shortest of all that were named, and none where none was', async () => {
    const limited = (name: SourceName, retryAfterMs?: number) =>
      throws(name, () => new TransientError('source.rate_limited', 'too many', retryAfterMs === undefined ? {} : { retryAfterMs }));
    expect(await failure([limited('lean', 30_000), limited('yahoo_finance', 4_000), limited('alpha_vantage')])).toMatchObject({
      retryAfterMs: 4_000,
      // A reason that does not name its source gets the name.
      message: 'no source has bars of X: lean: too many; yahoo_finance: too many; alpha_vantage: too many',
    });
    expect(await failure([limited('lean')])).toMatchObject({ retryAfterMs: undefined });
  });

  test('its causes are the errors of all sources', async () => {
    const { cause } = (await failure([unknown('yahoo_finance'), broken('lean')])) as Error;
    expect((cause as AggregateError).errors.map(({ code }) => code)).toEqual(['source.unknown_symbol', 'source.unavailable']);
  });

  test('without any source says so, and may pass', async () => {
    expect(await failure([])).toMatchObject({
      name: 'TransientError',
      message: 'no source has bars of X: no source is configured that this worker may ask',
    });
  });

  test('an empty cache alone may pass', async () => {
    const cached = throws('cached', () => new TransientError('source.cache_empty', 'cached: nothing is stored for X'));
    expect(await failure([cached])).toMatchObject({ name: 'TransientError', code: 'source.all_failed' });
  });

  test('sources that can never answer make it permanent', async () => {
    const keyless = throws('alpha_vantage', () => new PermanentError('source.no_key', 'alpha_vantage: no API key'));
    expect(await failure([keyless])).toMatchObject({ name: 'PermanentError', code: 'source.all_failed' });
  });

  test('a defect in a source is transient and named', async () => {
    expect(await failure([throws('lean', () => new TypeError('x is not a function'))])).toMatchObject({
      name: 'TransientError',
      message: 'no source has bars of X: lean: x is not a function',
    });
  });

  test('bad input goes back to the caller at once', async () => {
    const second = answers('lean');
    const refused = throws('yahoo_finance', () => new InputError('symbol.invalid', 'no symbol'));
    expect(await failure([refused, second])).toMatchObject({ name: 'InputError' });
    expect(second.asked).toBe(0);
  });
});

test('an attempt has the time that it took', async () => {
  const clock = new ManualClock(NOW);
  const slow = fake('yahoo_finance', () => {
    clock.advance({ milliseconds: 250 });
    throw new TransientError('source.unavailable', 'yahoo_finance: HTTP 503');
  });
  const { attempts } = await chain([slow, answers('lean')], { clock }).bars('X', range, signal);
  expect(attempts.map(({ ms }) => ms)).toEqual([250, 0]);
});

describe('the time-out', () => {
  test.each([
    ['that hears its signal', hangs],
    ['that is deaf', deaf],
  ])('a source %s is left for the next', async (_, source) => {
    const { attempts } = await chain([source('yahoo_finance'), answers('lean')], { timeoutMs: 20 }).bars('X', range, signal);
    expect(attempts).toMatchObject([
      { code: 'source.timeout', reason: 'yahoo_finance: no answer within 20 ms' },
      { source: 'lean', ok: true },
    ]);
  });
});

describe('the circuit breaker', () => {
  test('opens after the failures in a row: the source is skipped, with its last failure as the reason', async () => {
    const first = broken('yahoo_finance');
    const guarded = chain([first, answers('lean')]);
    for (let call = 0; call < 3; call++) await guarded.bars('X', range, signal);
    const { attempts } = await guarded.bars('X', range, signal);
    expect(first.asked).toBe(3);
    expect(attempts[0]).toMatchObject({
      source: 'yahoo_finance',
      ok: false,
      code: 'source.circuit_open',
      reason: expect.stringContaining('HTTP 503'),
    });
  });

  test('time-outs open it too', async () => {
    const first = hangs('yahoo_finance');
    const guarded = chain([first, answers('lean')], { timeoutMs: 5 });
    for (let call = 0; call < 4; call++) await guarded.bars('X', range, signal);
    expect(first.asked).toBe(3);
  });

  test('all circuits open is transient, not an unknown symbol', async () => {
    const guarded = chain([broken('yahoo_finance')]);
    for (let call = 0; call < 3; call++) await guarded.bars('X', range, signal).catch(() => {});
    await expect(guarded.bars('X', range, signal)).rejects.toMatchObject({ name: 'TransientError', code: 'source.all_failed' });
  });

  test.each<[string, () => unknown]>([
    ['an unknown symbol', () => new PermanentError('source.unknown_symbol', 'unknown')],
    ['an empty cache', () => new TransientError('source.cache_empty', 'empty')],
  ])('%s does not open it', async (_, error) => {
    const first = throws('yahoo_finance', error);
    const guarded = chain([first, answers('lean')]);
    for (let call = 0; call < 5; call++) await guarded.bars('X', range, signal);
    expect(first.asked).toBe(5);
  });

  test("one source's failures do not open another's", async () => {
    const second = answers('lean');
    const guarded = chain([broken('yahoo_finance'), second]);
    for (let call = 0; call < 5; call++) await guarded.bars('X', range, signal);
    expect(second.asked).toBe(5);
  });

  test('after its pause one call probes and the others skip; a success closes it', async () => {
    let up = false;
    let release = () => {};
    const first = fake('yahoo_finance', async (symbol) => {
      if (!up) throw new TransientError('source.unavailable', 'yahoo_finance: HTTP 503');
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      return { symbol, source: 'yahoo_finance', asOf: Temporal.Instant.from(NOW), bars: [], actions: [] };
    });
    const guarded = chain([first, answers('lean')], { breaker: { failures: 1, openMs: 20 } });
    await guarded.bars('X', range, signal);
    up = true;
    const probes: Promise<BarsAnswer>[] = [];
    await vi.waitFor(() => {
      probes.push(guarded.bars('X', range, signal));
      expect(first.asked).toBe(2);
    }, 15_000);
    expect((await guarded.bars('X', range, signal)).source).toBe('lean');
    release();
    expect((await Promise.all(probes)).filter(({ source }) => source === 'yahoo_finance')).toHaveLength(1);
    const next = guarded.bars('X', range, signal);
    await expect.poll(() => first.asked).toBe(3);
    release();
    expect((await next).source).toBe('yahoo_finance');
  });

  test('a probe that the caller aborts proves nothing: the circuit stays open', async () => {
    const first = fake('yahoo_finance', () => {
      if (first.asked === 1) throw new TransientError('source.unavailable', 'yahoo_finance: HTTP 503');
      return new Promise<BarsAnswer>(() => {});
    });
    const guarded = chain([first, answers('lean')], { breaker: { failures: 1, openMs: 50 } });
    await guarded.bars('X', range, signal);
    const controller = new AbortController();
    const probes: Promise<unknown>[] = [];
    await vi.waitFor(() => {
      probes.push(guarded.bars('X', range, controller.signal).catch((error: unknown) => error));
      expect(first.asked).toBe(2);
    }, 15_000);
    controller.abort(new Error('cancelled'));
    await Promise.all(probes);
    expect((await guarded.bars('X', range, signal)).attempts[0]?.code).toBe('source.circuit_open');
  });
});

describe("the caller's abort", () => {
  test("ends at once with the caller's reason, also from a deaf source, and asks no further source", async () => {
    const [first, second] = [deaf('yahoo_finance'), answers('lean')];
    const controller = new AbortController();
    const answered = chain([first, second]).bars('X', range, controller.signal);
    await expect.poll(() => first.asked).toBe(1);
    controller.abort(new Error('cancelled by hand'));
    await expect(answered).rejects.toThrow('cancelled by hand');
    expect(second.asked).toBe(0);
  });

  test("is not the source's failure", async () => {
    const first = fake('yahoo_finance', (symbol, inner) =>
      first.asked > 4
        ? { symbol, source: 'yahoo_finance', asOf: Temporal.Instant.from(NOW), bars: [], actions: [] }
        : new Promise((_, reject) => inner.addEventListener('abort', () => reject(inner.reason))),
    );
    const guarded = chain([first]);
    for (let call = 0; call < 4; call++) {
      const controller = new AbortController();
      const answered = guarded.bars('X', range, controller.signal);
      await expect.poll(() => first.asked).toBe(call + 1);
      controller.abort();
      await expect(answered).rejects.toMatchObject({ name: 'AbortError' });
    }
    expect((await guarded.bars('X', range, signal)).source).toBe('yahoo_finance');
  });

  test('that has already happened asks nobody', async () => {
    const first = answers('yahoo_finance');
    await expect(chain([first]).bars('X', range, AbortSignal.abort(new Error('too late')))).rejects.toThrow('too late');
    expect(first.asked).toBe(0);
  });
});

describe('the budget', () => {
  test('one token is taken a request, none for a source that is skipped', async () => {
    const budget = vi.fn(async () => {});
    const guarded = chain([broken('yahoo_finance'), answers('lean')], { budget, breaker: { failures: 1, openMs: 60_000 } });
    await guarded.bars('X', range, signal);
    await guarded.bars('X', range, signal);
    expect(budget.mock.calls.map(([source]: unknown[]) => source)).toEqual(['yahoo_finance', 'lean', 'lean']);
  });

  test('used up, the next source is asked, and the circuit stays closed', async () => {
    const first = answers('yahoo_finance');
    let empty = true;
    const budget = async (source: SourceName) => {
      if (empty && source === 'yahoo_finance')
        throw new TransientError('source.rate_limited', 'yahoo_finance: budget used up', { retryAfterMs: 40_000 });
    };
    const guarded = chain([first, answers('lean')], { budget });
    for (let call = 0; call < 5; call++) expect((await guarded.bars('X', range, signal)).source).toBe('lean');
    empty = false;
    expect((await guarded.bars('X', range, signal)).source).toBe('yahoo_finance');
    expect(first.asked).toBe(1);
  });

  test('the wait for it does not count against the time-out', async () => {
    const budget = () => new Promise<void>((resolve) => setTimeout(resolve, 60));
    expect((await chain([answers('yahoo_finance')], { budget, timeoutMs: 20 }).bars('X', range, signal)).source).toBe('yahoo_finance');
  });
});
