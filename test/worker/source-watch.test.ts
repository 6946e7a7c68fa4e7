/** What a worker tells about the market sources. */
import { beforeEach, expect, test, vi } from 'vitest';
import { ManualClock } from '../../services/platform/clock.ts';
import { readHealth } from '../../services/platform/monitoring/source-health.ts';
import { watchSources } from '../../services/worker/source-watch.ts';
import { silent } from '../broker/peers.ts';
import { databaseOfFile } from '../support/database.ts';

const { db } = await databaseOfFile();
beforeEach(() => db.run('DELETE FROM source_health'));
const clock = () => new ManualClock('2026-06-02T14:00:00Z');

test('answers and failures are counted, the last failure stands with its words', async () => {
  const time = clock();
  const watch = watchSources({ db, clock: time, instance: 'worker-1', log: silent });
  for (let index = 0; index < 3; index++) watch.asked({ source: 'yahoo_finance', ok: true });
  time.advance({ seconds: 5 });
  watch.asked({ source: 'yahoo_finance', ok: false, code: 'source.timeout', reason: 'yahoo_finance: no answer within 30000 ms' });
  watch.asked({ source: 'lean', ok: false, code: 'source.budget_used_up' });
  await watch.close();
  expect(await readHealth(db)).toMatchObject([
    { source: 'lean', instance: 'worker-1', answers: 0, errors: 0, last_code: null },
    {
      ...{ source: 'yahoo_finance', answers: 3, errors: 1, open_until: null },
      ...{ last_ok_at: new Date('2026-06-02T14:00:00Z'), last_error_at: new Date('2026-06-02T14:00:05Z') },
      ...{ last_code: 'source.timeout', last_error: 'yahoo_finance: no answer within 30000 ms' },
    },
  ]);
});

test('a circuit that is open says until when, and an answer closes it', async () => {
  const one = watchSources({ db, clock: clock(), instance: 'worker-1', log: silent });
  one.asked({ source: 'yahoo_finance', ok: false, code: 'source.circuit_open', retryAfterMs: 30_000 });
  await one.close();
  expect(await readHealth(db)).toMatchObject([{ errors: 0, open_until: new Date('2026-06-02T14:00:30Z') }]);
  one.asked({ source: 'yahoo_finance', ok: true });
  await one.close();
  expect(await readHealth(db)).toMatchObject([{ answers: 1, open_until: null }]);
});

test('what the database did not take is written when it is back, also when nothing is asked meanwhile', async () => {
  vi.useFakeTimers();
  try {
    const run = vi.fn<(sql: string, params?: unknown[]) => Promise<never>>(() => Promise.reject(new Error('away')));
    const watch = watchSources({ db: { run } as unknown as typeof db, clock: clock(), instance: 'worker-1', log: silent });
    watch.asked({ source: 'yahoo_finance', ok: true });
    for (const times of [1, 2]) {
      await vi.advanceTimersByTimeAsync(5_000);
      expect(run).toHaveBeenCalledTimes(times);
    }
    await watch.close();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(run).toHaveBeenCalledTimes(3);
  } finally {
    vi.useRealTimers();
  }
});

test('an error text of any length is stored', async () => {
  const watch = watchSources({ db, clock: clock(), instance: 'worker-1', log: silent });
  watch.asked({ source: 'lean', ok: false, code: 'source.unavailable', reason: 'ä'.repeat(5_000) });
  await watch.close();
  expect((await readHealth(db))[0]?.last_error).toHaveLength(500);
});
