import { afterAll, beforeAll, expect, test } from 'vitest';
import { jsonKeys } from '../../services/cli/output/json-keys.ts';
import { JOB_TYPES } from '../../services/job-types/index.ts';
import { ledgerOf } from '../../services/job-types/ledger.ts';
import { enqueue } from '../../services/ledger/enqueue/enqueue.ts';
import { readJob } from '../../services/ledger/read/jobs.ts';
import { sourceSet } from '../../services/market/freshness/freshness.ts';
import { systemClock } from '../../services/platform/clock.ts';
import { loadConfig } from '../../services/platform/config/load.ts';
import type { Ran } from './command-line.ts';
import { type RunningMesh, startMesh } from './running-mesh.ts';

let mesh: RunningMesh;
beforeAll(async () => {
  mesh = await startMesh();
  const csv = mesh.file(
    'people.csv',
    'user,symbol,quantity,cost\nalice,AAPL,10,100\nalice,MSFT,,\nbob,IBM,5,50\nbob,XXBAD,1,1\ncarol,AAPL,1,1\ncarol,SPY,2,2\ncarol,QQQ,3,3\n',
  );
  expect(await mesh.run('portfolio', 'import', csv)).toMatchObject({ code: 0, stderr: '' });
});
afterAll(() => mesh.stop());

const json = ({ stdout }: Ran) => JSON.parse(stdout);
/** An error is one line that begins with the command's name. */
const oneLine = (pattern: string): RegExp => new RegExp(`^stockmesh: [^\\n]*${pattern}[^\\n]*\\n$`);

async function newestJob(...filter: string[]) {
  return json(await mesh.run('jobs', '--json', '--limit', '1', ...filter)).jobs[0];
}

test('a login with --wait prints per symbol what landed, from which source and how fast, and ends with 0', async () => {
  const ran = await mesh.runProcess('login', 'alice', '--wait');
  expect(ran.code).toBe(0);
  expect(ran.stdout).toMatch(/^SYMBOL +SOURCE +NEW BARS +THROUGH +FETCH MS +SIGNAL +FRESH AFTER MS +NOTE\n/);
  expect(ran.stdout).toMatch(/^AAPL +simulated +\d{3} +\d{4}-\d\d-\d\d +\d+ +(buy|sell|hold) \d+ % +\d+ +made-up prices$/m);
  expect(ran.stdout).toMatch(/^MSFT +simulated/m);
  expect(ran.stdout).toMatch(/\nall prices are made up\nall fresh after \d+ ms \(4 jobs\)\n$/);
  expect(ran.stderr).toContain('2 of 2 symbols queued, 0 fresh');
  expect(ran.stderr).toContain('AAPL fetch completed');
});

test('a second login finds everything fresh and says why', async () => {
  await mesh.run('login', 'alice', '--wait');
  const ran = await mesh.run('login', 'alice', '--wait', '--json');
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  expect(json(ran)).toMatchObject({ user: 'alice', ok: true, total: 2, queued: 0, fresh: 2, jobs: [], refused: [] });
  expect(json(ran).skipped.map(({ symbol }: { symbol: string }) => symbol)).toEqual(['AAPL', 'MSFT']);
  expect(json(ran).prices).toMatchObject([
    { symbol: 'AAPL', state: 'fresh', simulated: true },
    { symbol: 'MSFT', state: 'fresh', simulated: true },
  ]);
});

test('a login that finds bars of 2021, checked a moment ago, calls nothing fresh', async () => {
  const csv = mesh.file('old.csv', 'user,symbol,quantity,cost\nolga,OLD,10,100\n');
  await mesh.run('portfolio', 'import', csv);
  await mesh.db.run(
    `INSERT INTO symbols (symbol, newest_bar, as_of, checked_at, close, currency, source, analysed_at, analysed_bar)
     VALUES ('OLD', '2021-03-31', '2021-03-31 20:00:00', UTC_TIMESTAMP(3), 50, 'USD', 'lean', UTC_TIMESTAMP(3), '2021-03-31')`,
  );
  const outdated = /outdated: newest bar 2021-03-31, [\d,]+ sessions behind, checked 0 min ago/;
  const waited = await mesh.run('login', 'olga', '--wait');
  expect(waited.code).toBe(0);
  expect(waited.stdout).toMatch(outdated);
  expect(waited.stdout).toMatch(/\nnothing to do: 0 fresh, 1 outdated; the sources were asked lately and have nothing newer\n$/);
  expect(json(await mesh.run('login', 'olga', '--json'))).toMatchObject({ total: 1, queued: 0, fresh: 0, outdated: 1, missing: 0 });
  const shown = await mesh.run('portfolio', 'show', 'olga');
  expect(shown.stdout).toMatch(/^OLD +10 +100\.00 +50\.00 +500\.00 +100\.0 % +-500\.00 +-50\.00 % +USD +outdated +outdated/m);
  expect(shown.stdout).toMatch(/\n1 symbol, prices: 0 fresh, 1 outdated; worth 500\.00 USD\n/);
  expect((await mesh.run('symbol', 'OLD')).stdout).toMatch(outdated);
  expect((await mesh.run('stats')).stdout).toMatch(/held symbols +\d+ fresh, 1 outdated/);
  expect(json(await mesh.run('stats', '--json')).freshness).toMatchObject({ outdated: 1, simulated: expect.any(Number) });
});

test('a login whose job fails ends with 1, the reason, and the next step', async () => {
  const ran = await mesh.runProcess('login', 'bob', '--wait');
  expect(ran.code).toBe(1);
  expect(ran.stdout).toMatch(/^IBM +simulated/m);
  expect(ran.stderr).toMatch(/stockmesh: XXBAD: fetch failed: no source knows XXBAD.*"npx stockmesh retry [0-9a-f-]{36}" tries again/);
});

test('the next login does not ask for a symbol that no source knows: it says since when, as all views of the symbol do', async () => {
  await mesh.run('login', 'bob', '--wait');
  const since = /unknown since \d{4}-\d\d-\d\d \d\d:\d\d UTC, last asked \d+ min ago, asked again by the first login after/;
  const { prices, unknown, jobs } = json(await mesh.run('login', 'bob', '--wait', '--json'));
  expect({ unknown, jobs }).toEqual({ unknown: 1, jobs: [] });
  expect(prices.find(({ symbol }: { symbol: string }) => symbol === 'XXBAD').reason).toMatch(since);
  expect((await mesh.run('login', 'bob', '--wait')).stdout).toContain(
    'the sources were asked lately and have no usable answer for 1 symbol',
  );
  expect((await mesh.run('portfolio', 'show', 'bob')).stdout).toMatch(/^XXBAD .*unknown since \d{4}-\d\d-\d\d/m);
  const { stdout } = await mesh.run('symbol', 'XXBAD');
  expect(stdout).toMatch(since);
  expect(stdout).toContain('"npx stockmesh fetch XXBAD --wait" asks the sources at once; check the spelling first');
});

test('a login without --wait says what is committed', async () => {
  expect(await mesh.run('login', 'alice')).toMatchObject({
    code: 0,
    stderr: '',
    stdout: expect.stringMatching(
      /^login of alice is committed: \d of 2 symbols queued, \d fresh.*"npx stockmesh jobs --user alice" shows the jobs\n$/,
    ),
  });
});

test('a login of a user without holdings is refused with the next step', async () => {
  const ran = await mesh.run('login', 'nobody');
  expect(ran).toMatchObject({ code: 1, stdout: '' });
  expect(ran.stderr).toMatch(oneLine('user "nobody" has no holdings; add some'));
});

test('a fetch without --wait prints the jobs, and asking again joins them or makes new ones', async () => {
  const ran = await mesh.run('fetch', 'aapl', 'IBM', '--json');
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  expect(json(ran)).toMatchObject({ ok: true, announced: true, refused: [] });
  expect(
    json(ran)
      .jobs.map(({ symbol, type }: { symbol: string; type: string }) => `${type} ${symbol}`)
      .sort(),
  ).toEqual(['analysis AAPL', 'analysis IBM', 'fetch AAPL', 'fetch IBM']);
});

test('a fetch of an unknown symbol with --wait ends with 1 and says that no source knows it', async () => {
  const ran = await mesh.run('fetch', 'XXNONE', '--no-analysis', '--wait', '--json');
  expect(ran.code).toBe(1);
  expect(json(ran)).toMatchObject({ ok: false, jobs: [{ type: 'fetch', symbol: 'XXNONE', state: 'failed' }] });
  expect(ran.stderr).toMatch(oneLine('XXNONE: fetch failed: no source knows XXNONE'));
});

test('a fetch of a portfolio works in batches of batch_size and shows each symbol', async () => {
  const ran = await mesh.run('fetch', '--portfolio', 'carol', '--no-analysis', '--wait', '--json');
  expect(ran.code).toBe(0);
  const { jobs } = json(ran);
  // Three symbols, two a batch in this mesh's configuration.
  expect(jobs.map(({ type }: { type: string }) => type)).toEqual(['batch_fetch', 'batch_fetch']);
  expect(jobs.flatMap(({ items }: { items: { symbol: string }[] }) => items.map(({ symbol }) => symbol)).sort()).toEqual([
    'AAPL',
    'QQQ',
    'SPY',
  ]);
});

test('backfill asks for the range in the background', async () => {
  const ran = await mesh.run('backfill', 'SPY', '--from', '2020-01-02', '--to', '2020-01-31', '--wait', '--json');
  expect(ran.code).toBe(0);
  const [landed] = json(ran).jobs;
  expect(landed).toMatchObject({ type: 'backfill', symbol: 'SPY', state: 'completed' });
  const { payload, queue } = json(await mesh.run('job', landed.id, '--json'));
  expect(payload).toEqual({ symbol: 'SPY', from: '2020-01-02', to: '2020-01-31' });
  expect(queue).toBe('background_fetch');
});

test('the list of jobs pages with --before and filters', async () => {
  const first = json(await mesh.run('jobs', '--json', '--limit', '2'));
  expect(first.jobs).toHaveLength(2);
  const second = json(await mesh.run('jobs', '--json', '--limit', '2', '--before', first.next));
  expect(second.jobs[0].id < first.jobs[1].id).toBe(true);
  const failed = json(await mesh.run('jobs', '--json', '--state', 'failed', '--symbol', 'xxbad', '--type', 'fetch'));
  expect(failed.jobs).not.toEqual([]);
  for (const job of failed.jobs) expect(job).toMatchObject({ state: 'failed', symbol: 'XXBAD', type: 'fetch' });
});

test('a job shows why it has its priority, and the points add up to the score', async () => {
  const { id } = await newestJob('--user', 'alice', '--symbol', 'AAPL', '--type', 'fetch');
  const { why } = json(await mesh.run('job', id, '--json'));
  const points = Object.values(why.factors as Record<string, { value: number; weight: number; points: number }>);
  expect(points.reduce((sum, factor) => sum + factor.value * factor.weight, 0)).toBeCloseTo(why.score, 9);
  const { stdout } = await mesh.run('job', id);
  const shown = [...stdout.matchAll(/^(?:user activity|portfolio value|data age|market volatility) +\S+ +\S+ +(\S+)$/gm)].map(([, text]) =>
    Number(text),
  );
  expect(shown).toHaveLength(4);
  expect(shown.reduce((sum, value) => sum + value, 0)).toBeCloseTo(Number(/^score +(\S+)$/m.exec(stdout)?.[1]), 3);
});

test('a job of many symbols shows its items', async () => {
  await mesh.run('fetch', '--portfolio', 'carol', '--no-analysis', '--wait');
  const { id } = await newestJob('--type', 'batch_fetch');
  const { stdout } = await mesh.run('job', id);
  expect(stdout).toMatch(/^ITEM +STATE/m);
  expect(stdout).toMatch(/\d items: \d done\n$/);
});

test('a failed job starts again with retry and with redrive, a live or ended one is refused with the reason', async () => {
  await mesh.run('fetch', 'XXRETRY', '--no-analysis', '--wait');
  const { id } = await newestJob('--symbol', 'XXRETRY');
  const failedAgain = () => expect.poll(async () => (await readJob(mesh.db, id))?.state, { timeout: 10_000, interval: 20 }).toBe('failed');
  const retried = await mesh.run('retry', id, '--json');
  expect(json(retried)).toMatchObject({ ok: true, announced: true, changes: [{ id, state: 'ready' }] });
  await failedAgain();
  const redriven = await mesh.run('redrive', '--symbol', 'XXRETRY', '--json');
  expect(json(redriven)).toMatchObject({ ok: true, redriven: [id], superseded: [] });
  await failedAgain();
  const cancelled = await mesh.run('cancel', id);
  expect(cancelled).toMatchObject({ code: 1, stdout: '' });
  expect(cancelled.stderr).toMatch(oneLine('has ended already \\(failed\\)'));
});

test('a waiting job is listed with the time until its next try, and cancelled', async () => {
  const { config } = loadConfig({ files: [mesh.configFile], environment: 'development', env: {} });
  const [answer] = await enqueue(ledgerOf(mesh.db, systemClock, config), [
    {
      type: 'fetch',
      symbol: 'LATER',
      payload: { symbol: 'LATER' },
      level: 3,
      score: 0.5,
      why: { text: 'later' },
      triggeredBy: 'test',
      whenFull: 'refuse',
      runAt: new Date(Date.now() + 3_600_000),
    },
  ]);
  // An hour, and what has gone by since.
  expect((await mesh.run('jobs', '--state', 'scheduled')).stdout).toMatch(/LATER .*next try in 5\d min/);
  const { id } = answer as { id: string };
  expect(await mesh.run('cancel', id)).toMatchObject({ code: 0, stdout: `job ${id} is cancelled\n` });
  expect(json(await mesh.run('job', id, '--json'))).toMatchObject({ state: 'cancelled', code: 'job.cancelled' });
});

test('a job id that the ledger does not know is a failure with 1', async () => {
  const ran = await mesh.run('job', '01932c07-5f2a-7000-8a3b-0123456789ab');
  expect(ran).toMatchObject({ code: 1, stdout: '' });
  expect(ran.stderr).toMatch(oneLine('there is no job'));
});

test('a portfolio shows quantity, close, value and freshness', async () => {
  await mesh.run('fetch', '--portfolio', 'alice', '--wait');
  const { stdout, code } = await mesh.run('portfolio', 'show', 'alice');
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /^AAPL +10 +100\.00 +[\d,.]+ +[\d,.]+ +[-+]?[\d.]+ % +100\.0 % +[-+][\d,.]+ +[-+][\d.]+ % +USD +fresh +fresh +(buy|sell|hold) \d+ %/m,
  );
  expect(stdout).toMatch(/^MSFT +watched/m);
  expect(stdout).toMatch(/^AAPL .* made-up prices +/m);
  expect(stdout).toMatch(/worth [\d,.]+ USD \(all from made-up prices\)\n/);
  const { positions, value } = json(await mesh.run('portfolio', 'show', 'alice', '--json'));
  expect(positions[0]).toMatchObject({ symbol: 'AAPL', quantity: 10, cost: 100, simulated: true, price: { state: 'fresh' } });
  expect(value[0].simulated).toBe(value[0].value);
  expect(value[0].value).toBeCloseTo(10 * positions[0].close, 6);
});

test('a portfolio notes all that is wrong with a price: made up, a split that is not restated, unknown since', async () => {
  await mesh.run('portfolio', 'import', mesh.file('notes.csv', 'user,symbol,quantity,cost\nnora,NOTED,1,\n'));
  await mesh.db.run(
    `INSERT INTO symbols (symbol, newest_bar, as_of, checked_at, close, currency, source, unrestated_split)
     VALUES ('NOTED', '2021-03-31', '2021-03-31 20:00:00', UTC_TIMESTAMP(3) - INTERVAL 1 DAY, 10, 'USD', 'simulated', '2021-03-01')`,
  );
  await mesh.db.run(
    `INSERT INTO symbol_failures (symbol, what, sources, since, asked_at, again_at, times, code, reason)
     VALUES ('NOTED', 'bars', ?, '2026-01-05 10:00:00', UTC_TIMESTAMP(3), UTC_TIMESTAMP(3) + INTERVAL 1 DAY, 1, 'source.unknown_symbol', 'no source knows NOTED')`,
    [sourceSet(loadConfig({ files: [mesh.configFile], environment: 'development', env: {} }).config)],
  );
  const note = 'made-up prices; split of 2021-03-01 not restated: no signal; unknown since 2026-01-05';
  expect((await mesh.run('portfolio', 'show', 'nora')).stdout.replaceAll(/\s+/g, ' ')).toContain(note);
  expect(json(await mesh.run('portfolio', 'show', 'nora', '--json')).positions).toMatchObject([{ unrestated_split: '2021-03-01' }]);
});

test('a portfolio in pounds and dollars is added up in dollars, with the rate', async () => {
  await mesh.run('portfolio', 'import', mesh.file('pounds.csv', 'user,symbol,quantity,cost\npia,BP.L,100,\npia,USA,3,\npia,NONE.L,1,\n'));
  await mesh.db.run(
    `INSERT INTO symbols (symbol, newest_bar, as_of, checked_at, close, currency, source) VALUES
     ('BP.L', '2021-03-31', UTC_TIMESTAMP(3), UTC_TIMESTAMP(3), 400, 'GBp', 'yahoo_finance'),
     ('USA', '2021-03-31', UTC_TIMESTAMP(3), UTC_TIMESTAMP(3), 10, 'USD', 'yahoo_finance'),
     ('GBPUSD=X', '2021-03-31', UTC_TIMESTAMP(3), UTC_TIMESTAMP(3), 1.25, 'USD', 'yahoo_finance')`,
  );
  const { stdout, code } = await mesh.run('portfolio', 'show', 'pia');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^BP\.L +100 +400\.00 +40,000\.00 +500\.00 +100\.0 % +GBp /m);
  expect(stdout).toContain('; worth 530.00 USD = 40,000.00 GBp + 30.00 USD\n');
  expect(stdout).toMatch(/^rate GBPUSD=X: 1\.25 of 2021-03-31, outdated$/m);
  expect(stdout).toMatch(/^not in the sum: NONE\.L \(no price is stored\)$/m);
  expect(json(await mesh.run('portfolio', 'show', 'pia', '--json')).worth).toMatchObject({ currency: 'USD', value: 530, simulated: 0 });
});

test('a file with a broken line is refused with the line, and nothing of it is imported', async () => {
  const csv = mesh.file('broken.csv', 'user,symbol,quantity,cost\nalice,TSLA,1,1\nalice,AB/CD,1,1\n');
  const ran = await mesh.run('portfolio', 'import', csv);
  expect(ran).toMatchObject({ code: 2, stdout: '' });
  expect(ran.stderr).toMatch(/^stockmesh: .*broken\.csv:3: symbol "AB\/CD" contains/);
  expect(json(await mesh.run('portfolio', 'show', 'alice', '--json')).positions.map(({ symbol }: { symbol: string }) => symbol)).toEqual([
    'AAPL',
    'MSFT',
  ]);
});

test('a dry run of an import shows what would change, in aligned columns, and writes nothing', async () => {
  const held = async () =>
    json(await mesh.run('portfolio', 'show', 'carol', '--json')).positions.map((one: Record<string, unknown>) => [
      one.symbol,
      one.quantity,
      one.cost,
    ]);
  const before = await held();
  const csv = mesh.file('dry.csv', 'user,symbol,quantity,cost\ncarol,AAPL,1,1\ncarol,SPY,12.5,2\ncarol,IBM,,\n');
  const ran = await mesh.run('portfolio', 'import', csv, '--dry-run');
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  expect(ran.stdout).toBe(
    [
      'USER   SYMBOL  CHANGE   QUANTITY     COST',
      'carol  IBM     added     watched  unknown',
      'carol  QQQ     removed         3     3.00',
      'carol  SPY     changed  2 → 12.5     2.00',
      '',
      'USER   ADDED  CHANGED  REMOVED  UNCHANGED',
      'carol      1        1        1          1',
      '',
      '1 user: 1 added, 1 changed, 1 removed, 1 unchanged; nothing was written',
      '',
    ].join('\n'),
  );
  expect(await held()).toEqual(before);
});

test('a symbol shows its newest bar, source, freshness, signal with reasons, and with --indicators their values', async () => {
  await mesh.run('fetch', 'AAPL', '--wait');
  const { stdout, code } = await mesh.run('symbol', 'aapl', '--indicators');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^close +[\d,.]+ USD on \d{4}-\d\d-\d\d/m);
  expect(stdout).toMatch(/^source +simulated/m);
  expect(stdout).toMatch(/^trend +[+-]?\d+ +20 +SMA 50/m);
  expect(stdout).toMatch(/^rsi14 +\d+\.\d+$/m);
  const known = json(await mesh.run('symbol', 'AAPL', '--json'));
  expect(known).toMatchObject({
    symbol: 'AAPL',
    source: 'simulated',
    simulated: true,
    price: { state: 'fresh' },
    analysis: { state: 'fresh' },
  });
  const points = known.analysis.reasons.reduce((sum: number, { points: own }: { points: number }) => sum + own, 0);
  expect(Math.sign(points)).toBe(known.analysis.signal === 'hold' ? Math.sign(points) : known.analysis.signal === 'buy' ? 1 : -1);
});

test('a symbol that was never fetched is a failure with the next step', async () => {
  const ran = await mesh.run('symbol', 'NEVER');
  expect(ran).toMatchObject({ code: 1, stdout: '' });
  expect(ran.stderr).toMatch(
    oneLine('no data is stored for NEVER: it was never fetched; fetch it with "npx stockmesh fetch NEVER --wait"'),
  );
});

test('stats shows queues, workers and rates', async () => {
  const { stdout, code } = await mesh.run('stats');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^foreground +\d+ +\d+ +\d+ +\d+/m);
  expect(stdout).toMatch(/^worker +worker-1/m);
  const figures = json(await mesh.run('stats', '--json'));
  expect(figures.workers).toMatchObject({ online: 1, slots: 5 });
  expect(figures.queues.map(({ queue }: { queue: string }) => queue)).toEqual(['foreground', 'background_fetch', 'background_analysis']);
});

/** The names in the braces of a description: `[{id, state}] that …` has id and state. */
const namesIn = (text: string): string[] => (/\{([^{}]*)\}/.exec(text)?.[1] ?? '').split(', ').sort();

test('what --json prints has exactly the keys that --help names', async () => {
  await mesh.run('fetch', 'IBM', '--wait');
  const { id } = await newestJob('--symbol', 'IBM', '--type', 'fetch');
  const printed: Record<string, Record<string, unknown>> = {
    login: json(await mesh.run('login', 'carol', '--json')),
    'login --wait': json(await mesh.run('login', 'bob', '--wait', '--json')),
    fetch: json(await mesh.run('fetch', 'IBM', '--json')),
    'fetch --wait': json(await mesh.run('fetch', 'SPY', '--wait', '--json')),
    jobs: json(await mesh.run('jobs', '--json')),
    retry: json(await mesh.run('retry', id, '--json')),
    redrive: json(await mesh.run('redrive', '--symbol', 'NONE', '--json')),
    'portfolio import --dry-run': json(
      await mesh.run('portfolio', 'import', mesh.file('new.csv', 'user,symbol,quantity,cost\nbob,IBM,6,50\n'), '--dry-run', '--json'),
    ),
    'portfolio show': json(await mesh.run('portfolio', 'show', 'bob', '--json')),
    symbol: json(await mesh.run('symbol', 'IBM', '--json')),
    stats: json(await mesh.run('stats', '--json')),
  };
  const keys = jsonKeys(JOB_TYPES);
  for (const [name, document] of Object.entries(printed)) {
    const documented = keys[name] as Record<string, string>;
    expect(Object.keys(document).sort(), name).toEqual(Object.keys(documented).sort());
    for (const [key, meaning] of Object.entries(documented)) {
      const [first] = Array.isArray(document[key]) ? (document[key] as unknown[]) : [];
      if (typeof first === 'object' && first !== null) expect(Object.keys(first).sort(), `${name}: ${key}`).toEqual(namesIn(meaning));
    }
  }
  const detail = json(await mesh.run('job', id, '--json'));
  expect(Object.keys(detail).sort()).toEqual(
    [...new Set([...Object.keys(keys.job as object), ...namesIn(keys.jobs?.jobs as string)])].sort(),
  );
});
