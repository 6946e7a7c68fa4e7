/** The largest that a caller may ask for: answers stay below a megabyte, and no turn of the event loop takes so long that others wait for it. */
import { beforeEach, describe, expect, test } from 'vitest';
import { idToBytes } from '../../../services/ledger/id.ts';
import { sourceSet } from '../../../services/market/freshness/freshness.ts';
import { MOST_POSITIONS } from '../../../services/market/portfolios/holdings.ts';
import { STATE_TABLES } from '../../support/job-rows.ts';
import { measureTurns } from '../../support/longest-turn.ts';
import { type Answer, gatewayMesh } from '../mesh.ts';

const mesh = gatewayMesh({ 'gateway.quotas.jobs_per_key': 10_000 });
const MEGABYTE = 1_000_000;
/** Milliseconds of processor time that one turn may take. */
const LONGEST_TURN = 50;
const LONG = 'r'.repeat(500);
const symbolAt = (index: number): string => `S${String(index).padStart(6, '0')}`;

// Code that runs for the first time is slow.
beforeEach(async () => {
  await hold('warm', 400, LONG);
  for (let times = 0; times < 3; times++)
    for (const path of ['/v1/users/warm/portfolio', '/v1/users/warm/portfolio/freshness', '/v1/jobs']) await mesh.operator.get(path);
  await mesh.operator.post('/v1/events/login', { userId: 'warm' });
  await mesh.operator.post('/v1/jobs', { type: 'batch_fetch', portfolio: 'warm' });
  for (const table of ['jobs', ...STATE_TABLES, 'job_subscribers', 'job_dependencies', 'symbols', 'symbol_failures'])
    await mesh.db.run(`DELETE FROM ${table}`);
});

/** Positions of a user, each with a failure of so long a reason; without one nothing is known of the symbols. `first`: which symbols. */
async function hold(user: string, count: number, reason?: string, first = 0): Promise<void> {
  const now = new Date();
  const later = new Date(now.getTime() + 3_600_000);
  for (let start = 0; start < count; start += 1_000) {
    const symbols = Array.from({ length: Math.min(1_000, count - start) }, (_, index) => symbolAt(first + start + index));
    await mesh.db.run('INSERT INTO holdings (user_id, symbol, quantity, cost, imported_at) VALUES ?', [
      symbols.map((symbol) => [user, symbol, 1, 1, now]),
    ]);
    if (reason === undefined) continue;
    await mesh.db.run('INSERT IGNORE INTO symbols (symbol, newest_bar, as_of, close, currency, source) VALUES ?', [
      symbols.map((symbol) => [symbol, '2026-03-03', now, 100, 'USD', 'yahoo_finance']),
    ]);
    await mesh.db.run(
      'INSERT IGNORE INTO symbol_failures (symbol, what, sources, since, asked_at, again_at, times, code, reason) VALUES ?',
      [symbols.map((symbol) => [symbol, 'bars', sourceSet(mesh.config), now, now, later, 1, 'source.unknown_symbol', reason])],
    );
  }
}

/** Asks three times, and holds the last answer and the shortest of the longest turns to both limits: garbage may be collected in any of them. */
async function within(name: string, ask: (attempt: number) => Promise<Answer>): Promise<Answer> {
  const attempts = [];
  for (let attempt = 0; attempt < 3; attempt++) attempts.push(await measureTurns(() => ask(attempt)));
  const { result } = attempts.at(-1)!;
  const bytes = Buffer.byteLength(JSON.stringify(result.body));
  const turn = Math.min(...attempts.map(({ longestMs }) => longestMs));
  const delay = Math.min(...attempts.map(({ delayMs }) => delayMs));
  console.log(`${name}: ${bytes} bytes, longest turn ${turn.toFixed(1)} ms of processor time, ${delay.toFixed(0)} ms by the clock`);
  expect(bytes).toBeLessThan(MEGABYTE);
  expect(turn).toBeLessThan(LONGEST_TURN);
  return result;
}

test('the positions of the largest portfolio come in pages, with long reasons in shorter ones, and each once', async () => {
  await hold('alice', MOST_POSITIONS, LONG);
  for (const [path, list] of [
    ['/v1/users/alice/portfolio', 'positions'],
    ['/v1/users/alice/portfolio/freshness', 'holdings'],
  ] as const) {
    const seen: string[] = [];
    let next: string | null = '';
    while (next !== null) {
      const cursor: string = next === '' ? '' : `?cursor=${next}`;
      const { body } = await within(path, () => mesh.operator.get(`${path}${cursor}`));
      seen.push(...body[list].map(({ symbol }: { symbol: string }) => symbol));
      expect(body.truncated).toBe(false);
      next = body.next;
    }
    expect(seen).toEqual(Array.from({ length: MOST_POSITIONS }, (_, index) => symbolAt(index)));
  }
});

test('of a portfolio from before the limit the first positions are shown, and that it goes on', async () => {
  await hold('alice', 100_000);
  const { body } = await within('portfolio of 100,000', () => mesh.operator.get('/v1/users/alice/portfolio'));
  expect(body).toMatchObject({ truncated: true, positions: { length: MOST_POSITIONS } });
  const freshness = await within('freshness of 100,000', () => mesh.operator.get('/v1/users/alice/portfolio/freshness'));
  expect(freshness.body).toMatchObject({ truncated: true, counts: { total: MOST_POSITIONS } });
});

test('a login of the largest portfolio, all of it to be fetched', async () => {
  for (let user = 0; user < 3; user++) await hold(`user${user}`, MOST_POSITIONS, undefined, user * MOST_POSITIONS);
  const { status, body } = await within('login', (attempt) => mesh.operator.post('/v1/events/login', { userId: `user${attempt}` }));
  expect(status).toBe(202);
  expect(body).toMatchObject({ total: MOST_POSITIONS, truncated: false, decisions: { length: MOST_POSITIONS } });
});

test('the largest portfolio in batches, and what is more than one request may be', async () => {
  for (let user = 0; user < 3; user++) await hold(`user${user}`, MOST_POSITIONS, undefined, user * MOST_POSITIONS);
  const { status, body } = await within('batch', (attempt) =>
    mesh.operator.post('/v1/jobs', { type: 'batch_fetch', portfolio: `user${attempt}` }),
  );
  expect([status, body.jobs.length]).toEqual([202, MOST_POSITIONS + MOST_POSITIONS / mesh.config.stock_jobs.data_fetch.batch_size]);
  await hold('bob', 2 * MOST_POSITIONS);
  const refused = await mesh.operator.post('/v1/jobs', { type: 'batch_fetch', portfolio: 'bob' });
  expect(refused).toMatchObject({ status: 400, body: { code: 'jobs.too_many', detail: expect.stringContaining('at most 2000') } });
});

describe('reasons of the greatest length', () => {
  const REASON = '€'.repeat(2_000);

  test('the items of a job come in pages, and each once', async () => {
    const symbols = Array.from({ length: 500 }, (_, index) => symbolAt(index));
    const { body } = await mesh.operator.post('/v1/jobs', { type: 'batch_fetch', symbols, analyse: false });
    const { id } = body.jobs[0];
    await mesh.db.run('INSERT INTO job_items (job_id, item_key, state, reason, updated_at) VALUES ?', [
      symbols.map((symbol) => [idToBytes(id), symbol, 'failed', REASON, new Date()]),
    ]);
    const seen: string[] = [];
    for (let cursor = ''; ; ) {
      const page = await within('items', () => mesh.operator.get(`/v1/jobs/${id}/items?limit=1000${cursor}`));
      seen.push(...page.body.items.map(({ key }: { key: string }) => key));
      if (page.body.next === null) break;
      cursor = `&cursor=${page.body.next}`;
    }
    expect(seen).toEqual(symbols);
  });

  test('the list of jobs too', async () => {
    const symbols = Array.from({ length: 450 }, (_, index) => symbolAt(index));
    await mesh.operator.post('/v1/jobs', { type: 'batch_fetch', symbols });
    await mesh.db.run("UPDATE ended SET code = 'x', reason = ?", [REASON]);
    const total = (await mesh.db.rows('SELECT id FROM job_states')).length;
    const seen = new Set<string>();
    for (let cursor = ''; ; ) {
      const page = await within('jobs', () => mesh.operator.get(`/v1/jobs?limit=500${cursor}`));
      for (const { id } of page.body.jobs) seen.add(id);
      if (page.body.next === null) break;
      cursor = `&cursor=${page.body.next}`;
    }
    expect(seen.size).toBe(total);
  });
});
