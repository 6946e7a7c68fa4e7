/** What `symbol`, `portfolio`, `stats` and `position` show of stored rows, word by word. */
import { afterEach, describe, expect, test } from 'vitest';
import { storeActions, storeAnalyses, storeBars, storeChecks } from '../../services/market/bars/store.ts';
import { STATE_TABLES } from '../support/job-rows.ts';
import { addJob, ago, overDatabase } from './over-database.ts';

const { db, run, json } = await overDatabase();
const TABLES = [
  'jobs',
  ...STATE_TABLES,
  'symbols',
  'symbol_failures',
  'bars',
  'corporate_actions',
  'analyses',
  'holdings',
  'option_positions',
];
afterEach(async () => {
  for (const table of [...TABLES, 'instances', 'alerts']) await db.run(`DELETE FROM ${table}`);
});

/** Names and values of a list. */
const fieldsOf = (text: string): Record<string, string> =>
  Object.fromEntries([...text.matchAll(/^(\S+(?: \S+)*?) {2,}(.*)$/gm)].map(([, name, value]) => [name, value]));
const cells = (line: string | undefined): string[] => (line ?? '').trim().split(/ {2,}/);

const asOf = new Date('2021-03-31T20:00:00Z');
const bar = { date: '2021-03-31', open: 1234.5, high: 1300, low: 1200, close: 1250.25, adjustedClose: 625.125, volume: 12_345 };
type Check = Parameters<typeof storeChecks>[1][number];
const check = (symbol: string, changes: Partial<Check> = {}): Check => ({
  ...{ symbol, newestBar: bar.date, asOf, checkedAt: ago(130), close: bar.close, currency: 'USD', timeZone: 'America/New_York' },
  ...{ source: 'lean', ...changes },
});
const analysis = (symbol: string, changes: object = {}) => ({
  ...{ symbol, date: bar.date, signal: 'sell' as const, confidence: 0.346, score: 0, computedAt: ago(60), barsUsed: 250, asOf },
  reasons: [
    { indicator: 'trend', observation: 'SMA 50 below', points: -20, weight: 20 },
    { indicator: 'rsi', observation: 'low', points: 7.5, weight: 15 },
    { indicator: 'macd', observation: 'flat', points: 0, weight: 10 },
  ],
  values: { sma20: 1234.5, rsi14: null, volatility20: 0.25 } as unknown as Parameters<typeof storeAnalyses>[1][number]['values'],
  ...changes,
});
const store = (work: Parameters<typeof db.transaction<void>>[0]) => db.transaction(work);

describe('a symbol', () => {
  const symbol = async (...args: string[]) => (await run('symbol', 'AAA', ...args)).stdout;

  test('has its bar, moments, states, signal, events and reasons', async () => {
    await store(async (tx) => {
      await storeBars(tx, [{ ...bar, symbol: 'AAA', source: 'lean', asOf }]);
      await storeActions(
        tx,
        (
          [
            ['2020-03-30', 'split', 9],
            ['2020-03-31', 'dividend', 0.82],
            ['2020-08-31', 'split', 4],
          ] as const
        ).map(([date, kind, value]) => ({
          ...{ symbol: 'AAA', date, kind, value, source: 'lean' as const, asOf },
        })),
      );
      await storeChecks(tx, [check('AAA')]);
      await storeAnalyses(tx, [analysis('AAA')]);
    });
    const text = await symbol();
    expect(fieldsOf(text)).toMatchObject({
      ...{ symbol: 'AAA', close: '1,250.25 USD on 2021-03-31, adjusted 625.125', source: 'lean' },
      bar: 'open 1,234.50, high 1,300.00, low 1,200.00, volume 12,345',
      'as of': expect.stringMatching(/^2021-03-31 20:00:00 UTC, \d+ d ago$/),
      checked: expect.stringMatching(/ UTC, 2 min ago$/),
      price: expect.stringMatching(/^(outdated|stale): /),
      analysis: expect.stringMatching(/^outdated: analysis 1 min old/),
      signal: 'sell, confidence 35 %, from 250 bars through 2021-03-31',
    });
    expect(text).not.toMatch(/^warning|INDICATOR/m);
    // A year of events: that of 2020-03-31 is the oldest.
    expect(text.slice(text.indexOf('EX-DATE')).split('\n').slice(0, 3).map(cells)).toEqual([
      ['EX-DATE', 'KIND', 'VALUE'],
      ['2020-03-31', 'dividend', '0.82 USD a share'],
      ['2020-08-31', 'split', '4 for 1'],
    ]);
    expect(text.slice(text.indexOf('RULE'), text.indexOf("model's opinion")).trimEnd().split('\n').map(cells)).toEqual([
      ['RULE', 'POINTS', 'OF', 'OBSERVATION'],
      ['trend', '-20', '20', 'SMA 50 below'],
      ['rsi', '+7.5', '15', 'low'],
      ['macd', '0', '10', 'flat'],
    ]);
    expect(await json('symbol', 'AAA')).toMatchObject({
      bar: { date: '2021-03-31', close: 1250.25 },
      actions: [{ kind: 'dividend' }, { kind: 'split' }],
    });
    const indicators = await symbol('--indicators');
    expect(
      indicators.slice(indicators.indexOf('INDICATOR'), indicators.indexOf("model's opinion")).trimEnd().split('\n').map(cells),
    ).toEqual([
      ['INDICATOR', 'ON 2021-03-31'],
      ['sma20', '1,234.50'],
      ['rsi14', '–'],
      ['volatility20', '0.25'],
    ]);
  });

  test('that is made up and not restated says so beside its prices', async () => {
    const whole = { ...bar, adjustedClose: bar.close };
    await store(async (tx) => {
      await storeBars(tx, [{ ...whole, symbol: 'AAA', source: 'simulated', asOf }]);
      await storeActions(tx, [{ symbol: 'AAA', date: '2021-03-01', kind: 'split', value: 2, source: 'simulated', asOf }]);
      await storeChecks(tx, [check('AAA', { source: 'simulated', currency: null, unrestatedSplit: '2021-03-01' })]);
    });
    expect(await symbol()).toMatch(/\nEX-DATE +KIND +VALUE\n2021-03-01 +split +2 for 1\n\n/);
    expect(fieldsOf(await symbol())).toMatchObject({
      close: '1,250.25 on 2021-03-31, made up',
      source: 'simulated: made-up prices',
      warning: 'the source has not restated the prices before the split of 2021-03-01: there is no signal until it has',
    });
  });

  test.each([
    ['outdated', { checkedAt: ago(1) }, '"npx stockmesh fetch AAA --wait" asks the sources again\n'],
    ['stale', { checkedAt: ago(86_400 * 4) }, '"npx stockmesh fetch AAA --wait" makes it fresh\n'],
  ])('that is %s says how to ask again', async (state, changes, text) => {
    await store((tx) => storeChecks(tx, [check('AAA', changes)]));
    const shown = await symbol();
    expect(fieldsOf(shown).price).toMatch(new RegExp(`^${state}`));
    expect(shown).toContain(text);
    expect(fieldsOf(shown).close).toBe('no bars');
  });

  test('whose prices are fresh and whose analysis is not says so too', async () => {
    const today = new Date().toISOString().slice(0, 10);
    await store((tx) => storeChecks(tx, [check('BTC-USD', { newestBar: today, asOf: new Date(), checkedAt: new Date() })]));
    const { stdout } = await run('symbol', 'BTC-USD');
    expect(fieldsOf(stdout).price).toMatch(/^fresh/);
    expect(stdout).toContain('"npx stockmesh fetch BTC-USD --wait" makes it fresh\n');
    await store((tx) => storeAnalyses(tx, [analysis('BTC-USD', { date: today, computedAt: new Date() })]));
    expect((await run('symbol', 'BTC-USD')).stdout).not.toContain('--wait');
  });

  test('that was checked and never had a bar has no bar and no events', async () => {
    await store((tx) => storeChecks(tx, [check('AAA', { newestBar: null, asOf: null, close: null })]));
    const shown = fieldsOf(await symbol());
    expect(shown).toMatchObject({ close: 'no bars', price: expect.stringMatching(/^missing/) });
    for (const name of ['bar', 'as of', 'signal', 'warning']) expect(shown).not.toHaveProperty([name]);
    expect(await json('symbol', 'AAA')).toMatchObject({ bar: null, actions: [] });
  });
});

describe('a portfolio', () => {
  const hold = (...rows: [symbol: string, quantity: number, cost: number | null][]) =>
    db.run('INSERT INTO holdings (user_id, symbol, quantity, cost, imported_at) VALUES ?', [
      rows.map(([symbol, quantity, cost]) => ['alice', symbol, quantity, cost, asOf]),
    ]);
  const shown = async () => (await run('portfolio', 'show', ' alice ')).stdout;
  const row = (text: string, symbol: string) => {
    const [head, ...lines] = text.split('\n').map(cells);
    const line = lines.find(([first]) => first === symbol) ?? [];
    return Object.fromEntries(line.map((cell, index) => [head![index], cell]));
  };

  test('has a line for a holding, with what is known, and a foot with the sum', async () => {
    await hold(['AAA', -10, 41.5], ['BBB', 2.5, null], ['WATCH', 0, null]);
    await store(async (tx) => {
      await storeChecks(tx, [check('AAA', { close: 100 }), check('BBB', { close: 20, source: 'simulated' }), check('WATCH', { close: 7 })]);
      await storeAnalyses(tx, [analysis('AAA')]);
    });
    const text = await shown();
    expect(row(text, 'AAA')).toMatchObject({
      ...{
        QUANTITY: '-10',
        COST: '41.50',
        CLOSE: '100.00',
        VALUE: '-1,000.00',
        CURRENCY: 'USD',
        PRICE: 'outdated',
        ANALYSIS: 'outdated',
        SIGNAL: 'sell 35 %',
      },
    });
    expect(row(text, 'BBB')).toMatchObject({ QUANTITY: '2.5', COST: '–', VALUE: '50.00', SIGNAL: '–', NOTE: 'made-up prices' });
    expect(row(text, 'WATCH')).toMatchObject({ QUANTITY: 'watched', CLOSE: '7.00', VALUE: '–' });
    expect(text).not.toContain('IN BASE');
    expect(text).toMatch(
      /\n\n3 symbols, prices: 0 fresh, 3 outdated; worth -950\.00 USD \(50\.00 from made-up prices\)\nUSD: -585\.00 \(-140\.96 %\) since it was bought\n$/,
    );
    const document = await json('portfolio', 'show', 'alice');
    expect(document).toMatchObject({
      user: 'alice',
      value: [{ currency: 'USD', value: -950, simulated: 50 }],
      freshness: { outdated: 3, fresh: 0 },
    });
    expect(document.positions[0]).toMatchObject({ symbol: 'AAA', value: -1000, base_value: -1000, signal: 'sell', confidence: 0.346 });
  });

  test('in one other currency has its parts and the rate, made up or not', async () => {
    await hold(['SAP.DE', 10, null]);
    await store((tx) =>
      storeChecks(tx, [check('SAP.DE', { close: 100, currency: 'EUR' }), check('EURUSD=X', { close: 1.5, source: 'simulated' })]),
    );
    const text = await shown();
    expect(row(text, 'SAP.DE')).toMatchObject({ VALUE: '1,000.00', 'IN BASE': '1,500.00', CURRENCY: 'EUR' });
    expect(text).toContain('; worth 1,500.00 USD (all from made-up prices) = 1,000.00 EUR\n');
    expect(text).toMatch(/\nrate EURUSD=X: 1\.5 of 2021-03-31, (outdated|stale), made up\n$/);
  });

  test('whose prices are unknown says so, without a sum', async () => {
    await hold(['NONE', 1, null], ['VOD.L', 1, null]);
    await store((tx) => storeChecks(tx, [check('VOD.L', { currency: null, close: 70 })]));
    const text = await shown();
    expect(row(text, 'NONE')).toMatchObject({ CLOSE: '–', PRICE: 'missing' });
    expect((await json('portfolio', 'show', 'alice')).positions[0]).toMatchObject({
      ...{ symbol: 'NONE', quantity: 1, cost: null, close: null, currency: null, value: null, base_value: null, newest_bar: null },
      ...{ source: null, simulated: false, unrestated_split: null, as_of: null, signal: null, confidence: null },
    });
    expect(text).toContain('; worth 0.00 USD\n');
    expect(text).toMatch(/\nnot in the sum: NONE \(no price is stored\), VOD\.L \(the currency of its price is not known\)\n$/);
    await hold(['SAP.DE', 2, null]);
    await store((tx) => storeChecks(tx, [check('SAP.DE', { currency: 'EUR', close: 10 })]));
    expect(await shown()).toContain('; worth 0.00 USD = 20.00 EUR + 70.00 of unknown currency\n');
    await db.run("DELETE FROM holdings WHERE symbol IN ('VOD.L', 'SAP.DE')");
    expect(await shown()).toMatch(/\n1 symbol, prices: 0 fresh, 1 without data\nnot in the sum/);
  });

  test('notes a failure by what the sources said', async () => {
    await hold(['AAA', 1, null], ['BBB', 1, null]);
    await db.run("INSERT INTO symbols (symbol) VALUES ('AAA'), ('BBB')");
    for (const [symbol, code] of [
      ['AAA', 'source.unknown_symbol'],
      ['BBB', 'source.all_failed'],
    ])
      await db.run(
        "INSERT INTO symbol_failures (symbol, what, sources, since, asked_at, again_at, times, code, reason) VALUES (?, 'bars', 'simulated', '2026-01-05 10:00:00', NOW(), NOW(), 1, ?, 'r')",
        [symbol, code],
      );
    const text = await shown();
    expect([row(text, 'AAA').NOTE, row(text, 'BBB').NOTE]).toEqual([
      'unknown since 2026-01-05 10:00:00 UTC',
      'no usable answer since 2026-01-05 10:00:00 UTC',
    ]);
  });
});

describe('stats', () => {
  const heartbeat = (
    instance: string,
    service: string,
    changes: { capacity?: number; running?: number; seconds?: number; offset?: number | null } = {},
  ) =>
    db.run('INSERT INTO instances (instance, service, session, capacity, running, started_at, heartbeat_at, clock_offset_ms) VALUES (?)', [
      [instance, service, 's', changes.capacity ?? 0, changes.running ?? 0, ago(500), ago(changes.seconds ?? 2.5), changes.offset ?? null],
    ]);

  test('of an idle mesh without workers say so', async () => {
    const { stdout } = await run('stats');
    expect(stdout.split('\n').slice(0, 4).map(cells)).toEqual([
      ['QUEUE', 'READY', 'RUNNING', 'SCHEDULED', 'BLOCKED', 'OLDEST READY'],
      ...['foreground', 'background_fetch', 'background_analysis'].map((queue) => [queue, '0', '0', '0', '0', '–']),
    ]);
    expect(fieldsOf(stdout)).toMatchObject({
      ...{ 'waiting by priority': 'nothing waits', 'last minute': '0 enqueued, 0 completed, 0 failed', 'dead letter': 'empty' },
      ...{ workers: 'none is alive: nothing will be done', 'held symbols': '0 fresh' },
      "this machine's clock": expect.stringMatching(/^[+-]\d+ ms from the database's$/),
    });
    expect(stdout).toMatch(/\nno alerts\n$/);
    expect(stdout).not.toContain('INSTANCE');
  });

  test('of a busy one have its queues, workers, sources, alerts and held symbols', async () => {
    await addJob(db, { level: 2, enqueued: ago(65) });
    await addJob(db, { level: 2, enqueued: ago(5) });
    await addJob(db, { level: 7, queue: 'background_fetch', state: 'blocked', enqueued: ago(20) });
    await addJob(db, { state: 'running', worker: 'w1', symbol: 'IBM', enqueued: ago(300), started: ago(3.2) });
    await addJob(db, { state: 'running', worker: 'w1', type: 'batch_fetch', symbol: null, enqueued: ago(400), started: ago(8.2) });
    await addJob(db, { state: 'failed', ended: ago(10), due: ago(10), enqueued: ago(500) });
    await addJob(db, {
      state: 'completed',
      ended: ago(10),
      due: ago(10),
      enqueued: ago(501),
      result: { result: { source: 'lean', ms: 120 } },
    });
    await heartbeat('w1', 'worker', { capacity: 5, running: 1, offset: -2_500 });
    await heartbeat('g1', 'gateway');
    await heartbeat('dead', 'worker', { capacity: 5, seconds: 3_600 });
    await db.run(
      "INSERT INTO alerts (name, state, value, threshold, since, text) VALUES ('depth', 'raised', 9, 5, ?, 'too\nmany'), ('old', 'cleared', 1, 2, ?, 'over'), ('max_fetch_latency', 'raised', 3, 2, ?, 'late')",
      [ago(125), ago(9), ago(5)],
    );
    await db.run("INSERT INTO holdings (user_id, symbol, quantity, imported_at) VALUES ('a', 'AAA', 1, NOW()), ('a', 'NEVER', 1, NOW())");
    await store((tx) => storeChecks(tx, [check('AAA', { source: 'simulated' })]));
    const { stdout } = await run('stats');
    const lines = stdout.split('\n').map(cells);
    expect(lines[1]).toEqual(['foreground', '2', '2', '0', '0', '1 min']);
    expect(lines[2]).toEqual(['background_fetch', '0', '0', '0', '1', '–']);
    expect(fieldsOf(stdout)).toMatchObject({
      ...{ 'waiting by priority': '2: 2  7: 1', 'last minute': '2 enqueued, 1 completed, 1 failed' },
      'dead letter': '1 failed job ("npx stockmesh jobs --state failed" lists, "npx stockmesh redrive" starts them again)',
      ...{ workers: '1 worker, 2 of 5 slots busy (40 %)', 'held symbols': '0 fresh, 1 outdated, 1 without data; 1 with made-up prices' },
      lean: '95 % of 1 answer within 120 ms',
    });
    const at = lines.findIndex(([first]) => first === 'SERVICE');
    expect(lines[at]).toEqual(['SERVICE', 'INSTANCE', 'BUSY', 'RUNS', 'FOR', 'CLOCK', 'SEEN']);
    expect(lines[at + 1]).toEqual(['gateway', 'g1', '0/0', '–', expect.stringMatching(/^[23]\.\d s$/)]);
    // The newest job first; the second line of a worker does not name it again.
    expect(lines[at + 2]).toEqual([
      'worker',
      'w1',
      '1/5',
      'fetch IBM',
      expect.stringMatching(/^[34]\.\d s$/),
      '-2.5 s',
      expect.stringMatching(/^[23]\.\d s$/),
    ]);
    expect(lines[at + 3]).toEqual(['batch_fetch', expect.stringMatching(/^[89]\.\d s$/)]);
    expect(stdout).toMatch(/\nalert depth for 2 min: too many\nalert max_fetch_latency for \d+\.\d s: late\n/);
    // Of an alert of the mesh the advice follows; another program's has none.
    expect(stdout).toMatch(/: late\n {2}What it means: A source is slow, so logins wait longer for fresh data\.\n {2}What to do: Wait, /);
    expect(stdout).toMatch(/ or put a quicker source first \(\S+\)\.\n {2}Command: npx stockmesh stats\n$/);
    const document = await json('stats');
    expect(document).toMatchObject({
      ...{
        depth: { 2: 2, 7: 1 },
        failed: 1,
        workers: { online: 1, slots: 5, busy: 2, utilisation: 0.4 },
        latencies: [{ source: 'lean', p95_s: 0.12, answers: 1 }],
      },
      ...{
        alerts: [
          { name: 'depth', value: 9, threshold: 5, advice: null },
          { name: 'max_fetch_latency', advice: { means: expect.stringMatching(/^A source is slow/), command: 'npx stockmesh stats' } },
        ],
        freshness: { fresh: 0, outdated: 1, stale: 0, missing: 1, simulated: 1 },
      },
    });
    expect(document.instances.map(({ instance }: { instance: string }) => instance)).toEqual(['g1', 'w1']);
    expect(document.instances[1]).not.toHaveProperty('session');
  });
});

describe('positions', () => {
  const LATER = `${new Date().getUTCFullYear() + 2}`.slice(2);
  const CONTRACT = `AAPL${LATER}0115C00250000`;

  test('are shown with all that was entered', async () => {
    await db.run("INSERT INTO holdings (user_id, symbol, quantity, imported_at) VALUES ('alice', 'AAPL', 1, NOW())");
    const entry = ['--entry-spot', '240', '--entry-iv', '0.256', '--target', '300', '--stop', '0.4', '--opened', '2026-01-02T14:30:00Z'];
    const added = await run('position', 'add', 'alice', CONTRACT, '--price', '12.5', '--quantity', '3', ...entry);
    expect(added.stdout).toMatch(new RegExp(`^position (\\d+): alice holds 3 ${CONTRACT} bought at 12\\.50\n$`));
    await run('position', 'add', 'alice', CONTRACT, '--price', '0.5');
    const [head, first, second] = (await run('position', 'list')).stdout.split('\n').map(cells);
    expect(head).toEqual(['ID', 'USER', 'CONTRACT', 'QUANTITY', 'PRICE', 'ENTRY SPOT', 'TARGET', 'ENTRY IV', 'STOP', 'OPENED']);
    expect(first?.slice(1)).toEqual(['alice', CONTRACT, '3', '12.50', '240.00', '300.00', '25.6 %', '-40 %', '2026-01-02']);
    expect(second?.slice(1)).toEqual(['alice', CONTRACT, '1', '0.5000', '–', '–', '–', '–', new Date().toISOString().slice(0, 10)]);
    const { position } = await json('position', 'add', 'alice', CONTRACT, '--price', '2');
    expect(position).toMatchObject({ user_id: 'alice', entry_price: 2, quantity: 1 });
    expect((await json('position', 'list', 'alice')).positions).toHaveLength(3);
    expect(await json('position', 'remove', position.id)).toEqual({ ok: true, id: position.id });
    expect(await json('position', 'list', 'bob')).toEqual({ positions: [] });
  });

  test('of nobody say how to add one', async () => {
    expect((await run('position', 'list')).stdout).toBe('no positions; "npx stockmesh position add" adds one\n');
  });
});
