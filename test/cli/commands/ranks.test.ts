import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type RunningMesh, startMesh } from '../running-mesh.ts';

let mesh: RunningMesh;
beforeAll(async () => {
  mesh = await startMesh({ ranking: '{chains: {sources: [simulated], simulated: {contracts: 300}}}' });
}, 60_000);
afterAll(() => mesh.stop());

const document = async (...args: string[]) => {
  const ran = await mesh.run(...args, '--json');
  return { ...ran, json: JSON.parse(ran.stdout) };
};

test('before anything was asked for, it says so and how to ask, and fails', async () => {
  expect(await mesh.run('ranks', 'SPY', '--mode', 'entry')).toEqual({
    code: 1,
    stdout: '',
    stderr: 'stockmesh: the entry ranking of SPY was never asked for; "npx stockmesh rank SPY --mode entry --wait" makes one\n',
  });
  const { code, json } = await document('ranks', 'SPY');
  expect(code).toBe(1);
  expect(json).toMatchObject({
    symbol: 'SPY',
    mode: 'monitor',
    run_at: null,
    totalRanks: 0,
    ranks: [],
    state: { state: 'never', job: null },
  });
});

describe('after "rank --wait"', () => {
  beforeAll(async () => {
    const ran = await mesh.run('rank', 'AAPL', '--mode', 'entry', '--mode', 'monitor', '--wait');
    expect(ran).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/AAPL .*(entry 100 of \d+, monitor|monitor 100 of \d+, entry) 100 of \d+/),
    });
  }, 60_000);

  test('the ranks of the mode are listed, best first', async () => {
    const { code, stdout } = await mesh.run('ranks', 'AAPL', '--mode', 'entry', '--limit', '3');
    expect(code).toBe(0);
    expect(stdout).toMatch(/ranking +AAPL, entry, /);
    expect(stdout).toMatch(/simulated: made-up quotes/);
    expect(stdout).toMatch(/\n3 of 100; "--cursor [0-9a-f-]+\.3" shows more\n$/);
    const { json } = await document('ranks', 'AAPL', '--mode', 'entry', '--limit', '100');
    const scores = json.ranks.map(({ entry_rank }: { entry_rank: number }) => entry_rank);
    expect(scores).toEqual(scores.toSorted((a: number, b: number) => b - a));
    expect(json).toMatchObject({ totalRanks: 100, simulated: true, filters: { limit: 100 }, next: null, state: null });
  });

  test('filters and sorting are those of the options', async () => {
    const { json } = await document('ranks', 'AAPL', '--side', 'put', '--sort', 'dte', '--limit', '1000');
    expect(json.ranks.length).toBe(json.totalRanks);
    expect(json.ranks.every(({ side }: { side: string }) => side === 'put')).toBe(true);
    const days = json.ranks.map(({ dte }: { dte: number }) => dte);
    expect(days).toEqual(days.toSorted((a: number, b: number) => a - b));
  });

  test('--why adds up: the points of the parts are the rank', async () => {
    const { stdout } = await mesh.run('ranks', 'AAPL', '--mode', 'entry', '--limit', '1', '--why');
    const [, rank, sum] = /entry rank ([\d.]+) \(\w+\) = (.*)/.exec(stdout) as unknown as [string, string, string];
    const points = sum.split(' + ').map(Number);
    expect(points.reduce((total, one) => total + one, 0)).toBeCloseTo(Number(rank), 4);
    expect(stdout).toMatch(/not measured: .*IV percentile.*; data quality 0\.\d+/);
  });

  test('asked for again within five minutes it is the same job', async () => {
    const { json } = await document('rank', 'AAPL', '--mode', 'entry');
    expect(json.jobs.filter(({ type }: { type: string }) => type === 'rank')).toMatchObject([{ outcome: 'joined', state: 'completed' }]);
  });

  test('a column that is none is refused with those that are', async () => {
    const { code, stderr } = await mesh.run('ranks', 'AAPL', '--sort', 'best');
    expect(code).toBe(2);
    expect(stderr).toMatch(/^stockmesh: a monitor ranking cannot be sorted by "best"; choose one of composite_rank, [^\n]*\n$/);
  });
});

test('a symbol that cannot be ranked fails with the reason, and "ranks" repeats it', async () => {
  expect((await mesh.run('rank', 'XXNONE', '--wait')).code).toBe(1);
  const { code, stderr } = await mesh.run('ranks', 'XXNONE');
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^stockmesh: the monitor ranking of XXNONE could not be made: job [^\n]* ended as failed: [^\n]*no source knows XXNONE/,
  );
});

test('a position is added, listed, ranked in exit mode with its reasons, and removed', async () => {
  await mesh.run('rank', 'QQQ', '--wait');
  const [{ contract, mid }] = (await document('ranks', 'QQQ', '--limit', '1')).json.ranks;
  const unknown = await mesh.run('position', 'add', 'alcie', contract, '--price', String(mid * 3));
  expect(unknown).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(/^stockmesh: nobody knows a user "alcie": .*check the spelling/),
  });
  await mesh.db.run("INSERT INTO holdings (user_id, symbol, quantity, imported_at) VALUES ('alice', 'QQQ', 1, '2026-01-05')");
  const added = await document('position', 'add', 'alice', contract, '--price', String(mid * 3), '--quantity', '2', '--stop', '0.4');
  expect(added.json.position).toMatchObject({ user_id: 'alice', contract, quantity: 2, stop: 0.4, target: null });
  const { id } = added.json.position;
  expect((await mesh.run('position', 'list', 'alice')).stdout).toMatch(new RegExp(`${id} +alice +${contract} +2 `));

  expect((await mesh.run('rank', 'QQQ', '--mode', 'exit', '--wait')).stdout).toMatch(/exit 1 of 1/);
  const { stdout } = await mesh.run('ranks', 'QQQ', '--mode', 'exit', '--user', 'alice');
  expect(stdout).toMatch(new RegExp(`${contract} +alice .*stop_loss`));
  expect((await mesh.run('ranks', 'QQQ', '--mode', 'exit', '--user', 'bob')).stdout).toMatch(/no contract fits/);

  expect(await mesh.run('position', 'remove', id)).toMatchObject({ code: 0, stdout: `position ${id} is removed\n` });
  expect(await mesh.run('position', 'remove', id)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`there is no position "${id}"`),
  });
});

test('scores have the same four decimals on screen, in the document and in the database', async () => {
  await mesh.run('rank', 'IWM', '--mode', 'entry', '--wait');
  const { json } = await document('ranks', 'IWM', '--mode', 'entry', '--limit', '5');
  const { stdout } = await mesh.run('ranks', 'IWM', '--mode', 'entry', '--limit', '5');
  const lines = stdout.split('\n');
  for (const { contract, entry_rank } of json.ranks) {
    const line = lines.find((one) => one.includes(contract));
    expect(line, contract).toContain(` ${entry_rank.toFixed(4)} `);
  }
});

test('--backfill stores the days of a folder before the ranking, and names a folder without any', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'stockmesh-backfill-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const none = await mesh.run('rank', 'SPY', '--backfill', folder);
  expect(none).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(`${folder} has no option chain of SPY`) });
  const expiry = Temporal.Now.plainDateISO().add({ months: 2 }).toString().slice(2).replaceAll('-', '');
  const day = (date: string) =>
    [
      'contract,bid,ask,quoted_at,spot',
      ...[90, 95, 100, 105, 110].flatMap((strike) =>
        ['C', 'P'].map((side) => `SPY${expiry}${side}00${String(strike * 1000).padStart(6, '0')},4,4.2,${date}T20:00:00Z,100`),
      ),
      '',
    ].join('\n');
  writeFileSync(join(folder, 'one.csv'), day('2026-01-05'));
  writeFileSync(join(folder, 'two.csv'), day('2026-01-06'));
  const { code, stdout } = await mesh.run('rank', 'SPY', '--backfill', folder);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^SPY: 2 days of contracts and 2 volatilities from 2026-01-05 to 2026-01-06\n/);
  expect((await document('rank', 'SPY', '--backfill', folder)).json.jobs.length).toBeGreaterThan(0);
});

test.each([
  [['position', 'add', 'alice', 'NOPE', '--price', '2'], 'contract "NOPE" has another shape'],
  [['position', 'add', 'alice', 'AAPL270115C00250000', '--price', '0'], 'entry_price'],
  [['position', 'add', 'alice', 'AAPL140621C00500000', '--price', '2'], 'AAPL140621C00500000 expired on 2014-06-21'],
  [['position', 'add', ' ', 'AAPL270115C00250000', '--price', '1'], 'is empty'],
  [['position', 'add', 'alice', 'AAPL270115C00250000'], "required option '--price <dollars>'"],
  [['rank', 'AAPL', '--mode', 'both'], 'Allowed choices are monitor, entry, exit'],
  [['rank'], "missing required argument 'symbols'"],
  [['ranks', 'AB/CD'], 'symbol "AB/CD" contains'],
  [['ranks', 'AAPL', '--min-rank', '200'], 'a number from 0 to 100'],
  [['ranks', 'AAPL', '--cursor', 'x'], '"x" is not a cursor'],
])('%j is refused with one line and 2', async (args, text) => {
  const ran = await mesh.run(...args);
  expect(ran).toMatchObject({ code: 2, stdout: '' });
  expect(ran.stderr).toMatch(/^stockmesh: [^\n]*\n$/);
  expect(ran.stderr).toContain(text);
});
