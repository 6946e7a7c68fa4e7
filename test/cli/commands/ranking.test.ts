/** What `ranks` says of a stored ranking, line by line. The run is one of 600 invented contracts. */
import { afterEach, expect, test } from 'vitest';
import { type NewRun, storeRuns } from '../../../services/market/options/store/runs.ts';
import { inventRun } from '../../market/options/ranking/invented-run.ts';
import { STATE_TABLES, setJobs } from '../../support/job-rows.ts';
import { addJob, ago, overDatabase } from '../over-database.ts';

const { db, run, json } = await overDatabase();
afterEach(async () => {
  for (const table of ['option_runs', 'option_current', 'options_ranks', 'jobs', ...STATE_TABLES]) await db.run(`DELETE FROM ${table}`);
});
const publish = async (mode: 'monitor' | 'entry' | 'exit' = 'monitor', changes: Partial<NewRun> = {}) => {
  const one = inventRun(mode, { run_at: ago(130), as_of: ago(190), ...changes });
  await db.transaction((tx) => storeRuns(tx, [one]));
  return one;
};
const shown = async (...args: string[]) => (await run('ranks', 'ACME', ...args)).stdout;
const fieldsOf = (text: string): Record<string, string> =>
  Object.fromEntries([...text.matchAll(/^([a-z]+) {2,}(.*)$/gm)].map(([, name, value]) => [name, value]));

test('the head has the moment, the chain, the volatility, what was left out and the gaps', async () => {
  const { ranked } = await publish('monitor', {
    gaps: [{ expiry: '2026-03-20', reason: 'listed without contracts' }, { contracts: 12, reason: 'adjusted' }, { reason: 'cut off' }],
  });
  const text = await shown('--limit', '3');
  const reasons = Object.entries(ranked.reasons).filter(([, count]) => count > 0);
  expect(reasons.length).toBeGreaterThan(0);
  expect(fieldsOf(text)).toEqual({
    ranking: expect.stringMatching(/^ACME, monitor, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, 2 min ago$/),
    chain: 'file, quoted 3 min ago; underlying at 100.00, neutral',
    volatility: '25.0 % at the money in 30 days, IV rank 20.0000, percentile 25.0000',
    ranked: `${ranked.eligible} of 600 contracts; left out: ${reasons.map(([reason, count]) => `${count} ${reason.replaceAll('_', ' ')}`).join(', ')}`,
    gaps: '2026-03-20 listed without contracts; 12: adjusted; cut off',
  });
  expect(text).toMatch(new RegExp(`\n3 of ${ranked.ranks.length}; "--cursor [0-9a-f-]+\\.3" shows more\n$`));
});

test('made-up quotes, an unknown volatility and a young history are called so', async () => {
  await publish('monitor', { source: 'simulated', atm_iv: null, iv_rank: null, iv_percentile: null });
  const first = fieldsOf(await shown());
  expect(first.chain).toMatch(/^simulated: made-up quotes, quoted /);
  expect(first).not.toHaveProperty('volatility');
  await publish('monitor', { run_at: ago(120), atm_iv: 0.1234, iv_rank: null, iv_percentile: null });
  expect(fieldsOf(await shown()).volatility).toBe('12.3 % at the money in 30 days, less than 20 days of history');
  await publish('monitor', { run_at: ago(110), iv_percentile: null });
  expect(fieldsOf(await shown())).toMatchObject({ volatility: '25.0 % at the money in 30 days, IV rank 20.0000, percentile unknown' });
});

test('a line has the quote, the Greeks and the scores of the contract', async () => {
  const { ranked } = await publish('entry');
  const [first] = ranked.ranks;
  const text = await shown('--mode', 'entry', '--limit', '1');
  const [titles, cells] = text
    .split('\n')
    .filter((line) => /^ *(#|1) /.test(line))
    .map((line) => line.trim().split(/ {2,}/));
  const row = Object.fromEntries(cells!.map((cell, index) => [titles![index], cell]));
  const score = (value: number | null) => (value === null ? '–' : value.toFixed(4));
  expect(row).toMatchObject({
    ...{
      '#': '1',
      CONTRACT: first!.contract,
      DAYS: String(first!.dte),
      IV: `${(first!.iv * 100).toFixed(1)} %`,
      DELTA: first!.delta!.toFixed(2),
    },
    ...{ VALUE: score(first!.entry_value_score), CATALYST: score(first!.catalyst_score), GREEKS: score(first!.greeks_score) },
    ...{
      RANK: score(first!.entry_rank),
      MEASURED: `${(first!.data_quality * 100).toFixed(2)} %`,
      VOLUME: String(first!.volume),
      OPEN: String(first!.open_interest),
    },
  });
  expect(titles).not.toContain('P/L');
});

test.each([
  ['monitor', ['MOMENTUM', 'VALUE', 'GREEKS'], ['momentum_score', 'value_score', 'greeks_score']],
  ['exit', ['PROTECTION', 'DETERIORATION', 'TIME'], ['protection_score', 'deterioration_score', 'time_urgency_score']],
] as const)('the scores of %s are its own', async (mode, names, columns) => {
  const { ranked } = await publish(mode);
  const text = await shown('--mode', mode);
  for (const name of names) expect(text).toContain(name);
  const line = text.split('\n').find((one) => one.includes(ranked.ranks[0]!.contract))!;
  for (const column of columns) if (ranked.ranks[0]![column] !== null) expect(line).toContain(ranked.ranks[0]![column]!.toFixed(4));
});

test('of positions each has its owner and profit, those that are not ranked their reason, and a filter by user holds for both', async () => {
  const one = inventRun('exit');
  const leftOut = ['alice', 'bob'].map((user, index) => ({
    position: String(90 + index),
    contract: `ACME270115C0010000${index}`,
    reason: 'not_quoted',
    why: `no quote of ${user}`,
  }));
  const owners = new Map([...one.owners!, ['90', 'alice'], ['91', 'bob']]);
  const { ranked } = await publish('exit', { ranked: { ...one.ranked, leftOut: leftOut as never }, owners });
  const text = await shown('--mode', 'exit');
  expect(fieldsOf(text).ranked).toMatch(new RegExp(`^${ranked.eligible} of ${ranked.total} positions`));
  expect(text).toContain('\nnot ranked: position 90 of alice in ACME270115C00100000, not quoted: no quote of alice\n');
  expect(text).toContain('\nnot ranked: position 91 of bob in ACME270115C00100001, not quoted: no quote of bob\n');
  expect(text).toMatch(/-?\d+\.\d %/);
  const ofAlice = await shown('--mode', 'exit', '--user', 'alice');
  expect(ofAlice).not.toMatch(/\bbob\b/);
  expect(ofAlice).toContain('position 90 of alice');
  const why = await shown('--mode', 'exit', '--why', '--limit', '1');
  expect(why).toMatch(/\n1\. ACME\S+ \(position \w+ of (alice|bob)\)\nexit rank \d+\.\d{4} \(\w+\) = /);
});

test('no rank that passes a filter is said, and no position at all with the way to add one', async () => {
  await publish('monitor');
  expect(await shown('--contract', 'ACME991231C00001000')).toMatch(/\n\n?no contract fits\n$/);
  const none = inventRun('exit');
  await publish('exit', { ranked: { ...none.ranked, total: 0, eligible: 0, ranks: [] } });
  expect(await shown('--mode', 'exit')).toMatch(
    /no user held an option of ACME at that time; "npx stockmesh position add" adds a position, "npx stockmesh rank ACME --mode exit" ranks it\n$/,
  );
});

test('while a ranking is being made nobody is told to make one', async () => {
  const id = await addJob(db, { type: 'rank', symbol: 'ACME' });
  await setJobs(db, { dedupe_key: 'rank:ACME:monitor' });
  const ran = await run('ranks', 'ACME');
  expect(ran).toMatchObject({ code: 1, stdout: '', stderr: `stockmesh: the monitor ranking of ACME is being made: job ${id} is ready\n` });
  expect(await json('ranks', 'ACME')).toMatchObject({ run_at: null, state: { state: 'pending' } });
});
