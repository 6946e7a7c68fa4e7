import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Report } from '../../services/picks/report/schema.ts';
import { reportViolations } from '../../services/picks/report/validate.ts';
import { weekOf } from '../../services/picks/report/week.ts';
import { DEFAULT_RULES } from '../../services/picks/rules.ts';
import { type RunningMesh, startMesh } from './running-mesh.ts';

const SYMBOLS = 'AAPL MSFT NVDA ORCL GOOGL META DIS VZ AMZN HD MCD NKE WMT PG KO PEP JPM BAC V AXP UNH JNJ PFE MRK'.split(' ');
const WEEK = weekOf(Temporal.Now.instant());

let mesh: RunningMesh;
beforeAll(async () => {
  mesh = await startMesh({ picks: `{universe: {lists: [{name: some, symbols: [${SYMBOLS.join(', ')}]}]}}` });
});
afterAll(() => mesh.stop());

const json = async (...args: string[]) => JSON.parse((await mesh.run(...args, '--json')).stdout);

/** A call of the model as another process left it. */
async function spent(user: string, state: string): Promise<string> {
  const columns = 'intent_key, payment, purpose, user_id, job_id, attempt, state, reserved_micros, provider, model_asked, request_hash';
  await mesh.db.run(`INSERT INTO spend (${columns}, price_in, price_out, reserved_at) VALUES (?)`, [
    [
      `picks:${user}:${state}`,
      1,
      'picks',
      user,
      Buffer.alloc(16),
      1,
      state,
      250_000,
      'model.example',
      'm',
      Buffer.alloc(32),
      1,
      1,
      new Date(),
    ],
  ]);
  const [row] = await mesh.db.rows<{ id: number }>('SELECT id FROM spend WHERE intent_key = ?', [`picks:${user}:${state}`]);
  return String(row?.id);
}

test('without a model, picks make --wait fetches the universe and shows six picks and four themes, with what just missed and what must stand beside them', async () => {
  const ran = await mesh.run('picks', 'make', 'alice', '--wait');
  expect(ran.code).toBe(0);
  expect(ran.stdout).toMatch(/^MADE-UP DATA, small universe$/m);
  expect(ran.stdout).toMatch(new RegExp(`^Picks of the week of ${WEEK}, version 1; prices of .*; 24 of 24 symbols could be picked$`, 'm'));
  expect(ran.stdout).toContain('written by the program alone: no language model is configured');
  expect(ran.stdout.match(/^ *\d +[A-Z]+ .*(low|medium|high)/gm)).toHaveLength(6);
  expect(ran.stdout.match(/^ {2}50 \+ momentum .* = [\d.]+$/gm)).toHaveLength(6);
  expect(ran.stdout).toMatch(/^Just missed\n {2}[A-Z]+ [\d.]+: /m);
  expect(
    ran.stdout
      .match(/^Themes\n(?: {2}.*\n)*/m)?.[0]
      .trim()
      .split('\n'),
  ).toHaveLength(5);
  expect(ran.stdout).toContain('This is not investment advice.');
});

test('every figure of a report is a fact, and its prices and company figures are those that are stored', async () => {
  const { report } = (await json('picks', 'show', 'alice')) as { report: Report };
  expect(reportViolations(report, DEFAULT_RULES)).toEqual([]);
  const closes = await mesh.db.rows<{ symbol: string; close: number }>('SELECT symbol, close FROM bars WHERE date = ?', [report.data_date]);
  const stored = new Map(closes.map(({ symbol, close }) => [symbol, Number(close)]));
  expect(report.stock_picks.map(({ price_at }) => price_at)).toEqual(report.stock_picks.map(({ ticker }) => stored.get(ticker)));
  const told = report.facts.filter(({ label, symbol }) => label === 'close' && symbol !== null);
  expect(told.length).toBeGreaterThanOrEqual(6);
  for (const { symbol, value } of told) expect(value).toBe(stored.get(symbol as string));
});

test('a report obeys the profile: its budget and its sectors, or it says how far it could not', async () => {
  // Two of three symbols cost no more; the two largest sectors of made-up companies.
  const closes = await mesh.db.rows<{ close: number }>('SELECT close FROM bars WHERE date = (SELECT MAX(date) FROM bars) ORDER BY close');
  const budget = Number(closes[16]?.close);
  const sectors = await mesh.db.rows<{ key: string }>(
    'SELECT sector_key AS `key` FROM fundamentals GROUP BY sector_key ORDER BY COUNT(*) DESC, sector_key LIMIT 2',
  );
  const interests = sectors.map(({ key }) => key);
  const changes = ['--budget', String(budget), '--risk', 'aggressive', ...interests.flatMap((key) => ['--interest', key])];
  expect((await mesh.run('picks', 'profile', 'bob', ...changes)).code).toBe(0);
  expect((await mesh.run('picks', 'make', 'bob', '--wait')).code).toBe(0);
  const { report } = (await json('picks', 'show', 'bob')) as { report: Report };
  expect(report.profile).toMatchObject({ risk_tolerance: 'aggressive', monthly_budget: budget, interests });
  expect(Math.max(...report.stock_picks.map(({ price_at }) => price_at))).toBeLessThanOrEqual(budget);
  const own = report.stock_picks.filter(({ sector_key }) => interests.includes(sector_key ?? '')).length;
  expect(own >= 4 || report.shortfall !== null).toBe(true);
});

test('a second report is a new version, and the history shows both', async () => {
  expect((await mesh.run('picks', 'make', 'alice', '--wait')).stdout).toMatch(/, version 2; /);
  const { stdout } = await mesh.run('picks', 'history', 'alice');
  expect(stdout.match(new RegExp(`^${WEEK} +[12] +quant, made up`, 'gm'))).toHaveLength(2);
  const { reports } = await json('picks', 'history', 'alice');
  expect(reports.map(({ version }: { version: number }) => version)).toEqual([2, 1]);
});

test('a week without a report is not filled with another one: what is shown says of which week it is', async () => {
  await mesh.db.run(
    "UPDATE weekly_reports SET week_of = '2026-01-05', document = JSON_SET(document, '$.week_of', '2026-01-05') WHERE user_id = 'bob'",
  );
  expect((await mesh.run('picks', 'show', 'bob')).stdout).toMatch(
    new RegExp(`^of the week of 2026-01-05, and not of this week \\(${WEEK}\\)`),
  );
  expect(await mesh.run('picks', 'show', 'bob', '--week', WEEK)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('picks make bob'),
  });
});

test('made-up reports have no record, and the record says so', async () => {
  const { stdout } = await mesh.run('picks', 'record', 'alice');
  expect(stdout).toContain(`without a record: ${WEEK} (simulated)`);
  expect(stdout).toContain('This is not investment advice.');
});

test('a profile that is wrong is refused, and nothing changes', async () => {
  const ran = await mesh.run('picks', 'profile', 'alice', '--risk', 'brave');
  expect(ran).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('risk_tolerance') });
  expect((await json('picks', 'profile', 'alice')).profile.risk_tolerance).toBe('moderate');
});

test('a report that may cost something is not asked for before its price was agreed to', async () => {
  const model = '{base_url: "https://model.example/v1", name: m, price_in: 2, price_out: 10}';
  const file = mesh.file('paid.yaml', `job_processor: {model: ${model}}\n`);
  const before = await mesh.db.rows('SELECT id FROM jobs');
  const ran = await mesh.run('picks', 'make', 'carol', 'dave', '--config', file);
  // For each of two users two calls of 20,000 tokens at $2 and 6,000 at $10 a million.
  expect(ran).toMatchObject({
    code: 2,
    stdout: '',
    stderr: expect.stringMatching(/may cost up to \$0\.40 for this; confirm it with --yes/),
  });
  expect(await mesh.db.rows('SELECT id FROM jobs')).toEqual(before);
});

test('a call whose payment is unknown is listed, and an operator says what it cost', async () => {
  const id = await spent('carol', 'unknown');
  await spent('dave', 'settled');
  const { stdout } = await mesh.run('spend', '--state', 'unknown');
  expect(stdout).toMatch(/^picks this day: \$0\.50 of \$10\.00 in 2 calls, \$0\.25 of it unknown$/m);
  expect(stdout).toMatch(new RegExp(`^ *${id} .*carol .*unknown`, 'm'));
  expect(stdout).not.toContain('dave');
  for (const wrong of ['-1', '1e9', 'nothing'])
    expect(await mesh.run('spend', 'settle', id, `--usd=${wrong}`), wrong).toMatchObject({ code: 2, stdout: '' });
  expect((await mesh.run('spend', 'settle', id, '--usd', '0.1')).stdout).toBe(`call ${id} cost $0.10\n`);
  expect((await mesh.run('spend', 'settle', id, '--usd', '0.1')).code).toBe(2);
  expect((await json('spend', '--user', 'carol')).calls).toMatchObject([{ state: 'settled', cost_usd: 0.1, cost_source: 'operator' }]);
});
